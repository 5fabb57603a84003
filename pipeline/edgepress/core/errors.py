"""Define errors with the place, the line and the next act."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

from . import printable

SLIP, ALIKE = 0.8, 0.65
"""How much of two words is the same, as difflib counts: with a letter or two wrong, and where they are merely alike."""
TERMS = {
    "ptq": "quantize.static", "int8": "quantize.static", "qat": "quantize.aware", "fp16": "quantize.float16",
    "finetune": "train", "fine-tune": "train", "fusion": "fuse.ensemble", "learning-rate": "lr", "wd": "weight_decay",
    "sparsity": "ratio", "amount": "ratio", "t": "temperature", "ram": "memory", "flash": "size", "ort": "onnxruntime",
}  # fmt: skip
"""What the field calls otherwise."""
LONGEST_NAME = 100
"""Letters; no known name is longer, and comparing one of a megabyte would take minutes."""
MOST_SHOWN = 50
"""Problems that are shown of one command."""
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
        return f"{printable.word(self.path)}:{self.line}:{self.column}"

    @property
    def text(self) -> str:
        return self.source[self.column - 1 :][: self.width]

    def excerpt(self) -> tuple[str, str]:
        """Return the line, and the carets that go under it; a tab or a wide character above is one below."""
        start = max(0, self.column - 1 - WIDEST // 2) if len(self.source) > WIDEST else 0
        shown = [printable.character(character) for character in self.source[start : start + WIDEST]]
        at = self.column - 1 - start
        indent = "".join(map(_blank, shown[:at])) + " " * (at - len(shown[:at]))
        return "".join(shown), indent + "^" * max(1, sum(len(_blank(each)) for each in shown[at : at + self.width]))


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where it stands (if in a file), and what to do about it."""

    message: str
    help: str = ""
    place: Place | None = None

    def __str__(self) -> str:
        message, help = printable.message(self.message), printable.message(self.help)
        if self.place is None:
            return printable.lines(f"error: {message}" + (f"\n  = help: {help}" if help else ""))
        number = f"{self.place.line:>4}"
        margin = " " * len(number)
        source, carets = self.place.excerpt()
        lines = [f"{self.place}: {message}", f"{number} | {source}", f"{margin} | {carets}"]
        if help:
            lines.append(f"{margin} = help: {help}")
        return printable.lines("\n".join(line.rstrip() for line in lines))


def shown(problems: Sequence[Problem]) -> list[str]:
    """Return the text of each problem, or of the first `MOST_SHOWN` and how many more there are."""
    more = len(problems) - MOST_SHOWN
    return [*map(str, problems[:MOST_SHOWN]), *([f"… and {more:,} more"] if more > 0 else [])]


class UserError(Exception):
    """The recipe, the target, a file or the command line is wrong: every problem at once, exit code 2."""

    def __init__(self, problems: Problem | Iterable[Problem] | str, help: str = "") -> None:
        if isinstance(problems, str):
            problems = Problem(problems, help)
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        super().__init__("\n\n".join(shown(self.problems)))

    def __reduce__(self) -> tuple[type[Self], tuple[list[Problem]]]:
        """Come whole out of another process: by default pickle hands over the text alone."""
        return type(self), (self.problems,)

    def at(self, place: Place) -> Self:
        """Return the same error, with `place` for each problem that has none."""
        return type(self)([replace(problem, place=problem.place or place) for problem in self.problems])


class OwnCodeError(UserError):
    """An error in the user's code, placed where the recipe names the code."""


class Rejection(NamedTuple):
    """Why the options of a stage cannot be, and the next act; `option` is the path of the one at fault, from the stage
    on, such as `("presets", 0)`."""

    message: str
    help: str = ""
    option: tuple[str | int, ...] = ()


class Mistake(ValueError):
    """The error of a pydantic validator: what is wrong with the value, and the next act."""

    def __init__(self, message: str, help: str = "") -> None:
        self.message, self.help = message, help
        super().__init__(message)


def first_line(error: BaseException, longest: int = 240) -> str:
    """Return the first line of an error's message, cut to `longest` characters; its type where it has no message."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return line if len(line) <= longest else f"{line[:longest]}…"


def near(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that `word` most likely stands for, if there is one."""
    return next(iter(_meant(word, known)), None)


def suggest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return `did you mean …?` for a near miss, with the rest of a family; else `otherwise`, or what is known."""
    names = _ordered(known)
    if meant := _meant(word, names):
        family = f" others: {', '.join(meant[1:])}" if len(meant) > 1 else ""
        return f"did you mean `{meant[0]}`?{family}"
    return otherwise or ("one of: " + ", ".join(sorted(names)) if names else "")


def _meant(word: str, known: Iterable[str]) -> list[str]:
    """Return the known names that `word` may stand for: the likeliest, then those of the same family, such as
    `quantize`, in the order given. Case, `-` and `_` make no difference.

    In this order: the name itself; a family; another part of a name (`kd` of `distill.kd`); what begins so; a term of
    the field; a family that the word begins with; a slip of a letter or two; a name within the word (`batch` in
    `batch_size`); something alike. A word of up to four letters is alike to too much.
    """
    if len(word) > LONGEST_NAME:
        return []
    names = {name: _folded(name) for name in _ordered(known)}
    word = _folded(word)
    if same := [name for name, folded in names.items() if folded.replace(".", "-") == word.replace(".", "-")]:
        return same[:1]
    if len(word) < 2:
        return []
    families: dict[str, list[str]] = {}
    for name, folded in names.items():
        if "." in folded:
            families.setdefault(folded.partition(".")[0], []).append(name)
    if word in families:
        return families[word]
    if parts := [name for name, folded in names.items() if word in _pieces(folded)]:
        return parts[:1]
    if len(word) > 2 and (longer := sorted(name for name, folded in names.items() if folded.startswith(word))):
        return next((families[head] for head in families if head.startswith(word)), longer[:1])
    if TERMS.get(word) in names:
        return [TERMS[word]]
    spelt = {piece: [name] for name in reversed(names) for piece in _pieces(names[name]) if len(piece) > 3}
    spelt |= {folded: [name] for name, folded in names.items()} | families
    words = {word, *_pieces(word)}
    within = [head for head in families if any(part.startswith(head) for part in words)]
    if within and not words - {word}:
        return families[within[0]]
    if close := difflib.get_close_matches(word, spelt, n=1, cutoff=SLIP):
        return spelt[close[0]]
    # A letter of a short word is much of it, yet the first one is seldom the wrong one.
    if len(word) == 4 and (slips := [slip for slip in spelt if _one_wrong(word, slip)]):
        return spelt[slips[0]]
    if swapped := [anagram for anagram in spelt if sorted(anagram) == sorted(word)]:
        return spelt[swapped[0]]
    if within:
        return families[within[0]]
    if inside := [
        name
        for name, folded in names.items()
        if folded in words or (word.startswith(folded) and 2 * len(folded) >= len(word))
    ]:
        return [max(inside, key=len)]
    if len(word) > 4 and (close := difflib.get_close_matches(word, spelt, n=1, cutoff=ALIKE)):
        return spelt[close[0]]
    return []


def _one_wrong(word: str, candidate: str) -> bool:
    """Tell whether two words differ in one letter, which is not the first."""
    differ = [a != b for a, b in zip(word, candidate, strict=False)]
    return len(word) == len(candidate) and sum(differ) == 1 and not differ[0]


def _ordered(known: Iterable[str]) -> list[str]:
    """Return each name once, in its own order (a table has the usual ones first) or the alphabet's."""
    return list(dict.fromkeys(known if isinstance(known, Sequence | Mapping) else sorted(known)))


def _folded(name: str) -> str:
    return re.sub(r"[-_\s]+", "-", name.strip().lower())


def _pieces(name: str) -> set[str]:
    """Return the runs of words within `name`: of `fuse.soup.greedy` also `soup`, `soup.greedy`, …"""
    words = [(match.start(), match.end()) for match in re.finditer(r"[^-./]+", name)]
    return {name[start:end] for index, (start, _) in enumerate(words) for _, end in words[index:]} - {name}


def _blank(shown: str) -> str:
    """Return what is as wide as a character as it is shown."""
    if shown == "\t":
        return "\t"
    return " " * sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in shown)
