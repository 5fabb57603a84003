"""Read annotations that are a file for each picture, by its name: Pascal VOC's .xml, or YOLO's .txt."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from ...core import foreign
from ...core.errors import UserError
from .. import listing
from ..folder import PARTS
from ..listing import Skipped, below
from ..words import several
from . import voc, yolo
from .annotated import Annotations

HELP = "name them: `boxes: ./annotations.json` (COCO), or a folder of .xml (Pascal VOC) or .txt files (YOLO)"
_File = TypeVar("_File", str, Path)
_MOST = 10_000_000
"""Bytes of a list of names."""
_LISTS = {"train": "train", "val": "validation", "test": "test"}


def read(path: Path, boxes: Path, skipped: Skipped, lists: Path | None = None) -> Annotations:
    """Return the boxes of files with the names of the pictures: `a/1.txt`, or `a/labels/1.txt` of `a/images/1.jpg`."""
    pictures = _named(((_stem(image, path, "images"), image) for image in listing.images(path, skipped)), path)
    texts = list(_texts(boxes))
    kinds = {file.suffix.lower() for _, file in texts}
    if not pictures:
        raise UserError(f"`{path.name}`: no images in it", HELP)
    if len(kinds) != 1:
        what = "files of several kinds, .xml and .txt" if kinds else "no annotations, .xml or .txt files"
        raise UserError(f"`{boxes.name}` has {what}", HELP)
    files = _named(texts, boxes)
    if lonely := [below(str(file), boxes) for name, file in files.items() if name not in pictures]:
        raise UserError(
            f"`{boxes.name}`: {len(lonely)} of {len(files)} annotations have no image in `{path.name}`: "
            f"{several([f'`{name}`' for name in lonely])}",
            "`1.jpg` goes with `1.xml` or `1.txt`; move the others elsewhere",
        )
    parts = _parts(list(pictures), lists, path)
    if kinds == {".txt"}:
        names = yolo.names_of([boxes, *([path, boxes.parent] if boxes != path else [])])
        return yolo.read([(files.get(name), image, parts[name]) for name, image in pictures.items()], names, boxes.name)
    chosen = [name for name in pictures if name in files and name in parts]
    why = "in no list of `ImageSets`, or without an annotation" if lists else "without an annotation"
    skipped.add(why, "image", len(pictures) - len(chosen))
    return voc.read([(files[name], pictures[name], parts[name]) for name in chosen], boxes.name)


def _named(files: Iterable[tuple[str, _File]], root: Path) -> dict[str, _File]:
    """Return files by the name that goes with another's. Raises: UserError where two have the same."""
    found: dict[str, _File] = {}
    for name, file in files:
        if (first := found.setdefault(name, file)) is not file:
            names = " and ".join(f"`{below(str(each), root)}`" for each in (first, file))
            raise UserError(f"`{root.name}`: {names} are both of `{name}`", "rename or remove one of them")
    return found


def _texts(boxes: Path) -> Iterator[tuple[str, Path]]:
    for folder, inner, names in os.walk(boxes):
        inner.sort()
        for name in sorted(names):
            file = Path(folder, name)
            told = name in (*yolo.NAMES, "train.txt", "val.txt", "test.txt") or name.lower().startswith("readme")
            if file.suffix.lower() in (".xml", ".txt") and not name.startswith(".") and not told:
                yield _stem(str(file), boxes, "labels"), file


def _stem(file: str, root: Path, folder: str) -> str:
    """Return a path from `root` without its suffix, and without `folder`, where pictures and labels part."""
    parts = below(file, root).rpartition(".")[0].split("/")
    return "/".join(part for place, part in enumerate(parts) if part != folder or place == len(parts) - 1)


def _parts(names: list[str], lists: Path | None, path: Path) -> dict[str, str]:
    """Return the split of each picture, by VOC's lists or by its folder; of one that no list names nothing."""
    files = {part: lists / f"{name}.txt" for name, part in _LISTS.items()} if lists else {}
    named: dict[str, str] = {}
    for part, file in files.items():
        if not file.is_file():
            continue
        for line in foreign.read(file, _MOST, "a list of names").decode("utf-8", "replace").split("\n"):
            if (name := line.split(" ")[0].strip()) and named.setdefault(name, part) != part:
                raise UserError(
                    f"`{name}` is in the lists of two splits, {named[name]} and {part}", f"see `{file.parent}`"
                )
    if named:
        if gone := [f"`{name}`" for name in sorted(named.keys() - set(names))]:
            raise UserError(
                f"`ImageSets` has names without an image in `{path.name}`: {several(gone)}",
                "add them, or take them out of the lists",
            )
        return named
    parts = {name: PARTS.get(name.split("/")[0].lower(), "") if "/" in name else "" for name in names}
    if len(set(map(bool, parts.values()))) > 1:
        rest = [f"`{name}`" for name, part in parts.items() if not part]
        raise UserError(
            f"`{path.name}` has folders of splits beside other images: {several(rest)}", "move them into a split"
        )
    return parts
