"""Decode what belongs to images: their masks, or the pictures that a model is to make of them.

A mask has its image's size, a picture one whole multiple of it; both are cropped and resized as the image is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ..core.errors import UserError
from ..core.metrics import VOID
from . import files, images
from .images import Header
from .source import Source
from .targets.picture import scale
from .words import by, several

_INDEXED = ("P", "L", "1")
"""Pillow's modes whose pixels are one number of 8 bits."""
_EXACT = ("PNG", "BMP", "GIF", "TIFF", "PPM")
"""Formats that keep the number of each pixel."""


def masks(paths: list[Path], photos: list[Path], root: Path, source: Source, size: tuple[int, int]) -> np.ndarray:
    """Return masks uint8 (n, *size). Raises: UserError."""
    with images.quiet():
        own, wrong = images.on_all(images.header, paths, root)
        theirs, _ = images.on_all(images.header, photos, photos[0].parent)
    _readable(wrong, len(paths), root)
    odd = [
        _sizes(file, root, mask, photo)
        for file, mask, photo in zip(paths, own, theirs, strict=True)
        if mask and photo and mask[:2] != photo[:2]
    ]
    if odd:
        raise UserError(
            f"`{root.name}`: {len(odd)} of {len(paths)} masks are of another size than their image, in pixels: "
            f"{several(odd)}",
            "a mask has a class for each pixel of its image",
        )
    images.bounded(len(paths) * size[0] * size[1], f"{len(paths)} masks of {by(size)}", root.name)
    with images.quiet():
        decoded, wrong = images.on_all(partial(_mask, size=size, resize=source.resize), paths, root)
    _readable(wrong, len(paths), root)
    count = len(source.listed)
    outside = [
        f"`{file.relative_to(root).as_posix()}` {worst}"
        for file, mask in zip(paths, decoded, strict=True)
        if count and mask is not None and (worst := int(mask[mask != VOID].max(initial=0))) >= count
    ]
    if outside:
        raise UserError(
            f"`{root.name}`: {len(outside)} of {len(paths)} masks have a value outside of the {count} `labels`, which "
            f"count from 0: {several(outside)}",
            f"list a label for each class; {VOID} marks pixels that do not count",
        )
    return np.stack([mask for mask in decoded if mask is not None])


def pictures(paths: list[Path], photos: list[Path], root: Path, source: Source, size: tuple[int, int]) -> np.ndarray:
    """Return pictures uint8 (n, channels, height, width), of a multiple of `size` on both sides. Raises: UserError."""
    with images.quiet():
        deep, _ = images.on_all(_deep, paths, root)  # what cannot be read is told by `files.read`
        own, _ = images.on_all(images.header, paths, root)
        theirs, _ = images.on_all(images.header, photos, photos[0].parent)
    if cut := [f"`{path.relative_to(root).as_posix()}`" for path, found in zip(paths, deep, strict=True) if found]:
        raise UserError(
            f"`{root.name}`: {len(cut)} of {len(paths)} pictures have 16 bits a channel, and 8 are read: "
            f"{several(cut)}",
            "save colours with 8 bits; other values, such as a depth, are float32 `y` of an .npz, `task: image`",
        )
    factors = [scale(photo[:2], picture[:2]) if picture and photo else None
               for picture, photo in zip(own, theirs, strict=True)]  # fmt: skip
    usual = max(Counter(filter(None, factors)).items(), key=lambda item: item[1], default=(1, 0))[0]
    odd = [
        _sizes(file, root, picture, photo)
        for file, picture, photo, factor in zip(paths, own, theirs, factors, strict=True)
        if picture and photo and factor != usual
    ]
    if odd:
        as_large = "as large as" if usual == 1 else f"{usual} times as large as"
        raise UserError(
            f"`{root.name}`: {len(odd)} of {len(paths)} pictures are not {as_large} their image, in pixels: "
            f"{several(odd)}",
            "all as large as their image, or larger by one whole factor on both sides",
        )
    changes = {"color": None, "unreadable": "refuse", "size": (size[0] * usual, size[1] * usual)}
    return files.whole(files.read(paths, root, source.model_copy(update=changes), times=usual)[0])


def _sizes(file: Path, root: Path, own: Header, image: Header) -> str:
    return f"`{file.relative_to(root).as_posix()}` {by(own[:2])}, its image {by(image[:2])}"


def _deep(path: Path) -> bool:
    """Tell whether a picture has 16 bits a channel, of which Pillow keeps 8."""
    with images.opened(path) as image:
        return image.mode in images.WIDE or ";16" in images.packed(image)


def _mask(path: Path, *, size: tuple[int, int], resize: str) -> np.ndarray:
    """Decode a mask: palette indices or grey values, (*size); what `pad` adds is void."""
    with images.opened(path) as image:
        if image.format not in _EXACT or image.info.get("compression") in ("jpeg", "webp"):
            raise ValueError(f"{image.format} changes values of pixels, which are classes")
        if image.mode not in _INDEXED:
            raise ValueError(f"its pixels are {image.mode}, and those of a mask are one number of 8 bits")
        if (packing := images.packed(image)).startswith("L;"):
            raise ValueError(f"its grey values are packed as {packing}, and are others when unpacked: save 8 bits")
        image.load()
        upright = ImageOps.exif_transpose(image)
        indices = Image.fromarray(np.asarray(upright).astype(np.uint8))  # of a palette the indices, not the colours
    return np.asarray(images.sized(indices, size, resize, nearest=True, fill=VOID))


def _readable(wrong: Sequence[str], count: int, root: Path) -> None:
    if wrong:
        raise UserError(
            f"`{root.name}`: {len(wrong)} of {count} masks cannot be read: {several(wrong)}",
            "PNG files with a palette or in grey, whose values are the classes",
        )
