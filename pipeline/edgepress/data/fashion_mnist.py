"""`fashion-mnist`: full set (Xiao et al., 2017): 55,000 train, 5,000 validation, 10,000 test.

Read from a folder with the four IDX files; `EDGEPRESS_FASHION_MNIST` names it, Debian's `dataset-fashion-mnist`
installs one. With `EDGEPRESS_DOWNLOAD=1` torchvision downloads it.
"""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import numpy as np

from ..core import foreign
from ..core.errors import UserError
from .dataset import Dataset, Split, images

LABELS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
MOMENTS = (0.286, 0.353)
"""Mean and deviation of the official training pixels; the same for both sizes, so that models can move between them."""
VALIDATION = 5_000
"""The last images of the official training set; the 10k set takes its validation images from them too."""

_LARGEST = 16 + 60_000 * 28 * 28
"""Bytes of its largest file, unpacked."""

_FOLDERS = (
    Path("/usr/share/datasets/fashion-mnist"),
    Path("~/.cache/edgepress/FashionMNIST/raw").expanduser(),
)


def read() -> Dataset:
    folder = _folder()
    x, y = _official(folder, "train")
    splits = {
        "train": Split(x[:-VALIDATION], y[:-VALIDATION]),
        "validation": Split(x[-VALIDATION:], y[-VALIDATION:]),
        "test": Split(*_official(folder, "t10k")),
    }
    return images("fashion-mnist", LABELS, splits, folder, MOMENTS)


def _folder() -> Path:
    named = os.environ.get("EDGEPRESS_FASHION_MNIST")
    for folder in [Path(named)] if named else _FOLDERS:
        if (folder / "train-images-idx3-ubyte.gz").is_file():
            return folder
    if named:
        raise UserError(f"`{named}` has no train-images-idx3-ubyte.gz", "EDGEPRESS_FASHION_MNIST names the folder")
    if os.environ.get("EDGEPRESS_DOWNLOAD") == "1":
        return _download(_FOLDERS[1])
    raise UserError(
        "the full Fashion-MNIST is not on this machine",
        "`apt install dataset-fashion-mnist`, or EDGEPRESS_FASHION_MNIST=FOLDER with its four .gz files, or "
        "EDGEPRESS_DOWNLOAD=1 to let torchvision fetch it; `fashion-mnist-10k` needs none of these",
    )


def _download(raw: Path) -> Path:
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(str(raw.parent.parent), download=True)
    except (OSError, RuntimeError) as error:
        raise UserError(f"Fashion-MNIST could not be downloaded: {error}", "is there a network?") from error
    return raw


def _official(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Read images (n, 1, 28, 28) and labels (n,) of `train` or `t10k` from IDX files (headers of 16 and 8 bytes)."""
    pixels = _bytes(folder / f"{part}-images-idx3-ubyte.gz", header=16)
    labels = _bytes(folder / f"{part}-labels-idx1-ubyte.gz", header=8)
    if not len(labels) or len(pixels) != len(labels) * 28 * 28:
        raise UserError(
            f"`{folder}` has {len(labels)} {part} labels and {len(pixels) / 28**2:g} images",
            "fetch its four files anew",
        )
    return pixels.reshape(-1, 1, 28, 28), labels.astype(np.int64)


def _bytes(path: Path, *, header: int) -> np.ndarray:
    foreign.size(path)
    try:
        with gzip.open(path) as file:
            content = file.read(_LARGEST + 1)  # no more: a megabyte may unpack to a gigabyte
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"`{path}` cannot be read: {error}", "fetch the four files anew") from error
    if len(content) > _LARGEST:
        raise UserError(f"`{path}` unpacks to more than its images", "fetch the four files anew")
    return np.frombuffer(content[header:], np.uint8)
