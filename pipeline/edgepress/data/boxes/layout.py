"""Find annotations of boxes and their pictures in the folders that the usual tools write.

Pascal VOC has `Annotations`, `JPEGImages` and `ImageSets/Main`; YOLO `images` and `labels`, with splits below or above
them, or text files beside the pictures; COCO `annotations/instances_SPLIT.json` and a folder `SPLIT`, or a file
`_annotations.coco.json` in the folder of each split.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ...core.errors import UserError
from .. import listing
from ..folder import PARTS
from ..listing import Skipped, below
from ..words import several
from . import by_name, coco
from .annotated import Annotations


def find(path: Path, boxes: Path | None, skipped: Skipped) -> Annotations:
    """Return the annotations of the pictures below `path`, in `boxes` or in the usual places. Raises: UserError."""
    if boxes is not None and not boxes.is_dir():
        # The one file that is named is all there is, and is divided: of `instances_val2017.json` alone, too.
        return _coco([(boxes, _pictures(path, boxes), "")], path, skipped)
    voc_folder, labels = path / "Annotations", path / "labels"
    if boxes is not None:
        return by_name.read(path, boxes, skipped)
    files = list(_coco_files(path))
    kinds = {"COCO's JSON": bool(files), "`Annotations`": voc_folder.is_dir(), "`labels`": _has_yolo(path)}
    found = [kind for kind, there in kinds.items() if there]
    if len(found) > 1:
        raise UserError(f"`{path.name}` has annotations of several kinds: {' and '.join(found)}", by_name.HELP)
    if files:
        return _coco(files, path, skipped)
    if voc_folder.is_dir():
        pictures = path / "JPEGImages"
        return by_name.read(pictures if pictures.is_dir() else path, voc_folder, skipped, path / "ImageSets" / "Main")
    if labels.is_dir():
        return by_name.read(path / "images" if (path / "images").is_dir() else path, labels, skipped)
    return by_name.read(path, path, skipped)


def _coco_files(path: Path) -> Iterator[tuple[Path, Path, str]]:
    for file in sorted((path / "annotations").glob("instances_*.json")):
        yield file, _pictures(path, file), _part(file)
    for folder in (path, *(path / name for name in _names(path))):
        if (file := folder / "_annotations.coco.json").is_file():
            yield file, folder, PARTS.get(folder.name.lower(), "") if folder != path else ""


def _part(file: Path) -> str:
    """Return the split that a file's name ends in: `validation` of `instances_val2017`."""
    word = file.stem.lower().rpartition("_")[2].rstrip("0123456789")
    return PARTS.get(word, "")


def _pictures(path: Path, file: Path) -> Path:
    """Return the folder of a file's pictures: below `path` or its `images` that of the split, or `path`."""
    word = file.stem.rpartition("_")[2]
    folders = (path / word, path / "images" / word, path / "images")
    return next((folder for folder in folders if folder.is_dir()), path)


def _coco(files: list[tuple[Path, Path, str]], path: Path, skipped: Skipped) -> Annotations:
    found = coco.read(files, path.name)
    if missing := [below(image, path) for image in found.images if not os.path.isfile(image)]:
        raise UserError(
            f"`{files[0][0].name}`: {len(missing)} of {len(found.images)} images are not in `{path.name}`: "
            f"{several([f'`{name}`' for name in missing])}",
            "`from` names the folder that `file_name` counts from",
        )
    there = {image for _, folder, _ in files for image in listing.images(folder, skipped)}
    skipped.add("not in the annotations", "image", len(there - set(found.images)))
    return found


def _has_yolo(path: Path) -> bool:
    beside = (path / "labels", *(path / name / "labels" for name in _names(path)))
    return any(folder.is_dir() for folder in beside)


def _names(path: Path) -> list[str]:
    return [name for name in listing_of(path) if name.lower() in PARTS]


def listing_of(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []
