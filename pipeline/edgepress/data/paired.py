"""Read a folder of images and one of their masks or target pictures, by the same names.

`1.jpg` goes with `1.png` or `1_mask.png` in the folder of the same name below the other. The folders may have `train`,
`validation` and `test` below them, or not.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from ..core.errors import UserError
from . import images, listing
from .examples import Examples
from .folder import PARTS, groups_of, listable
from .listing import Skipped
from .source import Source
from .targets.mask import VOID
from .words import by, several

_INDEXED = ("P", "L", "1")
"""Pillow's modes whose pixels are one number of 8 bits."""


def read(source: Source, path: Path, enough: int | None = None) -> Examples:
    """Read pairs in the order of the images' paths, or about `enough` of them. Raises: UserError."""
    skipped, beside = Skipped(), Path(source.masks or source.pictures or "")
    word = "mask" if source.masks else "picture"
    files, others = (_named(folder, skipped, source) for folder in (path, beside))
    missing = [file for name, file in files.items() if name not in others]
    extra = [file for name, file in others.items() if name not in files]
    if missing or extra:
        lacking, found, owner = (missing, path, beside) if missing else (extra, beside, path)
        wanted = word if missing else "image"
        names = [f"`{file.relative_to(found).as_posix()}`" for file in lacking]
        raise UserError(
            f"`{found.name}`: {len(lacking)} of {len(files if missing else others)} files have no {wanted} in "
            f"`{owner.name}`: {several(names)}",
            f"`1.jpg` goes with `1.png` in the folder of {word}s; move files without a partner elsewhere",
        )
    names = sorted(files, key=lambda name: files[name])
    names = [names[i] for i in images.spread([path] * len(names), enough)]
    parts = [PARTS.get(name.split("/")[0].lower()) if "/" in name else None for name in names]
    x, rows = images.read([files[name] for name in names], path, source, skipped)
    kept = [names[row] for row in rows]
    partners = [others[name] for name in kept]
    if source.masks:
        size = (x.shape[2], x.shape[3])
        y = _masks(partners, [files[name] for name in kept], beside, source, size)
    else:
        alone = source.model_copy(update={"color": None, "unreadable": "refuse"})
        y, _ = images.read(partners, beside, alone)
    groups = groups_of([files[name].relative_to(path).as_posix() for name in names], source.group, path.name)
    return Examples(
        x,
        y,
        source.listed,
        "segmentation" if source.masks else "image",
        kinds={"input": "image"},
        groups=None if groups is None else groups[rows],
        part=np.array([parts[row] for row in rows]) if all(parts) else None,
        labels_listed=bool(source.listed),
        files=images.few([files[name] for name in names], rows),
        notes=skipped.notes(path.name),
        warnings=listing.twins([files[name] for name in names], path),
    )


def _named(folder: Path, skipped: Skipped, source: Source) -> dict[str, Path]:
    """Return the image files below `folder` by their path without suffix. Raises: UserError where two have one name."""
    if not folder.is_dir():
        raise UserError(f"`{folder.name}` is no folder", "name the folder that has a file for each image")
    paths = listing.images(folder, skipped)
    listable(folder, skipped, source)
    if not paths:
        raise UserError(f"`{folder.name}`: no images in it", f"images are {' '.join(images.SUFFIXES)}")
    named: dict[str, Path] = {}
    for file in paths:
        name = listing.without_mask(file.relative_to(folder).with_suffix("").as_posix())
        if name in named:
            two = " and ".join(f"`{each.relative_to(folder).as_posix()}`" for each in (named[name], file))
            raise UserError(f"`{folder.name}`: {two} have one name", "keep one of them; pairs go by names")
        named[name] = file
    return named


def _masks(paths: list[Path], photos: list[Path], root: Path, source: Source, size: tuple[int, int]) -> np.ndarray:
    """Return masks uint8 (n, *size), cropped and resized as their images are. Raises: UserError."""
    with images.quiet():
        own, wrong = images.on_all(images.header, paths, root)
        theirs, _ = images.on_all(images.header, photos, photos[0].parent)
    _readable(wrong, len(paths), root)
    odd = [
        f"`{file.relative_to(root).as_posix()}` {by(mask[:2])}, its image {by(photo[:2])}"
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
        masks, wrong = images.on_all(partial(_mask, size=size, resize=source.resize), paths, root)
    _readable(wrong, len(paths), root)
    count = len(source.listed)
    outside = [
        f"`{file.relative_to(root).as_posix()}` {worst}"
        for file, mask in zip(paths, masks, strict=True)
        if count and mask is not None and (worst := max(mask[mask != VOID], default=0)) >= count
    ]
    if outside:
        raise UserError(
            f"`{root.name}`: {len(outside)} of {len(paths)} masks have a value outside of the {count} `labels`, which "
            f"count from 0: {several(outside)}",
            f"list a label for each class; {VOID} marks pixels that do not count",
        )
    return np.stack([mask for mask in masks if mask is not None])


def _mask(path: Path, *, size: tuple[int, int], resize: str) -> np.ndarray:
    """Decode a mask: palette indices or grey values, (*size); what `pad` adds is void."""
    with images.opened(path) as image:
        if image.mode not in _INDEXED:
            raise ValueError(f"its pixels are {image.mode}, and those of a mask are one number of 8 bits")
        image.load()
        indices = Image.fromarray(np.asarray(image).astype(np.uint8))  # of a palette the indices, and not their colours
    return np.asarray(images.sized(indices, size, resize, nearest=True, fill=VOID))


def _readable(wrong: list[str], count: int, root: Path) -> None:
    if wrong:
        raise UserError(
            f"`{root.name}`: {len(wrong)} of {count} masks cannot be read: {several(wrong)}",
            "PNG files with a palette or in grey, whose values are the classes",
        )
