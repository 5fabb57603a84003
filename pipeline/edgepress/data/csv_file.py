"""Read a CSV file as columns of text or numbers, each row with its line.

Numbers have a decimal point or, as in files of half of Europe, a decimal comma: `1,5`. Where it could be either a
decimal or a thousands separator, the column is refused with its lines: a number is never read as another, nor as text.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TextIO

import numpy as np

from ..core import foreign
from ..core.errors import UserError, suggest
from .images import bounded
from .words import several

_INTEGER = re.compile(r"[+-]?\d+")
_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)?,\d+([eE][+-]?\d+)?|[+-]?\d+,")
"""A number with a decimal comma, and perhaps with points between the thousands."""
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
"""Digits that commas may part in thousands: `1,234` is 1234 or 1.234."""
_SEPARATORS = ",;\t|"
_LONGEST = 20_000_000
"""Characters of a line; a million numbers take as many."""
_GROWTH = 8
"""Bytes in memory for one in the file: each cell is a Python object of its own."""
_HINT = re.compile(r"sep=(.)\s*", re.IGNORECASE)
"""Excel's first line for readers."""


@dataclass(frozen=True)
class Table:
    """The rows of a CSV file; `separator` parts its columns."""

    name: str
    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    """Where each row ends in the file, from 1."""
    separator: str

    @cached_property
    def columns(self) -> dict[str, int]:
        """The index of each column."""
        return {name: index for index, name in enumerate(self.header)}

    def column(self, name: str, option: str) -> list[str]:
        if name not in self.columns:
            raise UserError(f"`{self.name}` has no column `{name}` (`{option}`)", suggest(name, self.header))
        index = self.columns[name]
        return [row[index].strip() for row in self.rows]

    def numbers(self, name: str, option: str) -> np.ndarray:
        """Return a column as float64; `UserError` at what is empty, NaN, infinite or no number."""
        cells = self.column(name, option)
        values = self.parsed(cells, name)
        wrong = np.flatnonzero(~np.isfinite(values))
        help = "fill it in, leave the row out, or name the input columns: `columns: [a, b]`"
        self.refuse(wrong.tolist(), cells, f"no number in column `{name}`", help)
        return values

    def parsed(self, cells: list[str], name: str) -> np.ndarray:
        """Return the cells of a column as float64, NaN where there is no number. Raises: UserError if ambiguous."""
        commas = [row for row, cell in enumerate(cells) if _COMMA.fullmatch(cell)]
        if not commas:
            return np.array([_number(cell) for cell in cells])
        points = [row for row, cell in enumerate(cells) if "." in cell and not np.isnan(_number(cell))]
        if points:
            problem = f"column `{name}` has numbers with a decimal comma and with a decimal point"
            self.refuse([commas[0], points[0]], cells, problem, "write all with the same one")
        if self.separator != ";" and all(_THOUSANDS.fullmatch(cells[row]) for row in commas):
            problem = f"the comma in column `{name}` is a decimal comma or parts thousands"
            help = "write numbers with a decimal point, and thousands without a separator"
            self.refuse(commas, cells, problem, help)
        decimal = set(commas)
        written = [
            cell.replace(".", "").replace(",", ".") if row in decimal else cell for row, cell in enumerate(cells)
        ]
        return np.array([_number(cell) for cell in written])

    def refuse(self, rows: list[int], cells: list[str], problem: str, help: str) -> None:
        """Raise UserError that names the lines of `rows`, and what stands there."""
        if rows:
            named = [f"line {self.lines[row]}" + (f" `{cells[row]}`" if cells[row] else "") for row in rows]
            raise UserError(f"`{self.name}`: {problem}: {several(named)}", help)


def read(path: Path) -> Table:
    """Read the file as UTF-8, with a byte order mark or not; the separator is the most frequent in the first line."""
    bounded(_GROWTH * foreign.size(path), "its rows", path.name)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline(_LONGEST)
            if hint := _HINT.fullmatch(first):
                separator = hint[1]
            else:
                file.seek(0)
                separator = max(_SEPARATORS, key=re.sub(r'"[^"]*"', "", first).count)
            reader = csv.reader(_lines(file), delimiter=separator, strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows, lines = [], []
            for row in reader:
                if len(row) not in (0, len(header)):
                    line = reader.line_num + bool(hint)
                    raise UserError(
                        f"`{path.name}`: line {line} has {len(row)} values, and the header {len(header)}",
                        "text or numbers with a comma go into quotes, or `;` between the columns",
                    )
                if row:
                    rows.append(row)
                    lines.append(reader.line_num + bool(hint))
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise UserError(f"`{path.name}` is no CSV in UTF-8: {error}", "export it as `CSV UTF-8`") from error
    if not rows:
        raise UserError(f"`{path.name}` has no rows", "the first line names the columns")
    if twice := [name for name, count in Counter(header).items() if count > 1]:
        raise UserError(f"`{path.name}` has two columns `{twice[0]}`")
    return Table(path.name, header, rows, lines, separator)


def _lines(file: TextIO) -> Iterator[str]:
    """Yield the lines of a file; one that is too long is no row, and is not read to its end."""
    while line := file.readline(_LONGEST):
        if len(line) == _LONGEST:
            raise csv.Error(f"a line has more than {_LONGEST:,} characters")
        yield line


def is_integer(cell: str) -> bool:
    """Tell whether a cell is a whole number."""
    return _INTEGER.fullmatch(cell) is not None


def has_decimal_comma(cell: str) -> bool:
    """Tell whether a cell is a number with a comma that may be a decimal one."""
    return _COMMA.fullmatch(cell) is not None


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")
