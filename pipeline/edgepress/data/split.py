"""Split examples into train, validation and test, reproducibly."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np

from ..core.errors import UserError
from .dataset import Dataset, Input, Split, measured, numbered
from .examples import Examples, several
from .source import Shares

SPLITS = ("train", "validation", "test")
_MEASURED = 2**24
"""Values of an input that its mean and deviation are taken from, evenly spread, which is 0.1 GB of float64."""


def divide(
    examples: Examples, shares: Shares | None = None, seed: int = 0, name: str = "examples", source: str = ""
) -> Dataset:
    """Split checked `examples` into three that share none of them, as a `Dataset`.

    With `groups`, a group is in one split. Without, equal values (the same bytes) are: a photo that was saved twice
    would else be learnt and tested. Classes are spread evenly, and train has all of them. Splits that `part` names are
    kept; one that it leaves out is taken from train. The rows of each split are in random order, for a smoke run
    takes the first of them.

    Raises: UserError when there is one class only, when a split would be empty, or train would lack a class.
    """
    called = Path(source).name or name
    part = np.full(len(examples.x), "train") if examples.part is None else examples.part
    if unknown := sorted(set(part.tolist()) - set(SPLITS)):
        raise UserError(f"`{called}` has a split `{unknown[0]}`, and they are {', '.join(SPLITS)}")
    missing = [split for split in SPLITS[1:] if split not in part]
    if shares is not None and not missing:
        raise UserError(f"`{called}` gives its splits, and `split` would change them", "take `split` out")
    if examples.task == "single-label" and len(examples.labels) < 2 and (examples.labelled or examples.labels):
        raise UserError(f"`{called}` has one class only, `{examples.labels[0]}`", "there is nothing to tell apart")
    random = np.random.default_rng(seed)
    rows = {split: np.flatnonzero(part == split) for split in SPLITS}
    rows |= _dealt(examples, rows["train"], missing, shares or Shares(), random, called)
    lacking = _uncovered(examples, rows["train"])
    if lacking and not examples.labels_listed:
        named = several([f"`{label}`" for label in lacking])
        raise UserError(
            f"`{called}` has no training examples of {named}",
            "add some, or take the label out",
        )
    for indices in rows.values():
        random.shuffle(indices)
    splits = {split: Split(examples.x[indices], examples.y[indices]) for split, indices in rows.items()}
    inputs = tuple(_input(split, examples, rows["train"]) for split in examples.columns)
    assert examples.task is not None, "checked examples have a task"
    return Dataset(
        name,
        examples.labels,
        splits,
        inputs,
        examples.task,
        source,
        examples.labelled,
        files=examples.files,
        uncovered=lacking,
        groups=None if examples.groups is None else numbered(examples.groups[rows["test"]]),
        notes=examples.notes,
        warnings=examples.warnings,
    )


def _dealt(
    examples: Examples, rows: np.ndarray, missing: list[str], shares: Shares, random: np.random.Generator, name: str
) -> dict[str, np.ndarray]:
    """Deal `rows` to train and the `missing` splits.

    Units, the groups or the equal examples, are dealt class by class, the large ones first, each to the split that
    is furthest below its share of all dealt so far: this keeps the shares in every class and in the whole. A unit
    with a class that none before it has goes to train, and the last others go to the splits that have none.
    """
    units = _units(examples, rows)
    unit_name = "different example" if examples.groups is None else "group"
    if len(units) <= len(missing):
        count = f"{len(units)} {unit_name}{'' if len(units) == 1 else 's'}"
        raise UserError(
            f"`{name}` has {count}, and {len(missing) + 1} splits need one each",
            "" if examples.groups is None else "is `group` what you mean? its examples are kept together",
        )
    wanted = {split: getattr(shares, split) for split in missing}
    wanted = {"train": 1 - sum(wanted.values()), **wanted}
    labels = examples.y
    of = labels if examples.task == "single-label" else np.zeros(len(labels), np.int64)
    order = [units[i] for i in random.permutation(len(units))]
    order.sort(
        key=lambda unit: (int(np.bincount(of[unit]).argmax()) if len(unit) > 1 else int(of[unit[0]]), -len(unit))
    )
    dealt_units: dict[str, list[np.ndarray]] = {split: [] for split in wanted}
    covering = _covering(examples, order)
    free = len(order) - len(covering)
    if free < len(missing):
        raise UserError(
            f"`{name}` has {len(order)} {unit_name}s; train needs {len(covering)} of them to have every class, and "
            f"{' and '.join(missing)} one each",
        )
    dealt, total = Counter(dict.fromkeys(wanted, 0)), 0
    for index, unit in enumerate(order):
        total += len(unit)
        empty = [split for split in wanted if not dealt_units[split]]
        if index in covering:
            choice = "train"
        elif free <= len(empty):
            choice = empty[0]
        else:
            choice = max(wanted, key=lambda split: wanted[split] * total - dealt[split])
        free -= index not in covering
        dealt_units[choice].append(unit)
        dealt[choice] += len(unit)
    return {split: np.concatenate(parts) for split, parts in dealt_units.items()}


def _units(examples: Examples, rows: np.ndarray) -> list[np.ndarray]:
    """Group `rows` that belong together: of one group, or of the same values."""
    if examples.groups is not None:
        keys = examples.groups[rows].tolist()
    else:
        keys = [hashlib.sha256(examples.x[row].tobytes()).digest() for row in rows]
    units: dict[object, list[int]] = {}
    for key, row in zip(keys, rows.tolist(), strict=True):
        units.setdefault(key, []).append(row)
    return [np.array(unit) for unit in units.values()]


def _covering(examples: Examples, units: list[np.ndarray]) -> set[int]:
    """Return the indices of `units` that bring a class that none before them has."""
    seen: set[int] = set()
    covering = set()
    for index, unit in enumerate(units):
        if new := _classes(examples, unit) - seen:
            seen |= new
            covering.add(index)
    return covering


def _classes(examples: Examples, rows: np.ndarray) -> set[int]:
    if not examples.labelled:
        return set()
    if examples.task == "single-label":
        return set(examples.y[rows].tolist())
    if examples.task == "multi-label":
        return set(np.flatnonzero(examples.y[rows].any(axis=0)).tolist())
    return set()


def _uncovered(examples: Examples, rows: np.ndarray) -> tuple[str, ...]:
    """Return the labels that none of `rows` has."""
    if examples.task == "regression" or not examples.labelled:
        return ()
    seen = _classes(examples, rows)
    return tuple(label for index, label in enumerate(examples.labels) if index not in seen)


def _input(name: str, examples: Examples, train: np.ndarray) -> Input:
    raw, kind = examples.columns[name], examples.kinds[name]
    if kind == "tokens":
        return measured(name, kind, raw, vocabulary=int(raw.max()) + 1)
    step = -(-len(train) * int(np.prod(raw.shape[1:])) // _MEASURED)
    return measured(name, kind, raw[train[::step]], scale=1 / 255 if kind == "image" else 1.0)
