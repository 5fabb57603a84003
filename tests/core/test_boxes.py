"""Several detectors' boxes as one detector's, against ensemble-boxes 1.0.9."""

from __future__ import annotations

import numpy as np
import pytest
from edgepress.core.boxes import agreement, f1, fused

NONE = [0, 0, 0, 0, 0, -1]
ONE = np.array([[10, 10, 30, 30, 0.9, 0], [60, 20, 90, 44, 0.75, 1], [12, 11, 31, 33, 0.4, 1], NONE], np.float32)
OTHER = np.array(
    [[11, 8, 32, 29, 0.6, 0], [13, 12, 29, 31, 0.3, 0], [58, 22, 88, 47, 0.8, 1], [2, 70, 20, 95, 0.5, 0]], np.float32
)
"""Corners in pixels of 100, score and class."""
EQUAL = [
    [58.9677, 21.0323, 88.9677, 45.5484, 0.775, 1],
    [10.8333, 9.6667, 30.5, 29.8333, 0.6, 0],
    [2, 70, 20, 95, 0.25, 0],
    [12, 11, 31, 33, 0.2, 1],
]
UNEQUAL = [
    [59.3726, 20.6275, 89.3726, 44.9412, 0.765, 1],
    [10.5, 9.8, 30.3, 29.9, 0.6, 0],
    [12, 11, 31, 33, 0.28, 1],
    [2, 70, 20, 95, 0.15, 0],
]
"""Outputs of `weighted_boxes_fusion(…, iou_thr=0.55)`, with weights of 1 and 1, and of 0.7 and 0.3."""


@pytest.mark.parametrize(("shares", "expected"), [((1, 1), EQUAL), ((0.7, 0.3), UNEQUAL)])
def test_fusion_is_that_of_ensemble_boxes(shares: tuple[float, float], expected: list[list[float]]) -> None:
    np.testing.assert_allclose(fused([ONE, OTHER], shares), expected, atol=1e-3)


def test_a_model_alone_keeps_what_does_not_overlap() -> None:
    np.testing.assert_allclose(fused([ONE], [0.3]), ONE[:3])


def test_models_that_find_nothing_give_nothing() -> None:
    assert fused([ONE[3:], OTHER[:0]], [1, 1]).shape == (0, 6)


def test_a_box_matches_one_other() -> None:
    """Three boxes lie near the one of the other model: one of them is its match."""
    three = np.array([[[0, 0, 20, 20, 0.9, 0], [2, 0, 22, 20, 0.8, 0], [0, 2, 20, 22, 0.7, 0]]], np.float32)
    single = np.array([[[1, 1, 21, 21, 0.9, 0]]], np.float32)
    assert f1(three, single, 0.3) == f1(single, three, 0.3) == 0.5


def test_how_near_boxes_lie_counts_in_their_agreement() -> None:
    """Of a square of 20 pixels that moves by 2 both ways the IoU is 324 / 476 = 0.68: four of ten bounds hold."""
    still = np.array([[[10, 10, 30, 30, 0.9, 0]]], np.float32)
    moved = still + np.array([2, 2, 2, 2, 0, 0], np.float32)
    assert f1(still, moved, 0.3) == 1
    assert agreement(still, moved, 0.3) == 0.4
    assert agreement(still, still, 0.3) == 1
