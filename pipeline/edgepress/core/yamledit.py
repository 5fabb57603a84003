"""Change values in YAML text, and keep everything else with its comments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .document import Document, Loc
from .yamlio import inline, parse


def edited(document: Document, changes: Mapping[Loc, Any]) -> str:
    """Return the text of `document` with each value of `changes` in its place; what the file lacks is added."""
    for loc, data in changes.items():
        document = parse(Document(document.path, _edited(document, loc, data)))
    return document.text


def _edited(document: Document, loc: Loc, data: Any) -> str:
    text = document.text
    if loc in document.spans:
        return _replaced(text, *document.spans[loc], inline(data))
    if len(loc) > 1:
        # Where the next line of a block would go is hard to say: the mapping is written anew, on one line.
        parent = document.value(loc[:-1]) if loc[:-1] in document.spans else None
        return _edited(document, loc[:-1], {**(parent or {}), loc[-1]: data})
    return text.rstrip() + f"{line_break(text)}{loc[0]}: {inline(data)}{line_break(text)}"


def _replaced(text: str, start: int, end: int, new: str) -> str:
    old = text[start:end]
    end -= len(old) - len(old.rstrip())
    # A block begins on the line after its key, where a `[…]` would have to be indented.
    if before := re.search(r":(\s*\n\s*|)$", text[:start]):
        start, new = before.start() + 1, f" {new}"
    return text[:start] + new + text[end:]


def line_break(text: str) -> str:
    """Return the line ending of `text`."""
    return "\r\n" if "\r\n" in text else "\n"
