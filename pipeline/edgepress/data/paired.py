"""Read a folder of images and one of their masks or target pictures, by the same names.

`1.jpg` goes with `1.png` or `1_mask.png` in the folder of the same name below the other. The folders may have `train`,
`validation` and `test` below them, or not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.errors import UserError
from . import files, images, listing, partners
from .examples import Examples
from .folder import PARTS, groups_of, listable
from .listing import Skipped
from .source import Source
from .words import several


def read(source: Source, path: Path, limit: int | None = None, cache: Path | None = None) -> Examples:
    """Read pairs in the order of the images' paths, or `limit` or so for each split of them. Raises: UserError."""
    skipped, beside = Skipped(), Path(source.masks or source.pictures or "")
    word = "mask" if source.masks else "picture"
    photos, others = (_named(folder, skipped, source) for folder in (path, beside))
    missing = [file for name, file in photos.items() if name not in others]
    extra = [file for name, file in others.items() if name not in photos]
    if missing or extra:
        lacking, found, owner = (missing, path, beside) if missing else (extra, beside, path)
        wanted = word if missing else "image"
        names = [f"`{listing.below(file, found)}`" for file in lacking]
        raise UserError(
            f"`{found.name}`: {len(lacking)} of {len(photos if missing else others)} files have no {wanted} in "
            f"`{owner.name}`: {several(names)}",
            f"`1.jpg` goes with `1.png` in the folder of {word}s; move files without a partner elsewhere",
        )
    names = list(photos)  # in the order of their paths
    parts = _parts(names, path)
    chosen = images.some([path] * len(names), parts, limit)
    names, parts = [names[i] for i in chosen], [parts[i] for i in chosen if parts]
    paths = [photos[name] for name in names]
    x, rows = files.read(paths, path, source, skipped, cache=cache)
    targets = partners.masks if source.masks else partners.pictures
    y = targets([others[names[row]] for row in rows], x, beside, source, cache)
    groups = groups_of(paths, source.group, path)
    return Examples(
        x,
        y,
        source.listed,
        "segmentation" if source.masks else "image",
        kinds={"input": "image"},
        groups=None if groups is None else groups[rows],
        part=np.array(parts)[rows] if parts else None,
        labels_listed=bool(source.listed),
        files=images.few(paths, rows),
        notes=skipped.notes(path.name),
        warnings=listing.twins(paths, path),
    )


def _named(folder: Path, skipped: Skipped, source: Source) -> dict[str, str]:
    """Return the image files below `folder` by their path without suffix. Raises: UserError where two have one name."""
    if not folder.is_dir():
        raise UserError(f"`{folder.name}` is no folder", "name the folder that has a file for each image")
    paths = listing.images(folder, skipped)
    listable(folder, skipped, source)
    if not paths:
        raise UserError(f"`{folder.name}`: no images in it", f"images are {' '.join(images.SUFFIXES)}")
    named: dict[str, str] = {}
    for file in paths:
        name = listing.without_mask(listing.below(file, folder).rpartition(".")[0])
        if name in named:
            two = " and ".join(f"`{listing.below(each, folder)}`" for each in (named[name], file))
            raise UserError(f"`{folder.name}`: {two} have one name", "keep one of them; pairs go by names")
        named[name] = file
    return named


def _parts(names: list[str], path: Path) -> list[str]:
    """Return the split of each pair by its folder; none where no folder is a split. Raises: UserError for some."""
    parts = [PARTS.get(name.split("/")[0].lower(), "") if "/" in name else "" for name in names]
    if rest := sorted({name.split("/")[0] for name, part in zip(names, parts, strict=True) if not part}):
        if splits := sorted({name.split("/")[0] for name, part in zip(names, parts, strict=True) if part}):
            raise UserError(
                f"`{path.name}` has {' and '.join(f'`{top}`' for top in splits)}, splits, beside "
                f"{several([f'`{top}`' for top in rest])}",
                "move the others elsewhere or into a split, or rename folders that are no splits",
            )
        return []
    return parts
