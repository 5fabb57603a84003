"""What people are told when something they wrote is wrong: the place, the line, and the next act."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


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
        lines = [
            f"{self.place}: {self.message}",
            f"{number} | {self.place.source}",
            f"{margin} | {' ' * (self.place.column - 1)}{'^' * self.place.width}",
        ]
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


def suggest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """`did you mean …?` for a near miss; else `otherwise`, or the list of what is known."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{near[0]}`?"
    return otherwise or ("one of: " + ", ".join(names) if names else "")
