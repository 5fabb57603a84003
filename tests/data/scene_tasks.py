"""Other tasks than segmentation from the same scenes: functions that a recipe may name."""

from __future__ import annotations

import numpy as np
from edgepress import Examples
from edgepress.data import fashion_mnist_10k, scenes

COUNT = 600


def points(count: int = COUNT) -> Examples:
    """Centre, upper left and lower right corner of one garment, in pixels."""
    drawn = _drawn(count, most=1, least=1)
    corners = [_corners(mask) for mask in drawn.masks]
    y = np.array([[(one + other) / 2, one, other] for one, other in corners], np.float32)
    return Examples(drawn.pictures, y, ("centre", "upper left", "lower right"), task="keypoints")


def pairs(count: int = COUNT) -> Examples:
    """Pictures of half the size, and the whole ones without noise."""
    large = _drawn(count, noise=0).pictures
    small = large.reshape(count, 3, scenes.SIDE // 2, 2, scenes.SIDE // 2, 2).mean((3, 5))
    return Examples(small.astype(np.uint8), large, task="image")


def noisy(count: int = COUNT) -> Examples:
    """Pictures with noise, and the same without it."""
    return Examples(_drawn(count, noise=40).pictures, _drawn(count, noise=0).pictures, task="image")


def identities(known: int = 60, count: int = COUNT) -> Examples:
    """One of `known` garments, in `count` places, sizes and colours."""
    x, _ = fashion_mnist_10k.read()["train"]
    drawn = scenes.draw(x[:known, 0], np.arange(known), count, 0, most=1, least=1)
    return Examples(drawn.pictures, drawn.garments[:, 0, 0], task="embedding")


def _drawn(count: int, **options: int) -> scenes.Scenes:
    x, y = fashion_mnist_10k.read()["train"]
    return scenes.draw(x[:, 0], scenes.GROUPS[y], count, 0, **options)


def _corners(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the first and of the last pixel of the mask."""
    places = np.argwhere(mask)[:, ::-1]
    return places.min(0), places.max(0)
