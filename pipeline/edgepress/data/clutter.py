"""`clutter`: garments and a box around each: 1,600 train, 250 validation, 1,000 test.

Composed as `scenes` is, of the images of `fashion-mnist-10k` (MIT licence), each split of the images of the same split.
A picture of 96 × 96 pixels has one to six garments of 20 to 48 pixels, which cover each other, among fragments of noise
and lines that are nothing. A garment of which less than a quarter is to be seen has a box that does not count. All
arithmetic is on integers, and the numbers are from `RandomState`, whose stream numpy has frozen (NEP 19).
"""

from __future__ import annotations

import numpy as np

from . import fashion_mnist_10k
from .dataset import Dataset, Split, measured
from .scenes import GROUPS, backgrounds, put
from .targets.boxes import CLASS, COUNTS, VISIBLE, none

LABELS = ("top", "trouser", "dress", "shoe", "bag")
SIZES = {"train": 1_600, "validation": 250, "test": 1_000}
SIDE = 96
MOST = 6
_SMALLEST, _LARGEST = 20, 48
_LINES = 8


def read() -> Dataset:
    source = fashion_mnist_10k.read()
    splits = {}
    for seed, (name, count) in enumerate(SIZES.items()):
        x, y = source[name]
        splits[name] = Split(*draw(x[:, 0], GROUPS[y] - 1, count, seed))
    input = measured("input", "image", splits["train"].x[:], scale=1 / 255)
    return Dataset("clutter", LABELS, splits, (input,), "detection", source="fashion-mnist-10k, composed")


def draw(images: np.ndarray, classes: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Compose `count` pictures uint8 (count, 3, side, side) of `images` uint8 (m, 28, 28), and their boxes.

    Boxes are float32 (count, MOST, 6) as `targets.boxes` has them, around what is of the garment, covered or not. All
    classes are as frequent. The same arguments give the same bytes.
    """
    random = np.random.RandomState(seed)
    pictures = backgrounds(random, count, SIDE)
    boxes = none((count, MOST, 6))
    pools = [np.flatnonzero(classes == label) for label in np.unique(classes)]
    for picture, rows in zip(pictures, boxes, strict=True):
        _lines(random, picture)
        owner = np.full((SIDE, SIDE), -1)
        whole = []
        for place in range(random.randint(1, MOST + 1)):
            pool = pools[random.randint(len(pools))]
            row = pool[random.randint(len(pool))]
            size = random.randint(_SMALLEST, _LARGEST + 1)
            top, left = random.randint(0, SIDE - size + 1, 2)
            solid = put(random, picture, images[row], top, left, size)
            down, across = np.nonzero(solid)
            rows[place] = left + across.min(), top + down.min(), left + across.max() + 1, top + down.max() + 1, 0, 1
            rows[place, CLASS] = classes[row]
            owner[top : top + size, left : left + size][solid] = place
            whole.append(int(solid.sum()))
        seen = np.bincount(owner[owner >= 0], minlength=len(whole))
        rows[: len(whole), COUNTS] = seen >= VISIBLE * np.array(whole)
    pictures += random.randint(-12, 13, pictures.shape, np.int16)
    return np.clip(pictures, 0, 255).astype(np.uint8), boxes


def _lines(random: np.random.RandomState, picture: np.ndarray) -> None:
    """Draw bars of random colours, upright or level: what has edges, and is nothing."""
    for _ in range(random.randint(0, _LINES + 1)):
        top, left = random.randint(0, SIDE, 2)
        length, width = random.randint(4, 30), random.randint(1, 4)
        high, wide = (length, width) if random.randint(2) else (width, length)
        picture[:, top : top + high, left : left + wide] = random.randint(20, 256, (3, 1, 1))
