"""Read Pascal VOC's XML: an `object` with `name` and `bndbox` for each box, a file for each picture.

Pixels count from 1 there, and `xmax` is the last one of the box (Everingham et al., 2010): it covers xmin − 1 to xmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from ...core import foreign
from ...core.errors import UserError
from ..words import class_order
from .annotated import Annotations

LARGEST = 10_000_000
"""Bytes of the annotation of one picture."""
_SIDES = ("xmin", "ymin", "xmax", "ymax")


def read(files: Sequence[tuple[Path, str, str]], name: str) -> Annotations:
    """Return the boxes of files, each with its picture and its split. Raises: UserError."""
    found = Annotations(name, [image for _, image, _ in files], [part for _, _, part in files])
    names: list[str] = []
    for row, (path, _, _) in enumerate(files):
        root = parsed(path)
        if root.tag != "annotation":
            raise UserError(
                f"`{path.name}` is of `{root.tag}`, and Pascal VOC has an `annotation`", "is it another format?"
            )
        found.sizes.append((_side(root, "size/height"), _side(root, "size/width")))
        for place, each in enumerate(root.findall("object")):
            label = (each.findtext("name") or "").strip()
            if not label:
                raise _wrong(path, place, "has no `name`")
            x0, y0, x1, y1 = (_number(each, side, path, place) for side in _SIDES)
            names.append(label)
            found.add(row, (x0 - 1, y0 - 1, x1, y1), 0, (each.findtext("difficult") or "0").strip() in ("0", ""))
    found.labels = tuple(sorted(set(names), key=class_order))
    order = {label: place for place, label in enumerate(found.labels)}
    found.classes = [order[label] for label in names]
    return found


def parsed(path: Path) -> Element:
    """Return the root of an XML file. Raises: UserError, also for a DOCTYPE, whose entities may fill the memory."""
    builder, parser = TreeBuilder(), expat.ParserCreate()

    def refuse(*about: object) -> None:
        raise UserError(
            f"`{path.name}` has a DOCTYPE, which annotations do not need", "take it out: it may define entities"
        )

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(foreign.read(path, LARGEST, "an annotation of one picture"), True)
        return builder.close()
    except (expat.ExpatError, AssertionError, ValueError, LookupError) as error:
        raise UserError(f"`{path.name}` is no XML: {foreign.reason(error)}", "is it a whole file?") from error


def _side(root: Element, path: str) -> int:
    text = (root.findtext(path) or "").strip()
    return int(text) if text.isdecimal() and len(text) < 9 else 0


def _number(each: Element, side: str, path: Path, place: int) -> float:
    text = each.findtext(f"bndbox/{side}")
    try:
        return float(text or "")
    except ValueError:
        what = "has no" if text is None else f"has {text.strip()[:40]!r} as"
        raise _wrong(path, place, f"{what} `{side}`") from None


def _wrong(path: Path, place: int, what: str) -> UserError:
    return UserError(f"`{path.name}`: object {place}, from 0, {what}", "correct it, or take it out")
