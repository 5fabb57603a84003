"""The composed scenes: the same bytes each time, masks that fit the pictures, and no garment in two splits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
import torch
from edgepress.data import fashion_mnist_10k, scenes
from edgepress.data.dataset import Dataset
from edgepress.data.examples import Examples
from torch.nn import functional

from tests.data import scene_tasks


@pytest.fixture(scope="module")
def source() -> Dataset:
    return fashion_mnist_10k.read()


@pytest.fixture(scope="module")
def drawn(source: Dataset) -> scenes.Scenes:
    x, y = source["train"]
    return scenes.draw(x[:, 0], scenes.GROUPS[y], 40, 5)


def test_the_splits() -> None:
    data = scenes.read()
    assert {name: len(split.y) for name, split in data.splits.items()} == scenes.SIZES
    for x, y in data.splits.values():
        assert (x.shape[1:], x.dtype, y.shape[1:], y.dtype) == ((3, 64, 64), np.uint8, (64, 64), np.uint8)
        shares = np.bincount(y.ravel(), minlength=len(data.labels)) / y.size
        assert 0.6 < shares[0] < 0.8
        assert shares.min() > 0.03, "every class is worth learning"


def test_bytes_are_the_same_on_every_machine(drawn: scenes.Scenes) -> None:
    total = hashlib.sha256(b"".join(array.astype("<i8").tobytes() for array in drawn)).hexdigest()
    assert total == "b8bcad6e7c0226df80819873621a7a76cce8c0d7b38e188a5776e93af9a3fce8"


def test_other_seeds_give_other_scenes(source: Dataset, drawn: scenes.Scenes) -> None:
    x, y = source["train"]
    again, other = (scenes.draw(x[:, 0], scenes.GROUPS[y], 40, seed) for seed in (5, 6))
    assert np.array_equal(again.pictures, drawn.pictures)
    assert not np.array_equal(other.masks, drawn.masks)


def test_the_mask_has_the_garments_where_they_are(drawn: scenes.Scenes) -> None:
    for mask, garments in zip(drawn.masks, drawn.garments, strict=True):
        placed = garments[garments[:, 0] >= 0]
        assert 2 <= len(placed) <= 3
        inside = np.zeros_like(mask)
        for _, label, top, left, size in placed:
            inside[top : top + size, left : left + size] = 1
            last = label  # nothing covers the last one
        assert not mask[inside == 0].any()
        assert last in mask[top : top + size, left : left + size]
        assert set(np.unique(mask)) <= {0, *placed[:, 1]}


def test_a_garment_has_dark_pixels_too() -> None:
    ring = np.zeros((28, 28), np.uint8)
    ring[8:20, 8:20] = 200
    ring[12:16, 12:16] = 0
    assert np.array_equal(np.argwhere(scenes._filled(ring)), np.argwhere(np.pad(np.ones((12, 12)), 8)))


def test_resizing_is_linear_interpolation() -> None:
    values = np.random.default_rng(0).integers(0, 256, (2, 28, 28)).astype(np.uint8)
    for side in (20, 28, 40):
        exact = functional.interpolate(torch.from_numpy(values).double()[None], (side, side), mode="bilinear")[0]
        assert np.abs(scenes._resized(values, side) - exact.numpy()).max() < 3
    assert np.array_equal(scenes._resized(values, 28), values)


@pytest.mark.parametrize("function", [scene_tasks.points, scene_tasks.pairs, scene_tasks.noisy, scene_tasks.identities])
def test_other_tasks_are_made_of_scenes(function: Callable[[], Examples]) -> None:
    examples = function().checked("scenes")
    assert examples.task in ("keypoints", "image", "embedding")
    assert len(examples.x) == len(examples.y) == scene_tasks.COUNT


def test_scenes_without_noise_are_the_same_ones(source: Dataset) -> None:
    x, y = source["train"]
    noisy, clean = (scenes.draw(x[:, 0], scenes.GROUPS[y], 3, 0, noise=noise).pictures.astype(int) for noise in (9, 0))
    assert np.abs(noisy - clean).max() == 9
