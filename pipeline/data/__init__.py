"""Data sets: integer pixels and labels, in three disjoint splits, read into memory once.

`train` is learnt from, `validation` decides (selection, calibration), `test` is only reported.
"""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import UserError, suggest

if TYPE_CHECKING:
    import numpy as np

NAMES = ("digits", "fashion-mnist", "fashion-mnist-10k")
"""What a recipe's `task: {data: …}` may say; each is a module here, with `read() -> Splits`."""

METRICS = ("accuracy",)


class Split(NamedTuple):
    """Images as uint8 of shape (n, channels, height, width) and labels as int64 of shape (n,)."""

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """A data set as stages see it; `mean` and `std` are of the training pixels scaled to 0…1, one a channel."""

    name: str
    labels: tuple[str, ...]
    splits: dict[str, Split]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str = field(default="", compare=False)

    def __getitem__(self, split: str) -> Split:
        return self.splits[split]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        channels, height, width = self.splits["train"].x.shape[1:]
        return channels, height, width

    @cached_property
    def digest(self) -> str:
        """SHA-256 over every pixel and label of every split."""
        total = hashlib.sha256(repr((self.name, self.labels, self.mean, self.std)).encode())
        for name in sorted(self.splits):
            for array in self.splits[name]:
                total.update(repr((name, array.shape, str(array.dtype))).encode())
                total.update(array.tobytes())
        return total.hexdigest()

    def normalised(self, x: np.ndarray) -> np.ndarray:
        """uint8 pixels → float32 as the models take them: scaled to 0…1, less the mean, over the deviation."""
        import numpy as np

        shape = (1, -1, 1, 1)
        mean = np.asarray(self.mean, np.float32).reshape(shape)
        std = np.asarray(self.std, np.float32).reshape(shape)
        normal: np.ndarray = (x.astype(np.float32) / np.float32(255) - mean) / std
        return normal

    def limited(self, count: int) -> Dataset:
        """The first `count` examples of each split, for a smoke run."""
        splits = {name: Split(split.x[:count], split.y[:count]) for name, split in self.splits.items()}
        return Dataset(self.name, self.labels, splits, self.mean, self.std, self.source)


def load(name: str, limit: int | None = None) -> Dataset:
    """The data set called `name`; `UserError` when it is unknown or not on this machine."""
    if name not in NAMES:
        raise UserError(f"unknown data set `{name}`", suggest(name, NAMES))
    data: Dataset = importlib.import_module(f".{name.replace('-', '_')}", __name__).read()
    return data if limit is None else data.limited(limit)


def described(
    name: str,
    labels: tuple[str, ...],
    splits: dict[str, Split],
    source: Path | str,
    moments: tuple[float, float] | None = None,
) -> Dataset:
    """A `Dataset` with the mean and deviation given, or those of its training pixels, rounded to read well."""
    import numpy as np

    if moments is not None:
        return Dataset(name, labels, splits, (moments[0],), (moments[1],), str(source))
    pixels = splits["train"].x.astype(np.float64) / 255
    mean = tuple(round(float(v), 4) for v in pixels.mean(axis=(0, 2, 3)))
    std = tuple(round(max(float(v), 1e-4), 4) for v in pixels.std(axis=(0, 2, 3)))
    return Dataset(name, labels, splits, mean, std, str(source))
