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
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in parts))
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


FRONT = ("exif", "text", "xmp")
"""Where the orientation of a PNG stands before its pixels."""


def turned(path: Path, way: str) -> Path:
    """Write into a PNG that it is to be turned by a quarter: as EXIF, as text or in XMP, some `behind` the pixels."""
    exif = Image.Exif()
    exif[0x0112] = 6
    quarter = exif.tobytes().removeprefix(b"Exif\0\0")
    exif[0x0112] = 1
    chunk = {
        "exif": (b"eXIf", quarter),
        "text": (b"tEXt", f"Raw profile type exif\0\nexif\n{len(quarter):8}\n{quarter.hex()}\n".encode()),
        "xmp": (b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'),
        "straight": (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")),
    }
    before, behind = {
        "behind": ((), ("exif",)), "text behind": ((), ("text",)), "turned back": (("xmp",), ("straight",)),
    }.get(way, ((way,), ()))  # fmt: skip
    content = path.read_bytes()
    for names, place in ((behind, len(content) - 12), (before, 33)):  # before IEND, and behind IHDR
        written = b"".join(_chunk(*chunk[name]) for name in names)
        content = content[:place] + written + content[place:]
    path.write_bytes(content)
    return path


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
