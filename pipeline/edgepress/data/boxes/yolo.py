"""Read YOLO's text files: a line `class x y width height` for each box, a file for each picture.

x and y are of the centre, and all four are shares of the picture. A line of more numbers is an outline, x and y of each
corner: its box is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ...core import foreign, yamlio
from ...core.errors import UserError
from .annotated import OUTSIDE, Annotations

LARGEST = 10_000_000
"""Bytes of the annotation of one picture, and of the names of the classes."""
NAMES = ("classes.txt", "obj.names", "_darknet.labels", "classes.names")
"""Files of one name a line, beside the labels or above them."""
CONFIGURATIONS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")


def read(files: Sequence[tuple[Path | None, str, str]], names: tuple[str, ...], name: str) -> Annotations:
    """Return the boxes of files, each with its picture and its split; no file is a picture without boxes.

    Raises: UserError.
    """
    found = Annotations(name, [image for _, image, _ in files], [part for _, _, part in files], names, shares=True)
    outlines = 0
    for row, (path, _, _) in enumerate(files):
        for number, line in enumerate(_lines(path) if path else (), start=1):
            if not (words := line.split()):
                continue
            label, corners = _parsed(words, f"`{path.name if path else ''}`, line {number},")
            outlines += len(words) > 5
            found.add(row, corners, label)
    found.notes = (f"`{name}`: the boxes around {outlines} outlines are taken",) if outlines else ()
    return found


def _parsed(words: list[str], where: str) -> tuple[int, tuple[float, float, float, float]]:
    help = "`class x y width height`, the centre and the sides as shares of the picture"
    if len(words) < 5 or len(words) % 2 == 0:
        raise UserError(f"{where} has {len(words)} words, and a box has 5", help)
    try:
        values = [float(word) for word in words[1:]]
    except ValueError:
        raise UserError(f"{where} has a word that is no number: {' '.join(words)[:60]}", help) from None
    if not words[0].isdecimal() or len(words[0]) > 6:
        raise UserError(f"{where} has the class {words[0][:20]!r}", f"{help}; classes count from 0")
    if not all(map(math.isfinite, values)) or min(values) < -OUTSIDE or max(values) > 1 + OUTSIDE:
        raise UserError(
            f"{where} has numbers that are no shares from 0 to 1: {' '.join(words)[:60]}", f"{help}, not pixels"
        )
    if len(values) > 4:
        return int(words[0]), (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
    x, y, width, height = values
    return int(words[0]), (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _lines(path: Path) -> list[str]:
    try:
        return foreign.read(path, LARGEST, "an annotation of one picture").decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"`{path.name}` is no text", "it has a line for each box") from None


def names_of(folders: Sequence[Path]) -> tuple[str, ...]:
    """Return the names of classes that the first of `NAMES` or `CONFIGURATIONS` in `folders` has; else none."""
    for folder in folders:
        for name in NAMES:
            if (folder / name).is_file():
                return tuple(line.strip() for line in _lines(folder / name) if line.strip())
        for name in CONFIGURATIONS:
            if (folder / name).is_file():
                return _configured(folder / name)
    return ()


def _configured(path: Path) -> tuple[str, ...]:
    """Return `names` of a YAML file: a list, or a mapping of numbers to names."""
    data = yamlio.read(path).data
    names = data.get("names") if isinstance(data, dict) else None
    if isinstance(names, dict):
        if sorted(map(str, names)) != sorted(map(str, range(len(names)))):
            raise UserError(f"`{path.name}`: the keys of `names` do not count from 0", "one name for each number")
        names = [names[key] for key in sorted(names, key=int)]
    if not isinstance(names, list) or not names:
        raise UserError(f"`{path.name}` has no list `names`", "the names of the classes, in the order of their numbers")
    return tuple(map(str, names))
