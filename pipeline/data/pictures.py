"""Image files to pixels, decoded once into memory."""

from __future__ import annotations

import os
import struct
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import UserError
from ..units import show_bytes
from .examples import several
from .source import Source

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
LARGEST = 89_478_485
"""Pixels; Pillow's own bound against files that unpack to fill the memory."""
_WIDE = ("I;16", "I;16B", "I;16L", "I")
"""Pillow's modes of 16-bit grey."""
_GREY = {"1", "L", "LA", "La", *_WIDE}
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
"""What Pillow's decoders raise for bad files."""
_TURNED = (5, 6, 7, 8)
"""EXIF orientations that swap height and width."""

Found = TypeVar("Found")


class Header(NamedTuple):
    height: int
    width: int
    grey: bool


def read(paths: Sequence[Path], root: Path, source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (n, channels, height, width), and which of `paths` they are, (n,).

    EXIF orientation is followed, transparency is laid on white, 16-bit grey is divided by 257, and of an animation the
    first picture counts. Only what `unreadable: skip` allows is left out.

    Raises: UserError for files that cannot be read, for sizes that differ while no `size` is given, and for more than
    half of the free memory.
    """
    with _quiet():
        headers, wrong = _each(_header, paths, root)
        kept = _kept(np.arange(len(paths)), headers, wrong, root, source)
        grey = source.color == "grey" or (source.color is None and all(headers[i].grey for i in kept))
        size = _size([headers[i] for i in kept], root, source)
        channels = 1 if grey else 3
        bounded(len(kept) * channels * size[0] * size[1], f"{len(kept)} images of {size[0]} × {size[1]}", root.name)
        images, wrong = _each(
            partial(_pixels, grey=grey, size=size, resize=source.resize, bgr=source.color == "bgr"),
            [paths[i] for i in kept],
            root,
        )
        good = _kept(kept, images, wrong, root, source)
    found = [image for image in images if image is not None]
    return np.stack(found), good


def bounded(needed: int, what: str, name: str) -> None:
    """Raises: UserError when `needed` bytes are more than half of the free memory."""
    free = free_memory()
    if free is not None and needed > free / 2:
        raise UserError(
            f"`{name}`: {what} take {show_bytes(needed)}, more than half of the free {show_bytes(free)}",
            "write a smaller `size`, or take fewer",
        )


def free_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not tell."""
    info = Path("/proc/meminfo")
    if not info.is_file():
        return None
    lines = dict(line.split(":", 1) for line in info.read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in lines else None


@contextmanager
def _quiet() -> Iterator[None]:
    """Pillow warns of large images and odd EXIF; sizes are judged here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _each(work: Callable[[Path], Found], paths: Sequence[Path], root: Path) -> tuple[list[Found | None], list[str]]:
    """`work` on every path in threads, and what could not be read, with the reason."""

    def attempt(path: Path) -> tuple[Found | None, str]:
        try:
            return work(path), ""
        except _BROKEN as error:
            return None, f"{path.relative_to(root)} ({_reason(error)})"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(attempt, paths))
    return [result for result, _ in results], [reason for _, reason in results if reason]


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "no image"
    if isinstance(error, Image.DecompressionBombError):
        return "it is too large to be a photo"
    if "truncated" in str(error).lower():
        return "truncated"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _kept(rows: np.ndarray, results: Sequence[object], wrong: Sequence[str], root: Path, source: Source) -> np.ndarray:
    if wrong and source.unreadable == "refuse":
        count = f"{len(wrong)} of {len(results)} image files cannot be read"
        raise UserError(f"`{root.name}`: {count}: {several(wrong)}", "mend them, or leave them out: `unreadable: skip`")
    kept = rows[[result is not None for result in results]]
    if not len(kept):
        raise UserError(f"`{root.name}`: none of {len(rows)} image files can be read: {several(wrong)}")
    return kept


def _header(path: Path) -> Header:
    """What the first bytes say; nothing is decoded."""
    with Image.open(path) as image:
        width, height = image.size
        if width * height > LARGEST:
            raise ValueError(f"{width * height / 1e6:.0f} megapixels, and the most is {LARGEST / 1e6:.0f}")
        if image.mode == "F":
            raise ValueError("its pixels are floating-point numbers")
        # Pillow turns a TIFF itself, and decodes a whole PNG to look for EXIF behind the pixels.
        plain = image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info)
        exif = {} if plain else image.getexif()
        turned = exif.get(0x0112) in _TURNED
        return Header(width if turned else height, height if turned else width, image.mode in _GREY)


def _size(headers: Sequence[Header], root: Path, source: Source) -> tuple[int, int]:
    if source.size is not None:
        return (source.size, source.size) if isinstance(source.size, int) else source.size
    sizes = Counter((header.height, header.width) for header in headers)
    (most, count), *others = sizes.most_common()
    if others:
        shown = several([f"{height} × {width} ({number})" for (height, width), number in sizes.most_common()])
        shorter = sorted(min(size) for size in sizes.elements())[len(headers) // 2]
        raise UserError(
            f"`{root.name}`: the images are of {len(sizes)} sizes: {shown}",
            f"write `size: {min(max(shorter, 8), 224)}`, or another number of pixels",
        )
    if min(most) < 8:
        every = "the image is" if count == 1 else f"all {count} images are"
        raise UserError(
            f"`{root.name}`: {every} {most[0]} × {most[1]} pixels",
            "8 is the least; `size: 32` would enlarge them",
        )
    return most


def _pixels(path: Path, *, grey: bool, size: tuple[int, int], resize: str, bgr: bool = False) -> np.ndarray:
    """One image (channels, *size)."""
    mode, (height, width) = "L" if grey else "RGB", size
    with Image.open(path) as image:
        # A JPEG is decoded at ½, ¼ or ⅛ where that leaves twice what is needed; orientation may swap the sides.
        side = 2 * max(size)
        image.draft(mode, (side, side))
        image.load()
        upright = _flat(ImageOps.exif_transpose(image), mode)
    if upright.size != (width, height):
        if resize == "crop":
            upright = ImageOps.fit(upright, (width, height), Image.Resampling.BILINEAR)
        elif resize == "squash":
            upright = upright.resize((width, height), Image.Resampling.BILINEAR)
        else:
            upright = _padded(upright, width, height)
    pixels = np.asarray(upright)
    return pixels[None] if grey else np.ascontiguousarray(pixels.transpose(2, 0, 1)[:: -1 if bgr else 1])


def _flat(image: Image.Image, mode: str) -> Image.Image:
    """The image as `L` or `RGB`."""
    if image.mode in _WIDE:
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError("its pixels are wider than 16 bits")
        image = Image.fromarray(np.round(values / 257).astype(np.uint8))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def _padded(image: Image.Image, width: int, height: int) -> Image.Image:
    """The whole image in the middle of black; Pillow's own rounds a very long one to no pixels."""
    scale = min(width / image.width, height / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    page = Image.new(image.mode, (width, height))
    page.paste(image.resize(inner, Image.Resampling.BILINEAR), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return page
