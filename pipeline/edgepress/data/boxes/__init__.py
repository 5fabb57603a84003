"""Read images and their boxes: COCO's JSON, Pascal VOC's XML, YOLO's text files, in the usual folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...core.errors import UserError
from .. import files, images, listing
from ..examples import Examples
from ..folder import groups_of, listable
from ..listing import Skipped
from ..source import Source
from .layout import find
from .resized import targets


def read(source: Source, path: Path, limit: int | None = None, cache: Path | None = None) -> Examples:
    """Read the images below `path` and their boxes, or `limit` or so for each split of them. Raises: UserError."""
    if not path.is_dir():
        raise UserError(f"`{path.name}` is no folder", "name the folder of the images, and their `boxes:`")
    skipped = Skipped()
    found = find(path, Path(source.boxes) if source.boxes else None, skipped)
    listable(path, skipped, source)
    parts = found.parts if any(found.parts) else []
    chosen = images.some([path] * len(found.images), parts, limit)
    paths = [found.images[i] for i in chosen]
    x, kept = files.read(paths, path, source, skipped, cache=cache)
    rows = np.array(chosen)[kept]
    sides = np.stack([x.records["height"], x.records["width"]], 1).astype(np.int64)
    y, labels, notes = targets(
        found,
        lambda row: listing.below(found.images[row], path),
        rows,
        sides,
        (x.shape[2], x.shape[3]),
        source.resizing,
        source.listed,
    )
    groups = groups_of(paths, source.group, path)
    return Examples(
        x,
        y,
        labels,
        "detection",
        kinds={"input": "image"},
        groups=None if groups is None else groups[kept],
        part=np.array(parts)[rows] if parts else None,
        labels_listed=bool(source.listed),
        files=images.few(paths, kept),
        notes=(*skipped.notes(path.name), *found.notes, *notes),
    )
