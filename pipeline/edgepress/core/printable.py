"""Show text from files, paths, devices and models without its effects.

A terminal obeys escape sequences, a reader is misled by bidirectional and invisible characters, and a CI runs lines of
a log: GitHub `::error::…` at the start of a line after any white space, and `##[error]…` anywhere, as Azure does
`##vso[…]` and TeamCity `##teamcity[…]`. Here all of these become visible escapes, in Python's notation: `\\x1b`.

`word` is for a name or a value, `prose` for text of several lines, and `lines` for what goes to a stream or a file.
Showing twice is showing once.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

LONGEST = 500
"""Characters of a word; a longer one is cut in its middle."""
LONGEST_LINE = 1200
LONGEST_PROSE = 4000
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
"""Letters and marks that show nothing: the ignorable ones of Unicode that `str.isprintable` takes for printable."""
_COMMAND = re.compile(r"##(?=\w*\[)")
_LEADING = re.compile(r"^(\s*):(?=:)", re.MULTILINE)
_BINARY = {"correct"}
"""A mark for every test example: it is counted, and never shown."""
_PROSE = {"about", "basis", "error", "help", "inputs", "message", "note", "notes", "summary", "warnings"}
"""Fields whose text may be long, and have several lines."""
T = TypeVar("T")


def word(text: object, longest: int = LONGEST) -> str:
    """Return `text` in one line, with everything that is not plainly visible as an escape."""
    return _COMMAND.sub(r"\\x23#", _escaped(_cut(str(text), longest), ""))


def prose(text: object, longest: int = LONGEST_PROSE) -> str:
    """Return `text` as `word` does; its line breaks and tabs stay."""
    return lines(_cut(str(text), longest))


def message(text: str) -> str:
    """Return an error's text in one line; lines that are indented, such as the end of a program's output, stay."""
    return "\n  ".join(word(line, LONGEST_LINE) for line in text.split("\n  "))


def lines(text: str) -> str:
    """Return `text` as `word` does, of any length; line breaks and tabs stay, and no line is a command."""
    return _LEADING.sub(r"\1\\x3a", _COMMAND.sub(r"\\x23#", _escaped(text, "\n\t")))


def character(one: str) -> str:
    """Return what `lines` shows of one character."""
    return _escaped(one, "\t")


def shown(value: T) -> T:
    """Return a copy of a report, of findings or of plain data whose every text is shown."""
    return _shown(value, word)


def as_json(value: object) -> str:
    """Return the JSON of plain data with its texts shown; JSON has no infinite numbers, which become `null`."""
    return json.dumps(_finite(shown(value)), indent=1, ensure_ascii=False, allow_nan=False)


def say(text: object = "", *, error: bool = False, end: str = "\n") -> None:
    """Print to standard output, or as an `error` to standard error, at once."""
    print(lines(str(text)), file=sys.stderr if error else sys.stdout, end=end, flush=error)


def _escaped(text: str, keep: str) -> str:
    if text.isprintable() and (text.isascii() or not _IGNORABLE.search(text)):
        return text
    return "".join(one if one in keep or _plain(one) else one.encode("unicode_escape").decode() for one in text)


def _plain(one: str) -> bool:
    return one.isprintable() and not _IGNORABLE.match(one)


def _cut(text: str, longest: int) -> str:
    """Return `text`, or its start and its end."""
    return text if len(text) <= longest else f"{text[: longest * 2 // 3]}…{text[-longest // 3 :]}"


def _shown(value: Any, show: Callable[[object], str]) -> Any:
    if isinstance(value, str):
        return show(value)
    if isinstance(value, Path):
        return Path(word(value))
    if names := getattr(type(value), "model_fields", None):  # a model of pydantic, whose import takes a while
        return value.model_copy(update={name: _field(name, getattr(value, name)) for name in names})
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _field(field.name, getattr(value, field.name)) for field in fields(value)})
    if isinstance(value, Mapping):
        return {_shown(key, word): _field(key, part, show) for key, part in value.items()}
    if isinstance(value, list | tuple) and not all(isinstance(part, float) for part in value):
        return type(value)(_shown(part, show) for part in value)
    return value


def _field(name: object, value: Any, show: Callable[[object], str] = word) -> Any:
    if name in _BINARY and isinstance(value, str) and not value.strip("01"):
        return value
    return _shown(value, prose if name in _PROSE else show)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value
