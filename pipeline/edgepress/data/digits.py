"""`digits`: 1,797 images of 8 × 8 from scikit-learn; small and easy, for unit tests."""

from __future__ import annotations

import numpy as np

from .dataset import Dataset, Split, images


def read() -> Dataset:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = np.round(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    y = bunch.target.astype(np.int64)
    order = np.random.default_rng(0).permutation(len(x))
    first, second = int(0.6 * len(x)), int(0.8 * len(x))
    parts = {"train": order[:first], "validation": order[first:second], "test": order[second:]}
    splits = {name: Split(x[rows], y[rows]) for name, rows in parts.items()}
    return images("digits", tuple("0123456789"), splits, "scikit-learn load_digits")
