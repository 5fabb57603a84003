"""Read a CSV of numbers, of images beside it, or of both, with labels."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from ..core.errors import UserError, suggest
from . import images
from .dataset import Kind, Task
from .examples import Examples, class_order, joined, several
from .source import Source

_INTEGER = r"\s*[+-]?\d+\s*"


def read(source: Source, path: Path, enough: int | None = None) -> Examples:
    """Read one example a row, or about `enough` of those with images.

    Raises: UserError with the lines, as editors count them.
    """
    table = _table(path)
    label_columns = _named(source.label) or ("label",)
    if source.label is None and "label" not in table.header:
        raise UserError(f"`{path.name}`: which column is the label?", f"write `label:`, {_one_of(table.header)}")
    taken = {*label_columns, *_named(source.image), *_named(source.group)}
    listed = source.listed
    y, labels, task = _targets(table, label_columns, source.task, listed)
    numbers = source.columns or (() if source.image else tuple(name for name in table.header if name not in taken))
    if twice := sorted(set(numbers) & set(label_columns)):
        raise UserError(f"`{path.name}`: `{twice[0]}` is the label, and cannot be an input", "take it out of `columns`")
    if not numbers and not source.image:
        raise UserError(f"`{path.name}` has no input column, only {_one_of(table.header)}")
    groups = np.array(table.column(source.group, "group")) if source.group else None
    rows, files = np.arange(len(table.rows)), tuple[Path, ...]()
    kinds: dict[str, Kind] = {}
    inputs: dict[str, np.ndarray] = {}
    if source.image:
        kinds["image"] = "image"
        paths = _paths(table, source.image, path.parent)
        chosen = np.array(images.spread(y.tolist() if task == "single-label" else [""] * len(y), enough))
        paths = [paths[row] for row in chosen]
        inputs["image"], readable = images.read(paths, path.parent, source)
        rows, files = chosen[readable], images.few(paths, readable)
    if numbers:
        kinds["numbers"] = "numbers"
        inputs["numbers"] = np.stack([table.numbers(name, "columns") for name in numbers], axis=1)[rows]
    if len(inputs) == 1:
        kinds = {"input": next(iter(kinds.values()))}
    groups = None if groups is None else groups[rows]
    return Examples(joined(inputs), y[rows], labels, task, kinds, groups, labels_listed=bool(listed), files=files)


@dataclass(frozen=True)
class _Table:
    name: str
    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    """Where each row ends in the file, from 1."""

    def column(self, name: str, option: str) -> list[str]:
        if name not in self.header:
            raise UserError(f"`{self.name}` has no column `{name}` (`{option}`)", suggest(name, self.header))
        index = self.header.index(name)
        return [row[index].strip() for row in self.rows]

    def numbers(self, name: str, option: str) -> np.ndarray:
        """Return a column as float64; `UserError` at what is empty, NaN, infinite or no number."""
        cells = self.column(name, option)
        values = np.array([_number(cell) for cell in cells])
        wrong = np.flatnonzero(~np.isfinite(values))
        help = "fill it in, leave the row out, or name the input columns: `columns: [a, b]`"
        self.refuse(wrong.tolist(), cells, f"no number in column `{name}`", help)
        return values

    def refuse(self, rows: list[int], cells: list[str], problem: str, help: str) -> None:
        """Raise UserError that names the lines of `rows`, and what stands there."""
        if rows:
            named = [f"line {self.lines[row]}" + (f" `{cells[row]}`" if cells[row] else "") for row in rows]
            raise UserError(f"`{self.name}`: {problem}: {several(named)}", help)


def _table(path: Path) -> _Table:
    """Read the file as UTF-8, with a byte order mark or not; commas, semicolons or tabs, as the first line has."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(",;\t", key=first.count), strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows, lines = [], []
            for row in reader:
                if len(row) not in (0, len(header)):
                    raise UserError(
                        f"`{path.name}`: line {reader.line_num} has {len(row)} values, and the header {len(header)}",
                        "text with a comma in it goes into quotes",
                    )
                if row:
                    rows.append(row)
                    lines.append(reader.line_num)
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise UserError(f"`{path.name}` is no CSV in UTF-8: {error}", "export it as `CSV UTF-8`") from error
    if not rows:
        raise UserError(f"`{path.name}` has no rows", "the first line names the columns")
    if twice := [name for name, count in Counter(header).items() if count > 1]:
        raise UserError(f"`{path.name}` has two columns `{twice[0]}`")
    return _Table(path.name, header, rows, lines)


def _named(names: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names or ()


def _one_of(names: list[str]) -> str:
    return "one of " + ", ".join(f"`{name}`" for name in names)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _targets(
    table: _Table, names: tuple[str, ...], task: Task | None, listed: tuple[str, ...]
) -> tuple[np.ndarray, tuple[str, ...], Task]:
    """Return `y`, labels and task; `listed` are the labels that the recipe names, in their order."""
    if listed and (len(names) > 1 or task == "regression"):
        raise UserError(f"`{table.name}`: `labels` lists classes, and `label` names columns", "take `labels` out")
    if len(names) > 1:
        values = np.stack([table.numbers(name, "label") for name in names], axis=1)
        flags = bool(np.isin(values, (0, 1)).all())
        if task == "single-label":
            raise UserError(f"`{table.name}`: single-label takes one column, and `label` names {len(names)}")
        if task == "multi-label" and not flags:
            raise UserError(f"`{table.name}`: the columns of a multi-label are 0 or 1, and some of `label` are not")
        kind: Task = task or ("multi-label" if flags else "regression")
        return values.astype(np.uint8 if kind == "multi-label" else np.float64), names, kind
    cells = table.column(names[0], "label")
    empty = [row for row, cell in enumerate(cells) if not cell]
    if task == "multi-label":
        sets = [{label.strip() for label in cell.split("|") if label.strip()} for cell in cells]
        labels = listed or tuple(sorted(set().union(*sets), key=class_order))
        odd = [row for row, present in enumerate(sets) if present - set(labels)]
        table.refuse(odd, cells, f"labels that are none of the {len(labels)} `labels`", "list them all")
        return np.array([[label in present for label in labels] for present in sets], np.uint8), labels, task
    table.refuse(empty, cells, f"no label in column `{names[0]}`", "fill it in, or leave the row out")
    if listed:
        odd = [row for row, cell in enumerate(cells) if cell not in listed]
        table.refuse(odd, cells, f"labels that are none of the {len(listed)} `labels`", "list them all")
        order = {label: number for number, label in enumerate(listed)}
        return np.array([order[cell] for cell in cells], np.int64), listed, "single-label"
    if task == "regression" or (task is None and _decimal(cells)):
        return table.numbers(names[0], "label"), names, "regression"
    integers = all(re.fullmatch(_INTEGER, cell) for cell in cells)
    different = sorted(set(cells), key=class_order)
    if task is None and integers and len(different) > max(20, len(cells) // 2):
        raise UserError(
            f"`{table.name}`: column `{names[0]}` has {len(different)} different whole numbers in {len(cells)} rows",
            "say which it is: `task: regression` for a quantity, `task: single-label` for classes",
        )
    index = {label: number for number, label in enumerate(different)}
    return np.array([index[cell] for cell in cells], np.int64), tuple(different), "single-label"


def _decimal(cells: list[str]) -> bool:
    """Tell whether they are all numbers, and not all whole."""
    return all(np.isfinite(_number(cell)) for cell in cells) and not all(re.fullmatch(_INTEGER, cell) for cell in cells)


def _paths(table: _Table, column: str, folder: Path) -> list[Path]:
    """Return the image files, all of them there, each once, and in the CSV's folder or below."""
    cells = table.column(column, "image")
    every, count = range(len(cells)), Counter(cells)
    out = [row for row in every if _escapes(cells[row])]
    table.refuse(
        out, cells, "images outside of its folder", "put the CSV above its images; paths count from its folder"
    )
    missing = [row for row in every if not (folder / cells[row]).is_file()]
    table.refuse(missing, cells, "image files that are not there", "paths count from the CSV's folder")
    twice = [row for row in every if count[cells[row]] > 1]
    table.refuse(twice, cells, "images that stand in several rows", "keep one row each")
    return [folder / cell for cell in cells]


def _escapes(cell: str) -> bool:
    return (
        PurePosixPath(cell).is_absolute() or PureWindowsPath(cell).anchor != "" or ".." in PureWindowsPath(cell).parts
    )
