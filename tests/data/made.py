"""Small data of a user's, made on the spot."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def photo(
    path: Path, size: tuple[int, int] = (12, 12), mode: str = "RGB", seed: object = None, **options: object
) -> Path:
    """A noisy picture of (width, height), a different one for each path."""
    random = np.random.default_rng(zlib.crc32(str(seed or path).encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, **options)
    return path


def photos(folder: Path, each: int = 10, classes: tuple[str, ...] = ("cat", "dog"), suffix: str = ".png") -> Path:
    """`each` pictures of every class."""
    for label in classes:
        for number in range(each):
            photo(folder / label / f"{number:02}{suffix}", seed=f"{label}{number}")
    return folder


def header_only(path: Path, width: int, height: int) -> Path:
    """A PNG that says how large it is, and holds no pixels."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(b)) + a + b + struct.pack(">I", zlib.crc32(a + b)) for a, b in parts]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def table(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def arrays(path: Path, **changes: object) -> Path:
    """An .npz of 20 rows of numbers in two classes, with `changes`; None leaves an array out."""
    random = np.random.default_rng(0)
    given: Mapping[str, object] = {
        "x": random.normal(size=(20, 3)).astype(np.float32),
        "y": np.arange(20) % 2,
    } | changes
    np.savez(path, **{name: value for name, value in given.items() if value is not None})
    return path
