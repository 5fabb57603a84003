"""A mask, points, a picture and the examples' picture stay aligned under whatever augments them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from edgepress.data.dataset import Dataset, Input, Split
from edgepress.training import Examples, Rows
from hypothesis import given, settings
from hypothesis import strategies as st

COUNT, SIDES = 6, (24, 32)
GREY = Input("input", "image", (1, *SIDES), 1 / 255, (0.0,), (1.0,))
AUGMENT = st.lists(st.sampled_from(["rotate", "crop", "jitter", "erase"]), unique=True, max_size=3)


def examples(task: Any, y: np.ndarray, x: np.ndarray, **how: Any) -> Examples:
    pairs = how.pop("flip_pairs", ())
    data = Dataset("drawn", tuple("ab"), {"train": Split(x, y)}, (GREY,), task, flip_pairs=pairs)
    return Examples(data, "train", **how)


def blocks(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of a bright rectangle, and its mask."""
    random = np.random.default_rng(seed)
    masks = np.zeros((COUNT, *SIDES), np.uint8)
    for mask in masks:
        top, left = random.integers(2, 8), random.integers(2, 12)
        mask[top : top + 12, left : left + 14] = 1
    return masks[:, None] * np.uint8(200), masks


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), flip=st.booleans(), shift=st.integers(0, 5), augment=AUGMENT)
def test_a_mask_covers_what_it_covered(seed: int, flip: bool, shift: int, augment: list[str]) -> None:
    x, masks = blocks(seed)
    drawn = examples("segmentation", masks, x, seed=seed, flip=flip, shift=shift, augment=tuple(augment))
    (pixels,), y = drawn.pair(Rows(torch.arange(COUNT), seed))
    bright, known = pixels[:, 0] > 0.25, y != 255
    if augment:  # an edge between two pixels is rounded one way or the other, and what is erased is dark
        same = (bright == (y == 1)) | ~known
        assert float(same.float().mean()) > (0.7 if "erase" in augment else 0.9)
    else:
        assert torch.equal(bright, y == 1)
    assert torch.equal(y, drawn.labels(Rows(torch.arange(COUNT), seed))), "a view is the same at every look"


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), flip=st.booleans(), shift=st.integers(0, 5), augment=AUGMENT)
def test_a_point_stays_on_its_spot(seed: int, flip: bool, shift: int, augment: list[str]) -> None:
    random = np.random.default_rng(seed)
    height, width = SIDES
    spots = np.stack([random.integers(6, width - 8, (COUNT, 2)), random.integers(6, height - 8, (COUNT, 2))], 2)
    x = np.zeros((COUNT, 1, *SIDES), np.uint8)
    for row in range(COUNT):
        across, down = spots[row, 0]
        x[row, 0, down : down + 3, across : across + 3] = 250
    y = np.concatenate([(spots + 1.5) / (width, height), np.ones((COUNT, 2, 1))], 2).astype(np.float32)
    how = {"seed": seed, "flip": flip, "shift": shift, "augment": tuple(name for name in augment if name != "erase")}
    (pixels,), moved = examples("keypoints", y, x, **how).pair(Rows(torch.arange(COUNT), seed))
    bright = pixels[:, 0] - pixels[:, 0].flatten(1).median(1).values[:, None, None]  # jitter lifts the ground
    weights = bright.clamp(min=0) / bright.clamp(min=0).sum((1, 2), keepdim=True).clamp(min=1e-6)
    across = (weights * (torch.arange(width) + 0.5)).sum((1, 2))
    down = (weights * (torch.arange(height) + 0.5)[:, None]).sum((1, 2))
    seen = (moved[:, 0, 2] > 0) & inside(moved[:, 0])
    off = torch.stack([across / width, down / height], 1) - moved[:, 0, :2]
    assert (off[seen].abs() * torch.tensor([width, height]) < 0.75).all()


def inside(points: torch.Tensor) -> torch.Tensor:
    """Those whose spot is not cut by the edge of the picture."""
    height, width = SIDES
    margin = torch.tensor([5 / width, 5 / height])
    return ((points[:, :2] > margin) & (points[:, :2] < 1 - margin)).all(1)


def test_paired_points_change_places_in_a_mirror_and_others_do_not() -> None:
    x = np.zeros((COUNT, 1, *SIDES), np.uint8)
    y = np.tile(np.array([[[0.25, 0.5, 1], [0.5, 0.25, 1]]], np.float32), (COUNT, 1, 1))
    how = {"seed": 0, "flip": True}
    rows = Rows(torch.arange(COUNT), 0)
    _, plain = examples("keypoints", y, x, **how).pair(rows)
    _, paired = examples("keypoints", y, x, flip_pairs=((0, 1),), **how).pair(rows)
    flipped = plain[:, 0, 0] == 0.75
    assert 0 < int(flipped.sum()) < COUNT
    torch.testing.assert_close(paired[flipped], plain[flipped].flip(1))
    assert torch.equal(paired[~flipped], plain[~flipped])


def test_a_point_that_leaves_the_picture_is_not_to_be_seen() -> None:
    x = np.zeros((COUNT, 1, *SIDES), np.uint8)
    y = np.tile(np.array([[[0.01, 0.5, 1], [0.5, 0.5, 1]]], np.float32), (COUNT, 1, 1))
    _, moved = examples("keypoints", y, x, seed=0, shift=8).pair(Rows(torch.arange(COUNT), 0))
    assert {0.0, 1.0} == set(moved[:, 0, 2].tolist())
    assert set(moved[:, 1, 2].tolist()) == {1.0}


@pytest.mark.parametrize("factor", [1, 2, 3])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), flip=st.booleans(), shift=st.integers(0, 5))
def test_a_larger_picture_moves_as_the_smaller_one(factor: int, seed: int, flip: bool, shift: int) -> None:
    x = np.random.default_rng(seed).integers(0, 256, (COUNT, 1, *SIDES), np.uint8)
    y = x.repeat(factor, 2).repeat(factor, 3)
    (pixels,), moved = examples("image", y, x, seed=seed, flip=flip, shift=shift).pair(Rows(torch.arange(COUNT), 0))
    assert torch.equal(moved[:, :, ::factor, ::factor], (pixels * 255).round().byte())
    assert torch.equal(moved, moved[:, :, ::factor, ::factor].repeat_interleave(factor, 2).repeat_interleave(factor, 3))
