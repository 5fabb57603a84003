"""Split examples into train, validation and test, reproducibly."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..core.errors import UserError, suggest
from . import targets
from .dataset import Dataset, Input, Split, measured, numbered
from .examples import Examples
from .memo import remembered
from .rows import Lazy, Rows, choose, digests
from .source import Shares
from .targets import Targets
from .words import several

SPLITS = ("train", "validation", "test")
_AT_ONCE = 2**16
"""Rows of tokens that are looked at together."""
_MEASURED = 2**24
"""Values of an input that its mean and deviation are taken from, evenly spread, which is 0.1 GB of float64."""


def divide(
    examples: Examples, shares: Shares | None = None, seed: int = 0, name: str = "examples", source: str = "",
    cache: Path | None = None,
) -> Dataset:  # fmt: skip
    """Split checked `examples` into three that share none of them, as a `Dataset`.

    With `groups`, a group is in one split. Without, equal values or files (the same bytes) are: a photo that was saved
    twice would else be learnt and tested. Classes are spread evenly, and train has all of them. Splits that `part`
    names are kept; one that it leaves out is taken from train. The rows of each split are in random order, for a smoke
    run takes the first of them. Means and deviations of examples that are not in memory are remembered in `cache`.

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

    def dealt() -> dict[str, np.ndarray]:
        random = np.random.default_rng(seed)
        rows = {split: np.flatnonzero(part == split) for split in SPLITS}
        rows |= _dealt(examples, rows["train"], missing, shares or Shares(), random, called)
        for indices in rows.values():
            random.shuffle(indices)
        return rows

    rows = _remembered(dealt, [_content(examples, part), missing, repr(shares), seed], cache, examples)
    lacking = _uncovered(examples, rows["train"])
    if lacking and not examples.labels_listed:
        named = several([f"`{label}`" for label in lacking])
        raise UserError(
            f"`{called}` has no training examples of {named}",
            "add some, or take the label out",
        )
    _judgeable(examples, rows, called)
    splits = {split: Split(choose(examples.x, indices), choose(examples.y, indices)) for split, indices in rows.items()}
    inputs = tuple(_input(split, examples, rows["train"], cache) for split in examples.columns)
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
        warnings=(*examples.warnings, *_apart(examples, called)),
        flip_pairs=_flip_pairs(examples, called),
    )


def _remembered(
    dealt: Callable[[], dict[str, np.ndarray]], material: list[object], cache: Path | None, examples: Examples
) -> dict[str, np.ndarray]:
    """Return the rows of each split; of a hundred thousand files, dealing them takes seconds."""
    if not isinstance(examples.x, Lazy):
        return dealt()
    return remembered(cache, ["dealt", *material], dealt)


def _content(examples: Examples, part: np.ndarray) -> str:
    """Return a digest of all that decides how examples are dealt."""
    if not isinstance(examples.x, Lazy):
        return ""
    total = hashlib.sha256(repr((examples.task, examples.labels, examples.labelled)).encode())
    for array in (examples.x.digests, examples.y, part, examples.groups):
        if array is not None:
            content = array.digests if isinstance(array, Lazy) else array
            total.update(repr((array.shape, str(array.dtype))).encode() + content.tobytes())
    return total.hexdigest()


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
    least = _targets(examples).least_units if examples.labelled else 1
    if len(units) < least * (len(missing) + 1):
        count = f"{len(units)} {unit_name}{'' if len(units) == 1 else 's'}"
        raise UserError(
            f"`{name}` has {count}, and {len(missing) + 1} splits need {'one' if least == 1 else least} each",
            "" if examples.groups is None else "is `group` what you mean? its examples are kept together",
        )
    wanted = {split: getattr(shares, split) for split in missing}
    wanted = {"train": 1 - sum(wanted.values()), **wanted}
    of = examples.y if _targets(examples).classes else np.zeros(len(examples.y), np.int64)
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
        lacking = {split: least - len(dealt_units[split]) for split in wanted if len(dealt_units[split]) < least}
        if index in covering:
            choice = "train"
        elif free <= sum(lacking.values()):
            choice = next(iter(lacking))
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
        keys = [row.tobytes() for row in digests(choose(examples.x, rows))]
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
    return _targets(examples).present(choose(examples.y, rows)) if examples.labelled else set()


def _apart(examples: Examples, name: str) -> tuple[str, ...]:
    """Warn of the user's groups that lie in several given splits, which are kept as they are.

    Where the targets decide the groups, as identities do, given splits may share them: each is then to be known again.
    """
    if examples.groups is None or examples.part is None:
        return ()
    if examples.labelled and _targets(examples).groups(examples.y) is not None:
        return ()
    names, of = np.unique(examples.groups, return_inverse=True)
    pairs = np.unique(np.stack([of, numbered(examples.part)]), axis=1)  # of a group and a split that has it
    if not len(torn := names[np.bincount(pairs[0]) > 1]):
        return ()
    count = f"{len(torn)} group{'s are' if len(torn) > 1 else ' is'}"
    return (
        f"`{name}`: {count} in more than one of the given splits: {several([f'`{group}`' for group in torn])}; what "
        "is learnt of a group is then tested on it: give all of its examples one split",
    )


def _uncovered(examples: Examples, rows: np.ndarray) -> tuple[str, ...]:
    """Return the labels that none of `rows` has, and one should."""
    required = _targets(examples).required(len(examples.labels)) if examples.labelled else frozenset()
    lacking = required - _classes(examples, rows) if required else frozenset()
    return tuple(examples.labels[index] for index in sorted(lacking))


def _judgeable(examples: Examples, rows: dict[str, np.ndarray], name: str) -> None:
    """Raise UserError where the targets of a split teach or decide nothing."""
    for split, indices in rows.items():
        y = choose(examples.y, indices)
        if examples.labelled and (reason := _targets(examples).reject_split(y, examples.labels)):
            raise UserError(f"the {split} split of `{name}` has {reason[0]}", reason[1])


def _targets(examples: Examples) -> Targets:
    assert examples.task is not None, "checked examples have a task"
    return targets.of(examples.task)


def _flip_pairs(examples: Examples, name: str) -> tuple[tuple[int, int], ...]:
    """Return pairs of labels by their number. Raises: UserError where a name is no label, or is in two pairs."""
    names = [point for pair in examples.flip_pairs for point in pair]
    if unknown := [point for point in names if point not in examples.labels]:
        raise UserError(f"`{name}`: `flip_pairs` names `{unknown[0]}`", suggest(unknown[0], examples.labels))
    if len(set(names)) < len(names):
        twice = next(point for point in names if names.count(point) > 1)
        raise UserError(f"`{name}`: `flip_pairs` names `{twice}` twice", "a point has one that it changes places with")
    return tuple((examples.labels.index(left), examples.labels.index(right)) for left, right in examples.flip_pairs)


def _input(name: str, examples: Examples, train: np.ndarray, cache: Path | None) -> Input:
    raw, kind = examples.columns[name], examples.kinds[name]
    if kind == "tokens":
        return measured(name, kind, raw, vocabulary=_largest(raw) + 1)
    step = -(-len(train) * int(np.prod(raw.shape[1:])) // _MEASURED)
    sample, scale = choose(raw, train[::step]), 1 / 255 if kind == "image" else 1.0
    if not isinstance(sample, Lazy):
        return measured(name, kind, sample[:], scale=scale)

    def moments() -> dict[str, np.ndarray]:
        found = measured(name, kind, sample[:], scale=scale)
        return {"mean": np.array(found.mean), "std": np.array(found.std)}

    content = hashlib.sha256(sample.digests.tobytes()).hexdigest()
    material = ["moments", kind, sample.shape, str(sample.dtype), sample.made_by, content]
    kept = {name: tuple(values.tolist()) for name, values in remembered(cache, material, moments).items()}
    return Input(name, kind, sample.shape[1:], scale, kept["mean"], kept["std"], normalized_by="train")


def _largest(tokens: Rows) -> int:
    return max(int(tokens[start : start + _AT_ONCE].max()) for start in range(0, len(tokens), _AT_ONCE))
