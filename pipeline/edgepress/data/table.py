"""Read a CSV of numbers, of images beside it, or of both, with labels."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from ..core.columns import joined
from ..core.errors import UserError
from . import csv_file, files, images, listing
from .csv_file import Table
from .dataset import Kind, Task
from .examples import Examples
from .listing import Skipped
from .source import Source
from .words import class_order, several

_MISSING = {"na", "n/a", "nan", "null", "?", "-"}
"""What often stands for a missing label."""


def read(source: Source, path: Path, limit: int | None = None, cache: Path | None = None) -> Examples:
    """Read one example a row, or `limit` or so for each split of those with images.

    Raises: UserError with the lines, as editors count them.
    """
    table = csv_file.read(path)
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
    rows, sampled = np.arange(len(table.rows)), tuple[Path, ...]()
    skipped, notes = Skipped(), _labels_noted(table, label_columns, task, labels, listed)
    kinds: dict[str, Kind] = {}
    inputs: dict[str, Any] = {}
    if source.image:
        kinds["image"] = "image"
        paths = _paths(table, source.image, path.parent)
        notes += _unnamed(paths, path)
        if unread := [f"`{name}`" for name in table.header if name not in {*taken, *numbers}]:
            notes += (f"`{path.name}`: the columns {', '.join(unread)} are not read; `columns` names numbers to read",)
        chosen = np.array(images.some(y.tolist() if task == "single-label" else [""] * len(y), (), limit))
        paths = [paths[row] for row in chosen]
        read_later, readable = files.read(paths, path.parent, source, skipped, cache=cache)
        inputs["image"] = files.whole(read_later) if numbers else read_later
        rows, sampled = chosen[readable], images.few(paths, readable)
    if numbers:
        kinds["numbers"] = "numbers"
        inputs["numbers"] = np.stack([table.numbers(name, "columns") for name in numbers], axis=1)[rows]
    if len(inputs) == 1:
        kinds = {"input": next(iter(kinds.values()))}
    groups = None if groups is None else groups[rows]
    return Examples(
        joined(inputs),
        y[rows],
        labels,
        task,
        kinds,
        groups,
        labels_listed=bool(listed),
        files=sampled,
        notes=(*skipped.notes(path.name), *notes),
    )


def _unnamed(paths: list[str], path: Path) -> tuple[str, ...]:
    """Note the images that no row names, in the folders of those that rows name."""
    folders = {image.rpartition(os.sep)[0] for image in paths}
    beside = {file for folder in folders for file in listing.images(Path(folder), Skipped(), deep=False)}
    if not (unnamed := sorted(beside - set(paths))):
        return ()
    one = listing.below(unnamed[0], path.parent)
    return (f"`{path.name}`: no row names {len(unnamed)} of the {len(beside)} images there, such as `{one}`",)


def _labels_noted(
    table: Table, names: tuple[str, ...], task: Task, labels: tuple[str, ...], listed: tuple[str, ...]
) -> tuple[str, ...]:
    """Note labels that may be missing values."""
    if len(names) > 1 or listed or task == "regression":
        return ()
    count = Counter(table.column(names[0], "label"))
    if task == "multi-label":
        return (f"`{table.name}`: {count['']} rows have none of the labels: their cell is empty",) if count[""] else ()
    return tuple(
        f"`{table.name}`: the label `{label}` of {count[label]} rows is read as a class"
        for label in labels
        if label.lower() in _MISSING
    )


def _named(names: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names or ()


def _one_of(names: list[str]) -> str:
    return "one of " + several([f"`{name}`" for name in names])


def _targets(
    table: Table, names: tuple[str, ...], task: Task | None, listed: tuple[str, ...]
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
    if task == "regression" or (task is None and _decimal(table, cells, names[0])):
        return table.numbers(names[0], "label"), names, "regression"
    integers = all(map(csv_file.is_integer, cells))
    different = sorted(set(cells), key=class_order)
    if task is None and integers and len(different) > max(20, len(cells) // 2):
        raise UserError(
            f"`{table.name}`: column `{names[0]}` has {len(different)} different whole numbers in {len(cells)} rows",
            "say which it is: `task: regression` for a quantity, `task: single-label` for classes",
        )
    index = {label: number for number, label in enumerate(different)}
    return np.array([index[cell] for cell in cells], np.int64), tuple(different), "single-label"


def _decimal(table: Table, cells: list[str], name: str) -> bool:
    """Tell whether labels are a quantity: numbers that are not all whole.

    Raises: UserError where some of them are none, such as `NA`: they would all become classes.
    """
    commas = [row for row, cell in enumerate(cells) if csv_file.has_decimal_comma(cell)]
    if table.separator != ";" and all(csv_file.has_decimal_comma(cell) or csv_file.is_integer(cell) for cell in cells):
        help = "write `task: regression` for numbers with a decimal comma, `single-label` or `multi-label` for classes"
        table.refuse(commas, cells, f"commas in the labels of column `{name}`", help)
    values = table.parsed(cells, name)
    numbers = np.isfinite(values)
    decimals = [row for row in np.flatnonzero(numbers).tolist() if not csv_file.is_integer(cells[row])]
    if decimals and not numbers.all() and numbers.mean() > 0.5:
        odd = np.flatnonzero(~numbers).tolist()
        help = "fill it in, or leave the row out; `task: single-label` takes every cell as a class"
        table.refuse(odd, cells, f"no number in column `{name}`, whose others are", help)
    return bool(numbers.all()) and bool(decimals)


def _paths(table: Table, column: str, folder: Path) -> list[str]:
    """Return the image files, all of them there, each once, and in the CSV's folder or below."""
    cells = table.column(column, "image")
    every, count = range(len(cells)), Counter(cells)
    out = [row for row in every if _escapes(cells[row])]
    table.refuse(
        out, cells, "images outside of its folder", "put the CSV above its images; paths count from its folder"
    )
    start = str(folder / "x")[:-1]
    # Most need no parsing, which takes seconds of a hundred thousand.
    plain = ("/." not in f"/{cell}" and "//" not in f"/{cell}/" for cell in cells)
    paths = [start + cell if simple else str(folder / cell) for cell, simple in zip(cells, plain, strict=True)]
    missing = [row for row in every if not os.path.isfile(paths[row])]  # nor is what no file can be called
    table.refuse(missing, cells, "image files that are not there", "paths count from the CSV's folder")
    twice = [row for row in every if count[cells[row]] > 1]
    table.refuse(twice, cells, "images that stand in several rows", "keep one row each")
    return paths


def _escapes(cell: str) -> bool:
    if cell[:1].isalnum() and ".." not in cell and ":" not in cell:
        return False  # parsing a hundred thousand takes seconds
    return (
        PurePosixPath(cell).is_absolute() or PureWindowsPath(cell).anchor != "" or ".." in PureWindowsPath(cell).parts
    )
