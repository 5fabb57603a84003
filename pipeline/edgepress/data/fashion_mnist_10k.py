"""`fashion-mnist-10k`: balanced subset: 7,000 train, 1,000 validation, 2,000 test; shipped.

The 8,000 images for training and validation are from the official training split, the 2,000 for test from the official
test split (MIT licence). The validation images are among those that the full set keeps for validation, so a teacher
trained on the full set has not seen them in training.
`python -m edgepress.data.fashion_mnist_10k` makes the file anew from the full set, the same bytes of data each time.
"""

from __future__ import annotations

import numpy as np

from ..core.paths import SHIPPED, replacing
from .dataset import Dataset, Split, images
from .fashion_mnist import LABELS, MOMENTS
from .fashion_mnist import read as read_full

FILE = SHIPPED / "fashion-mnist-10k.npz"
SIZES = {"train": 7_000, "validation": 1_000, "test": 2_000}


def read() -> Dataset:
    with np.load(FILE) as stored:
        splits = {name: Split(stored[f"{name}_x"], stored[f"{name}_y"].astype(np.int64)) for name in SIZES}
    return images("fashion-mnist-10k", LABELS, splits, FILE.name, MOMENTS)


def make() -> None:
    """Draw the same number of each class from every split of the full set, and write them compressed."""
    full, random = read_full(), np.random.default_rng(0)
    arrays = {}
    for name, size in SIZES.items():
        x, y = full[name]
        per_class = size // len(LABELS)
        rows = np.concatenate(
            [random.choice(np.flatnonzero(y == c), per_class, replace=False) for c in range(len(LABELS))]
        )
        random.shuffle(rows)
        arrays[f"{name}_x"], arrays[f"{name}_y"] = x[rows], y[rows].astype(np.uint8)
    with replacing(FILE) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


if __name__ == "__main__":
    make()
