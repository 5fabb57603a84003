"""Decode what belongs to images: their masks, or the pictures that a model is to make of them.

A mask has its image's size, a picture one whole multiple of it; both are cropped and resized as the image is.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ..core import paths as of_paths
from ..core.errors import UserError
from ..core.metrics import VOID
from . import file_index, files, images
from .listing import below
from .source import Source
from .targets.picture import scale
from .words import by, several

_INDEXED = ("P", "L", "1")
"""Pillow's modes whose pixels are one number of 8 bits."""
_EXACT = ("PNG", "BMP", "GIF", "TIFF", "PPM")
"""Formats that keep the number of each pixel."""


def masks(paths: list[str], photos: files.Files, root: Path, source: Source, cache: Path | None) -> files.Files:
    """Return masks uint8 (n, height, width) of `photos`, examined and not kept. Raises: UserError."""
    size = (photos.shape[2], photos.shape[3])
    decode = partial(_mask, size=size, resize=source.resizing)
    made_by = repr(("masks", size, source.resizing))

    def examined(path: Path) -> file_index.Found:
        upright = _indices(path)
        values = _resized(upright, size, source.resizing)
        seen = np.bincount(values.reshape(-1), minlength=256) > 0
        digest = bytes.fromhex(of_paths.digest(path))
        return file_index.Found(images.header(path).turned_as(upright), digest, np.packbits(seen).tobytes())

    with images.quiet():
        names, records, wrong, _ = file_index.examine(paths, root, cache, examined, made_by)
    if wrong:
        raise UserError(
            f"`{root.name}`: {len(wrong)} of {len(paths)} masks cannot be read: {several(wrong)}",
            "PNG files with a palette or in grey, whose values are the classes",
        )
    if odd := np.flatnonzero(_sides(records) != _sides(photos.records)).tolist():
        raise UserError(
            f"`{root.name}`: {len(odd)} of {len(paths)} masks are of another size than their image, in pixels: "
            f"{several(_sizes(paths, root, records, photos, odd))}",
            "a mask has a class for each pixel of its image",
        )
    found = files.Files(root, names, records, decode, size, made_by, masks=True)
    if count := len(source.listed):
        values = np.unpackbits(records["seen"], axis=1)[:, :VOID] * np.arange(
            VOID, dtype=np.uint8
        )  # of each mask those that occur
        worst = values.max(axis=1)
        outside = [f"`{below(paths[row], root)}` {worst[row]}" for row in np.flatnonzero(worst >= count)]
        if outside:
            raise UserError(
                f"`{root.name}`: {len(outside)} of {len(paths)} masks have a value outside of the {count} `labels`, "
                f"which count from 0: {several(outside)}",
                f"list a label for each class; {VOID} marks pixels that do not count",
            )
    return found


def pictures(paths: list[str], photos: files.Files, root: Path, source: Source, cache: Path | None) -> files.Files:
    """Return pictures uint8 (n, channels, height, width), of a multiple of the photos' size; they are not kept.

    Raises: UserError.
    """
    with images.quiet():
        _, records, _, readable = file_index.examine(paths, root, cache)  # what is unreadable is told by `files.read`
    if cut := [f"`{below(paths[row], root)}`" for row in np.flatnonzero(records["deep"])]:
        raise UserError(
            f"`{root.name}`: {len(cut)} of {len(paths)} pictures have 16 bits a channel, and 8 are read: "
            f"{several(cut)}",
            "save colours with 8 bits; other values, such as a depth, are float32 `y` of an .npz, `task: image`",
        )
    factors = [scale(image, picture) if there else None for image, picture, there in
               zip(_sides(photos.records).tolist(), _sides(records).tolist(), readable, strict=True)]  # fmt: skip
    usual = max(Counter(filter(None, factors)).items(), key=lambda item: item[1], default=(1, 0))[0]
    if odd := [row for row, factor in enumerate(factors) if readable[row] and factor != usual]:
        as_large = "as large as" if usual == 1 else f"{usual} times as large as"
        raise UserError(
            f"`{root.name}`: {len(odd)} of {len(paths)} pictures are not {as_large} their image, in pixels: "
            f"{several(_sizes(paths, root, records, photos, odd))}",
            "all as large as their image, or larger by one whole factor on both sides",
        )
    size = (photos.shape[2] * usual, photos.shape[3] * usual)
    changes = {"color": None, "unreadable": "refuse", "size": size}
    return files.read(paths, root, source.model_copy(update=changes), times=usual, cache=cache)[0]


def _sides(records: np.ndarray) -> np.ndarray:
    """Return height and width of each file in pixels, a structured array (n,)."""
    return records[["height", "width"]]


def _sizes(paths: list[str], root: Path, own: np.ndarray, photos: files.Files, rows: list[int]) -> list[str]:
    """Describe the sizes of files and of their images."""
    both = (_sides(records)[rows].tolist() for records in (own, photos.records))
    return [
        f"`{below(paths[row], root)}` {by(one)}, its image {by(image)}"
        for row, one, image in zip(rows, *both, strict=True)
    ]


def _mask(path: Path, *, size: tuple[int, int], resize: str) -> np.ndarray:
    """Decode a mask: palette indices or grey values, (*size); what `pad` adds is void."""
    return _resized(_indices(path), size, resize)


def _resized(indices: Image.Image, size: tuple[int, int], resize: str) -> np.ndarray:
    return np.asarray(images.sized(indices, size, resize, nearest=True, fill=VOID))


def _indices(path: Path) -> Image.Image:
    """Decode a mask in its own size, upright; of a palette the indices, not the colours."""
    with images.opened(path) as image:
        if image.format not in _EXACT or image.info.get("compression") in ("jpeg", "webp"):
            raise ValueError(f"{image.format} changes values of pixels, which are classes")
        if image.mode not in _INDEXED:
            raise ValueError(f"its pixels are {image.mode}, and those of a mask are one number of 8 bits")
        if (packing := images.packed(image)).startswith("L;"):
            raise ValueError(f"its grey values are packed as {packing}, and are others when unpacked: save 8 bits")
        image.load()
        upright = ImageOps.exif_transpose(image)
        return Image.fromarray(np.asarray(upright).astype(np.uint8))
