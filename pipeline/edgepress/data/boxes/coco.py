"""Read COCO's JSON: `images`, `annotations` with `bbox: [x, y, width, height]`, and `categories`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...core import foreign
from ...core.errors import UserError
from .. import images
from ..words import several
from .annotated import Annotations

LARGEST = 2**31
"""Bytes; COCO's own training file has 0.45 GB, with outlines of every object."""
_PARSED = 10
"""Bytes of Python's objects for one of JSON, about."""
_PARTS = ("images", "annotations", "categories")


def read(files: Sequence[tuple[Path, Path, str]], name: str) -> Annotations:
    """Return the boxes of files, each with the folder that its pictures are in and its split. Raises: UserError."""
    found = Annotations(name, [], [])
    for path, folder, part in files:
        _add(found, path, folder, part)
    return found


def _add(found: Annotations, path: Path, folder: Path, part: str) -> None:
    pictures, boxes, categories = _parsed(path)
    _once(categories, path, "categories")
    names = {_whole(each, "id", path, "categories"): str(each.get("name", each["id"])) for each in categories}
    labels = tuple(names[number] for number in sorted(names))
    if twice := [label for label, count in Counter(labels).items() if count > 1]:
        raise UserError(f"`{path.name}` has two categories `{twice[0]}`", "give each a name of its own")
    if found.labels and found.labels != labels:
        raise UserError(f"`{path.name}` has other categories than the file of another split", "export all from one set")
    found.labels = labels
    rows = {number: len(found.images) + place for place, number in enumerate(_once(pictures, path, "images"))}
    _once(boxes, path, "annotations")
    for each in pictures:
        found.images.append(str(_file(each, folder, path)))
        found.parts.append(part)
        found.sizes.append((_side(each.get("height")), _side(each.get("width"))))
    if twice := [file for file, count in Counter(found.images).items() if count > 1]:
        raise UserError(f"`{path.name}` has `{Path(twice[0]).name}` twice among its `images`", "leave one of them")
    order = {number: place for place, number in enumerate(sorted(names))}
    for place, each in enumerate(boxes):
        number, category = each.get("image_id"), each.get("category_id")
        if type(number) is not int or number not in rows:
            raise _wrong(path, place, f"is of the image {_cut(number)}, which `images` does not have")
        if type(category) is not int or category not in order:
            raise _wrong(path, place, f"has the category {_cut(category)}, which `categories` does not have")
        box = each.get("bbox")
        if not isinstance(box, list) or len(box) != 4 or not all(_number(value) for value in box):
            raise _wrong(path, place, f"has the `bbox` {_cut(box)}, and it is [x, y, width, height]")
        x, y, width, height = box
        found.add(rows[number], (x, y, x + width, y + height), order[category], not each.get("iscrowd"))


def _parsed(path: Path) -> list[list[dict[str, Any]]]:
    """Return images, annotations and categories, each a list of mappings."""
    images.bounded(_PARSED * foreign.size(path), "its annotations", path.name)
    try:
        content = json.loads(foreign.read(path, LARGEST, "a file of annotations"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"`{path.name}` is no JSON: {foreign.reason(error)}", "is it a whole file?") from error
    parts = [content.get(part) if isinstance(content, dict) else None for part in _PARTS]
    for part, rows in zip(_PARTS, parts, strict=True):
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise UserError(
                f"`{path.name}` has no list `{part}`, as COCO's annotations of boxes do",
                "is it a file of instances, not of captions or results?",
            )
    if not parts[2]:
        raise UserError(f"`{path.name}` has no categories", "boxes are of a category each")
    return parts  # type: ignore[return-value]


def _once(rows: list[dict[str, Any]], path: Path, part: str) -> list[int]:
    """Return the ids of rows. Raises: UserError where two are the same; annotations may have none."""
    numbers = [_whole(row, "id", path, part) for row in rows if part == "images" or "id" in row]
    if twice := [number for number, count in Counter(numbers).items() if count > 1]:
        raise UserError(
            f"`{path.name}` has ids of two or more of its `{part}`: {several(twice)}",
            "were two files joined? number them anew",
        )
    return numbers


def _whole(row: dict[str, Any], key: str, path: Path, part: str) -> int:
    value = row.get(key)
    if type(value) is not int:
        raise UserError(f"`{path.name}` has one of `{part}` with the {key} {value!r}", "it is a whole number")
    return value


def _side(value: object) -> int:
    return value if isinstance(value, int) and 0 < value < 2**31 else 0


def _file(row: dict[str, Any], folder: Path, path: Path) -> Path:
    """Return the file of an image, which is below `folder`."""
    name = row.get("file_name")
    parts = Path(name.replace("\\", "/")).parts if isinstance(name, str) else ()
    if not parts or ".." in parts or Path(*parts).is_absolute() or "\0" in str(name):
        raise UserError(
            f"`{path.name}` has an image with the `file_name` {_cut(name)}", f"a path below `{folder.name}`"
        )
    return folder / Path(*parts)


def _wrong(path: Path, place: int, what: str) -> UserError:
    return UserError(f"`{path.name}`: annotation {place}, from 0, {what}", "correct it, or take it out")


def _number(value: object) -> bool:
    """Whether a value is one that a float holds; which are sound is found with those of other formats."""
    return type(value) is float or (type(value) is int and abs(value) <= LARGEST)


def _cut(value: object) -> str:
    return text if len(text := repr(value)) <= 60 else f"{text[:59]}…"
