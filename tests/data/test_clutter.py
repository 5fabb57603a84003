"""The composed pictures and their boxes: the same bytes for ever, and boxes that are around what they name."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from edgepress.data import clutter, fashion_mnist_10k
from edgepress.data.scenes import GROUPS
from edgepress.data.targets import of
from edgepress.data.targets.boxes import CLASS, COUNTS


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    x, y = fashion_mnist_10k.read()["test"]
    return clutter.draw(x[:, 0], GROUPS[y] - 1, 60, 7)


def test_the_bytes_are_the_same_on_every_machine(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    assert [hashlib.sha256(each.tobytes()).hexdigest()[:16] for each in drawn] == [
        "8f75904ec4564fe9",
        "d7433fe5f1d20af8",
    ]


def test_boxes_are_sound_and_every_class_is_as_frequent(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    pictures, boxes = drawn
    of("detection").verify(boxes, clutter.LABELS, pictures.shape[2:])
    there = boxes[..., CLASS] >= 0
    counts = np.bincount(boxes[there][:, CLASS].astype(int), minlength=5)
    assert counts.min() > 0.5 * counts.mean()
    assert set(there.sum(1)) == set(range(1, clutter.MOST + 1))
    assert 0 < (boxes[there][:, COUNTS] == 0).mean() < 0.2, "some are covered"
    sides = boxes[there][:, 2:4] - boxes[there][:, :2]
    assert sides.max() <= 48
    assert sides.min() >= 3


@pytest.mark.slow
def test_a_splits_garments_are_those_of_the_same_split() -> None:
    data = clutter.read()
    assert {name: len(split.y) for name, split in data.splits.items()} == clutter.SIZES
    assert (data.task, data.labels, data.input.shape) == ("detection", clutter.LABELS, (3, 96, 96))
