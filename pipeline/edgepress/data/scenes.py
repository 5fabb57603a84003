"""`scenes`: garments and the class of each pixel: 1,200 train, 200 validation, 400 test.

Garments before backgrounds, composed of the images of `fashion-mnist-10k` (MIT licence), each split of the images of
the same split, so no garment is in two. A picture of 64 × 64 pixels has two or three garments of random size, place and
colour before a mottled background; later ones cover earlier ones, and every pixel has noise. All arithmetic is on
integers, and the numbers are from `RandomState`, whose stream numpy has frozen (NEP 19): the digest does not depend on
numpy's version.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import fashion_mnist_10k
from .dataset import Dataset, Split, measured

LABELS = ("background", "top", "trouser", "dress", "shoe", "bag")
GROUPS = np.array([1, 2, 1, 3, 1, 4, 1, 4, 5, 4])
"""The class of a pixel by the label of the garment in Fashion-MNIST."""
SIZES = {"train": 1_200, "validation": 200, "test": 400}
SIDE = 64
_CELL = 16
"""Pixels between two drawn colours of the background."""
_DARK = 24
"""Largest value of Fashion-MNIST's background, which is not exactly black everywhere."""


class Scenes(NamedTuple):
    """Composed pictures, and what is to be seen in them.

    `pictures` are uint8 (n, 3, side, side), `masks` uint8 (n, side, side) with a class for each pixel. `garments` are
    int64 (n, most, 5): row of the source image, class, top, left and size in pixels, later ones before earlier ones;
    rows of −1 are no garment.
    """

    pictures: np.ndarray
    masks: np.ndarray
    garments: np.ndarray


def read() -> Dataset:
    source = fashion_mnist_10k.read()
    splits = {}
    for seed, (name, count) in enumerate(SIZES.items()):
        x, y = source[name]
        drawn = draw(x[:, 0], GROUPS[y], count, seed)
        splits[name] = Split(drawn.pictures, drawn.masks)
    input = measured("input", "image", splits["train"].x[:], scale=1 / 255)
    return Dataset("scenes", LABELS, splits, (input,), "segmentation", source="fashion-mnist-10k, composed")


def draw(
    images: np.ndarray,
    classes: np.ndarray,
    count: int,
    seed: int,
    *,
    side: int = SIDE,
    most: int = 3,
    least: int = 2,
    noise: int = 12,
) -> Scenes:
    """Compose `count` scenes of `images`, uint8 (m, 28, 28), with `least` to `most` garments each.

    All classes are as frequent. `noise` is the most that a pixel is off; it is drawn last, so that 0 gives the same
    scenes without it. The same arguments give the same bytes.
    """
    random = np.random.RandomState(seed)
    pictures = backgrounds(random, count, side)
    masks = np.zeros((count, side, side), np.uint8)
    garments = np.full((count, most, 5), -1)
    pools = [np.flatnonzero(classes == label) for label in np.unique(classes)]
    for picture, mask, placed in zip(pictures, masks, garments, strict=True):
        for place in range(random.randint(least, most + 1)):
            pool = pools[random.randint(len(pools))]
            row = pool[random.randint(len(pool))]
            size = random.randint(side * 7 // 16, side * 11 // 16)
            top, left = random.randint(0, side - size + 1, 2)
            solid = put(random, picture, images[row], top, left, size)
            mask[top : top + size, left : left + size][solid] = classes[row]
            placed[place] = row, classes[row], top, left, size
    pictures += random.randint(-noise, noise + 1, pictures.shape, np.int16)
    return Scenes(np.clip(pictures, 0, 255).astype(np.uint8), masks, garments)


def put(
    random: np.random.RandomState, picture: np.ndarray, image: np.ndarray, top: int, left: int, size: int
) -> np.ndarray:
    """Draw a garment uint8 (28, 28), mirrored or not, in a random colour; return its pixels, bool (size, size)."""
    garment = image[:, :: 1 - 2 * random.randint(2)]
    shade, solid = _resized(garment, size), _resized(_filled(garment) * np.uint8(255), size) > 127
    colour = random.randint(64, 256, (3, 1, 1))
    picture[:, top : top + size, left : left + size][:, solid] = (shade * colour // 255)[:, solid]
    return solid


def backgrounds(random: np.random.RandomState, count: int, side: int) -> np.ndarray:
    """Draw colours of a grid, and interpolate between them: int16 (count, 3, side, side)."""
    cells = side // _CELL + 1
    colours = random.randint(20, 180, (count, 3, cells, cells)).astype(np.int32)
    return _resized(colours, side).astype(np.int16)


def _filled(garment: np.ndarray) -> np.ndarray:
    """Tell which pixels are of the garment: bright ones, and dark ones with bright ones on all four sides."""
    bright = garment > _DARK
    either = np.logical_or.accumulate
    sides = (
        view for axis in (0, 1) for view in (either(bright, axis), np.flip(either(np.flip(bright, axis), axis), axis))
    )
    filled: np.ndarray = np.logical_and.reduce(list(sides))
    return filled


def _resized(values: np.ndarray, side: int) -> np.ndarray:
    """Interpolate the last two axes linearly to `side`, in units of 1/256 of a pixel."""
    width = values.shape[-1]
    at = np.clip((2 * np.arange(side) + 1) * width * 128 // side - 128, 0, (width - 1) * 256)
    low, share = at >> 8, at & 255
    high = np.minimum(low + 1, width - 1)
    wide = values.astype(np.int32)
    rows = wide[..., low, :] * (256 - share)[:, None] + wide[..., high, :] * share[:, None]
    resized: np.ndarray = (rows[..., low] * (256 - share) + rows[..., high] * share) >> 16
    return resized
