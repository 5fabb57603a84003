"""`sensor`: seven shoulder exercises from a smartwatch (Burns et al., 2018; `seglearn`).

Published as arXiv:1802.01489; BSD licence.

140 recordings of 10 people, 3 axes of acceleration (g) and 3 of rotation (rad/s) at 50 Hz, as windows of 2 s that
overlap by half. Nobody is in two splits: people move differently, and a watch meets people it has not learnt from.
The file is the one pickle that is read: its digest is checked, and nothing but numpy arrays can come out of it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import UserError
from .dataset import Dataset, Split, measured

SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"
LABELS = (
    "pendulum", "abduction", "forward elevation", "internal rotation", "external rotation", "trapezius extension",
    "upright row",
)  # fmt: skip
PEOPLE = {"train": range(1, 7), "validation": range(7, 9), "test": range(9, 11)}
LENGTH, STEP = 100, 50
"""Samples of a window, and from one window to the next."""

_INSTALL = "`pip install seglearn`"
_HEADER = 128
"""Bytes before the pickle in a version 1 .npy file this small."""
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


def read() -> Dataset:
    path = _file()
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise UserError(f"`{path}` is not the file that this data set is made of", f"{_INSTALL} installs the right one")
    stored = unpickle(content[_HEADER:]).item()
    splits = {name: _windows(stored, people, seed) for seed, (name, people) in enumerate(PEOPLE.items())}
    return Dataset("sensor", LABELS, splits, (measured("input", "series", splits["train"].x[:]),), source=path.name)


def unpickle(content: bytes) -> Any:
    """Load a pickle of numpy arrays; `UserError` when it refers to anything else."""
    return _Unpickler(io.BytesIO(content)).load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise UserError(f"a data file refers to `{module}.{name}`, which is not an array", _INSTALL)
        return super().find_class(module, name)


def _file() -> Path:
    """Find the data inside `seglearn` without importing it: it would import pandas, which it does not install."""
    package = importlib.util.find_spec("seglearn")
    for folder in (package and package.submodule_search_locations) or ():
        path = Path(folder) / "data" / "watch_dataset.npy"
        if path.is_file():
            return path
    raise UserError("the data of `sensor` is not installed", _INSTALL)


def _windows(stored: dict[str, Any], people: range, seed: int) -> Split:
    """Cut windows (n, 6, LENGTH) of all recordings of `people`, shuffled: the first ones are of all exercises."""
    x, y = [], []
    for series, label, person in zip(stored["X"], stored["y"], stored["subject"], strict=True):
        if person in people:
            windows = np.lib.stride_tricks.sliding_window_view(series, LENGTH, axis=0)[::STEP]
            x.append(windows.astype(np.float32))
            y.append(np.full(len(windows), label, np.int64))
    order = np.random.default_rng(seed).permutation(sum(map(len, y)))
    return Split(np.concatenate(x)[order], np.concatenate(y)[order])
