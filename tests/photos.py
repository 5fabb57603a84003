"""`python -m tests.photos FOLDER [--count 3000]`: JPEGs of clothes in ten folders, as a user would bring them.

Each is a shipped Fashion-MNIST picture, drawn large in a colour of its own, somewhere on a coloured, uneven and noisy
background; the same bytes each time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from edgepress.data.load import load_dataset
from PIL import Image

SIDE = 96


def make(folder: Path, count: int = 3000) -> None:
    """Write `count` photos of `SIDE` pixels, as many of each class."""
    clothes = load_dataset("fashion-mnist-10k")
    x = np.concatenate([clothes[name].x for name in clothes.splits])[:, 0]
    y = np.concatenate([clothes[name].y for name in clothes.splits])
    random = np.random.default_rng(0)
    for index, label in enumerate(clothes.labels):
        place = folder / label.replace("/", "-")
        place.mkdir(parents=True, exist_ok=True)
        each = count // len(clothes.labels) + (index < count % len(clothes.labels))
        for number, row in enumerate(random.choice(np.flatnonzero(y == index), each, replace=False)):
            photo = Image.fromarray(drawn(x[row], random))
            photo.save(place / f"{number:04}.jpg", quality=int(random.integers(75, 96)))


def drawn(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A photo (SIDE, SIDE, 3) of a grey picture (28, 28)."""
    side = int(random.integers(52, 89))
    large = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
    top, left = random.integers(0, SIDE - side + 1, 2)
    light = np.zeros((SIDE, SIDE, 1), np.float32)
    light[top : top + side, left : left + side, 0] = np.asarray(large) / 255
    color, ground = random.uniform(60, 255, 3), random.uniform(0, 255, 3)
    # Bright on dark or dark on bright: where the two are alike, the ground gives way.
    if abs(color.mean() - ground.mean()) < 60:
        ground = (ground + 128) % 256
    coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    uneven = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32) - 128
    cloth = color * (0.35 + 0.65 * light)
    cover = np.clip(light * 4, 0, 1)
    photo = cover * cloth + (1 - cover) * (ground + 0.3 * uneven) + random.normal(0, 8, (SIDE, SIDE, 3))
    found: np.ndarray = np.clip(np.round(photo), 0, 255).astype(np.uint8)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=3000)
    given = parser.parse_args()
    make(given.folder, given.count)
