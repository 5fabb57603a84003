"""Embed the example pictures of a run, which are small PNG files beside its report."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from ....core.results import Picture, Report
from . import svg

LARGEST = 48 * 1024
"""Bytes of one file."""
ALL = 480 * 1024
"""Bytes of all of them: a page is under 1 MB, and base64 adds a third."""
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Shown:
    """A picture as the page has it: `source` is a data URI."""

    source: str
    words: str
    panels: list[str]
    rows: list[tuple[str, str]]
    colours: list[tuple[str, Markup]]
    """The classes in its panels, each with a mark of its colour."""


def pictures(report: Report) -> tuple[list[Shown], int]:
    """Return the pictures whose files are those of the run, and how many are missing, changed or too large."""
    found, spent = [], 0
    for picture in report.pictures:
        content = _content(picture)
        if content is None or spent + len(content) > ALL:
            continue
        spent += len(content)
        source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
        words = f"test example {picture.row}: {picture.label}" if picture.label else f"test example {picture.row}"
        found.append(Shown(source, words, picture.panels, list(picture.outputs.items()), list(_legend(picture))))
    return found, len(report.pictures) - len(found)


def _legend(picture: Picture) -> Iterator[tuple[str, Markup]]:
    for label, colour in picture.colours.items():
        if re.fullmatch("#[0-9a-f]{6}", colour):
            mark = svg.tag("rect", x=1, y=1, width=10, height=10, rx=2, fill=colour)
            yield label, svg.tag("svg", mark, class_="swatch", viewBox="0 0 12 12", aria_hidden="true")


def _content(picture: Picture) -> bytes | None:
    """Return the bytes of a picture's file; None for any other file than the PNG that the run wrote."""
    path = Path(picture.path)
    try:
        if path.suffix != ".png" or not path.is_file() or path.stat().st_size > LARGEST:
            return None
        content = path.read_bytes()
    except OSError:
        return None
    same = hashlib.sha256(content).hexdigest() == picture.sha256
    return content if same and content.startswith(PNG) else None
