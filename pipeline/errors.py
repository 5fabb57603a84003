"""What people are told when something they wrote is wrong: the place, the line, and the next act."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

WIDEST = 160
"""Longer source lines are cut around the place, in characters."""


@dataclass(frozen=True)
class Place:
    """A span of one line in a file that a person wrote; `line` and `column` count from 1."""

    path: Path
    line: int
    column: int
    width: int = 1
    source: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"

    @property
    def text(self) -> str:
        return self.source[self.column - 1 :][: self.width]

    def excerpt(self) -> tuple[str, str]:
        """The line, and the carets that go under it; a tab or a wide character above is one below."""
        start = max(0, self.column - 1 - WIDEST // 2) if len(self.source) > WIDEST else 0
        shown = self.source[start : start + WIDEST]
        at = self.column - 1 - start
        indent = "".join(_blank(character) for character in shown[:at]).ljust(at)
        return shown, indent + "^" * max(1, sum(len(_blank(each)) for each in shown[at : at + self.width]))


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where it stands (if in a file), and what to do about it."""

    message: str
    help: str = ""
    place: Place | None = None

    def __str__(self) -> str:
        if self.place is None:
            return f"error: {self.message}" + (f"\n  = help: {self.help}" if self.help else "")
        number = f"{self.place.line:>4}"
        margin = " " * len(number)
        source, carets = self.place.excerpt()
        lines = [f"{self.place}: {self.message}", f"{number} | {source}", f"{margin} | {carets}"]
        if self.help:
            lines.append(f"{margin} = help: {self.help}")
        return "\n".join(line.rstrip() for line in lines)


class UserError(Exception):
    """The recipe, the target, a file or the command line is wrong: every problem at once, exit code 2."""

    def __init__(self, problems: Problem | Iterable[Problem] | str, help: str = "") -> None:
        if isinstance(problems, str):
            problems = Problem(problems, help)
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        super().__init__("\n\n".join(map(str, self.problems)))

    def at(self, place: Place) -> Self:
        """The same, with `place` for each problem that has none."""
        return type(self)([replace(each, place=each.place or place) for each in self.problems])


class Mistake(ValueError):
    """What a pydantic validator raises: what is wrong with the value, and the next act."""

    def __init__(self, message: str, help: str = "") -> None:
        self.message, self.help = message, help
        super().__init__(message)


def near(word: str, known: Iterable[str]) -> str | None:
    """The known name that `word` most likely stands for: one that starts with it, or the most alike, in any case."""
    names = {name.lower(): name for name in sorted(known, reverse=True)}
    word = word.lower()
    longer = (name for name in sorted(names) if len(word) > 2 and name.startswith(word))
    alike = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    match = word if word in names else next(longer, alike[0] if alike else None)
    return names[match] if match is not None else None


def suggest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """`did you mean …?` for a near miss; else `otherwise`, or the list of what is known."""
    names = sorted(known)
    if match := near(word, names):
        return f"did you mean `{match}`?"
    return otherwise or ("one of: " + ", ".join(names) if names else "")


def _blank(character: str) -> str:
    if character == "\t":
        return "\t"
    return "  " if unicodedata.east_asian_width(character) in "WF" else " "
