"""Wrong folders of images with their masks or target pictures, and exactly what is said about them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .made import photo
from .wrong_targets import COUNT, SIDE, mask, pairs


def splits(where: Path, *more: str) -> dict[str, Any]:
    """Three splits of pairs, and `more` folders or pairs beside them; `.` is a loose pair."""
    for top in ("train", "val", "test", *more):
        for number in range(3):
            photo(where / "photos" / top / f"{number}.png", (SIDE, SIDE))
            mask(where / "masks" / top / f"{number}.png")
    return {"from": "./photos", "masks": "./masks"}


def pictures(where: Path, large: tuple[int, int] = (2 * SIDE, 2 * SIDE), **changes: Any) -> dict[str, Any]:
    """Photos, and pictures of them of (width, height)."""
    for number in range(COUNT):
        photo(where / "photos" / f"{number:02}.png", (SIDE, SIDE))
        photo(where / "sharp" / f"{number:02}.png", large)
    return {"from": "./photos", "pictures": "./sharp", **changes}


def _spoilt(spoil: Callable[[Path], object], **changes: Any) -> Callable[[Path], dict[str, Any]]:
    def make(where: Path) -> dict[str, Any]:
        pairs(where)
        spoil(where)
        return {"from": "./photos", "masks": "./masks", **changes}

    return make


def _jpeg(where: Path) -> None:
    (where / "masks" / "03.png").unlink()
    mask(where / "masks" / "03.jpg")


def _packed(where: Path) -> None:
    """Write one mask as grey of 4 bits, of which Pillow makes 0, 17, …, 255."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = zlib.compress(b"".join(b"\0" + bytes([0x01]) * (SIDE // 2) for _ in range(SIDE)))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 4, 0, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (where / "masks" / "03.png").write_bytes(png)


def _one_size(where: Path) -> dict[str, Any]:
    options = pictures(where, size=8)
    photo(where / "sharp" / "04.png", (2 * SIDE, SIDE))
    return options


def _deep(where: Path) -> dict[str, Any]:
    options = pictures(where)
    Image.fromarray(np.full((SIDE, SIDE), 3000, np.uint16)).save(where / "sharp" / "07.png")
    return options


_LOSSLESS = "PNG files with a palette or in grey, whose values are the classes"
WRONG: dict[str, tuple[Callable[[Path], dict[str, Any]], str]] = {
    "a folder beside the splits": (
        lambda where: splits(where, "extra"),
        "error: `photos` has `test` and `train` and `val`, splits, beside `extra`\n"
        "  = help: move the others elsewhere or into a split, or rename folders that are no splits",
    ),
    "loose pairs beside the splits": (
        lambda where: splits(where, "."),
        "error: `photos` has `test` and `train` and `val`, splits, beside `0`, `1`, `2`\n"
        "  = help: move the others elsewhere or into a split, or rename folders that are no splits",
    ),
    "a mask as JPEG": (
        _spoilt(_jpeg),
        "error: `masks`: 1 of 20 masks cannot be read: 03.jpg (JPEG changes values of pixels, which are classes)\n"
        f"  = help: {_LOSSLESS}",
    ),
    "a mask of 4 bits": (
        _spoilt(_packed),
        "error: `masks`: 1 of 20 masks cannot be read: 03.png (its grey values are packed as L;4, and are others when "
        f"unpacked: save 8 bits)\n  = help: {_LOSSLESS}",
    ),
    "values with gaps": (
        _spoilt(lambda where: [mask(where / "masks" / f"0{number}.png", value=50 * number) for number in (2, 4)]),
        "error: `photos`: masks have the values 0, 1, 100, 200, and none has 2, 3, 4, 5, 6 and 192 more\n"
        "  = help: classes count from 0, and `labels` names each, also one without pixels; else change the values",
    ),
    "more labels than a mask has values": (
        _spoilt(lambda where: None, labels=[f"class {number}" for number in range(256)]),
        "error: `photos`: there are 256 `labels`, and masks have 255 at most\n  = help: 255 is void",
    ),
    "a picture of another factor": (
        _one_size,
        "error: `sharp`: 1 of 20 pictures are not 2 times as large as their image, in pixels: `04.png` 16 × 32, its "
        "image 16 × 16\n  = help: all as large as their image, or larger by one whole factor on both sides",
    ),
    "pictures of no whole factor": (
        lambda where: pictures(where, (24, 24), size=8),
        "error: `sharp`: 20 of 20 pictures are not as large as their image, in pixels: "
        + ", ".join(f"`0{number}.png` 24 × 24, its image 16 × 16" for number in range(5))
        + " and 15 more\n  = help: all as large as their image, or larger by one whole factor on both sides",
    ),
    "a depth as pictures": (
        _deep,
        "error: `sharp`: 1 of 20 pictures have 16 bits a channel, and 8 are read: `07.png`\n"
        "  = help: save colours with 8 bits; other values, such as a depth, are float32 `y` of an .npz, `task: image`",
    ),
    "masks without labels": (
        _spoilt(lambda where: None, labels="none"),
        "mine.yaml:1:7: `data`: `labels: none` is for examples without targets, and `masks` is about them\n"
        '   1 | data: {"from": "./photos", "masks": "./masks", "labels": "none"}\n'
        "     |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "     = help: take one out",
    ),
    "identities without labels": (
        lambda where: pictures(where) and {"from": "./photos", "task": "embedding", "labels": "none"},
        "mine.yaml:1:7: `data`: `labels: none` is for examples without targets, and `task: embedding` is about them\n"
        '   1 | data: {"from": "./photos", "task": "embedding", "labels": "none"}\n'
        "     |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "     = help: take one out",
    ),
}
