"""Escape text for GitHub's Markdown, so that it is shown as it is.

Text between two backticks stays code, in which nothing else has a meaning. Everywhere else no HTML, link, emphasis,
mention (`@name`), reference (`#1`), address or heading comes of it.

https://github.github.com/gfm/
"""

from __future__ import annotations

import re

_CODE = re.compile(r"(?<!`)`([^`|\\\n]+)`(?!`)")
"""One word between single backticks, of which a table takes no part for its own."""
_NOTHING = "&#8203;"
"""A space without width: it parts what GitHub would link even where every character is escaped."""
_ENTITIES = {"&": "&amp;", "<": "&lt;", "\\": "\\\\", "$": "&#36;"}
_SPECIAL = re.compile(
    r"(?P<entity>[&<$]|\\(?![^\W_]))|(?P<mark>[`*~|]|](?=[(\[:])|(?<![^\W_])_|_(?![^\W_]))"
    r"|(?<!\w)@(?=\w)|@(?=[\w-]+\.\w)|#(?=\w)|\bGH-(?=\d)|:(?=//)|\bwww(?=\.)",
    re.IGNORECASE,
)
_START = re.compile(r"^\s*(?:[#>+=\[-]|\d+(?=[.)]))")
"""What makes a heading, a list, a quotation or a task of the text behind it."""


def escaped(words: str) -> str:
    """Return the Markdown of a text within a line, which may be a cell of a table."""
    shown, at, words = [], 0, " ".join(words.split("\n"))
    for span in _CODE.finditer(words):
        shown += [_plain(words[at : span.start()]), span[0]]
        at = span.end()
    return "".join([*shown, _plain(words[at:])])


def block(words: str) -> str:
    """Return the Markdown of a text at the start of a line, or of an item of a list."""
    return _START.sub(rf"{_NOTHING}\g<0>", escaped(words))


def code(words: str) -> str:
    """Return the Markdown of a name as code."""
    return f"`{words}`" if _CODE.fullmatch(f"`{words}`") else _plain(words)


def _plain(words: str) -> str:
    return _SPECIAL.sub(_escape, words)


def _escape(special: re.Match[str]) -> str:
    if special["entity"]:
        return _ENTITIES[special[0]]
    return f"\\{special[0]}" if special["mark"] else f"{special[0]}{_NOTHING}"
