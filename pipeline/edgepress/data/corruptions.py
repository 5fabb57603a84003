"""Make a data set harder, to compare methods on it.

Fewer examples or labels, wrong labels, or rare classes.

Only the training split changes; what decides and what is reported stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..core.errors import UserError
from .dataset import Dataset, Split
from .examples import Examples
from .rows import Lazy, Rows, choose, concatenated, digests


def corrupted(
    data: Dataset,
    seed: int,
    *,
    imbalance: float | None = None,
    examples: int | None = None,
    label_noise: float | None = None,
    labels: int | None = None,
) -> Dataset:
    """Return `data` with rare classes, then fewer examples, then wrong labels, then fewer labels.

    Raises: UserError where a task has no classes, or a class would be left with nothing.
    """
    random = np.random.default_rng((seed, 1))
    if imbalance is not None:
        data = _trained_on(data, _long_tailed(data, imbalance, random))
    if examples is not None:
        data = _trained_on(data, _spread(data, examples, "examples", random))
    if label_noise is not None:
        noisy = data["train"]._replace(y=_noisy(data, label_noise, random))
        data = replace(data, splits=data.splits | {"train": noisy})
    if labels is not None:
        labelled = _spread(data, labels, "labels", random)
        rest = np.setdiff1d(np.arange(len(data["train"].y)), labelled)
        more, own = choose(data["train"].x, rest), data.unlabelled
        more = more if own is None else concatenated([more, own])
        data = replace(_trained_on(data, labelled), unlabelled=more)
    return data


def joined(data: Dataset, more: Examples) -> Dataset:
    """Return `data` with more examples that have no labels, but not those that it is validated or tested on.

    Raises: UserError when they are of another shape.
    """
    x, unlabelled = data["train"].x, more.x
    if (x.shape[1:], x.dtype) != (unlabelled.shape[1:], unlabelled.dtype):
        raise UserError(
            f"`unlabelled` has examples {unlabelled.dtype} {unlabelled.shape[1:]}, and `{data.name}` has {x.dtype} "
            f"{x.shape[1:]}",
            "for images: the same `size` and `color`",
        )
    notes, warnings = (*data.notes, *more.notes), (*data.warnings, *more.warnings)
    if shared := _shared(unlabelled, [data["validation"].x, data["test"].x]):
        if len(shared) == len(unlabelled):
            raise UserError(
                f"every example of `unlabelled` is a validation or test example of `{data.name}`",
                "students learn from others: name those, or take `unlabelled` out",
            )
        unlabelled = choose(unlabelled, np.setdiff1d(np.arange(len(unlabelled)), shared))
        notes += (f"`unlabelled`: {len(shared):,} examples that are validation or test examples are left out",)
    if data.unlabelled is not None:
        unlabelled = concatenated([data.unlabelled, unlabelled])
    return replace(data, unlabelled=unlabelled, notes=notes, warnings=warnings)


def _shared(x: Rows, others: Sequence[Rows]) -> list[int]:
    """Return the rows of `x` that are among `others`; files and arrays have no digests in common."""
    alike = [other for other in others if isinstance(other, Lazy) == isinstance(x, Lazy)]
    known = {digest.tobytes() for other in alike for digest in digests(other)}
    return [row for row, digest in enumerate(digests(x)) if digest.tobytes() in known] if known else []


def _trained_on(data: Dataset, rows: np.ndarray) -> Dataset:
    x, y = data["train"]
    return replace(data, splits=data.splits | {"train": Split(choose(x, rows), choose(y, rows))})


def _classes(data: Dataset, option: str) -> np.ndarray:
    if data.task != "single-label":
        raise UserError(f"`{data.name}` is a {data.task} task, and `{option}` is about classes", f"take `{option}` out")
    return data["train"].y


def _long_tailed(data: Dataset, ratio: float, random: np.random.Generator) -> np.ndarray:
    """Keep n · ratio^(−k / (C − 1)) rows of class k of C, n the size of the smallest (Cui et al., 2019, 5.1)."""
    y = _classes(data, "imbalance")
    classes = len(data.labels)
    most = int(np.bincount(y, minlength=classes).min())
    rows_by_class = [
        random.permutation(np.flatnonzero(y == k))[: round(most * ratio ** (-k / (classes - 1)))]
        for k in range(classes)
    ]
    if empty := [data.labels[k] for k, rows in enumerate(rows_by_class) if not len(rows)]:
        raise UserError(f"`imbalance: {ratio:g}:1` leaves no example of `{empty[0]}`", "a smaller one leaves some")
    return random.permutation(np.concatenate(rows_by_class))


def _spread(data: Dataset, count: int, option: str, random: np.random.Generator) -> np.ndarray:
    """Draw `count` rows, in which classes keep their shares, and each has one at least."""
    y = data["train"].y
    if count > len(y):
        raise UserError(f"`{option}: {count}` is more than the {len(y)} training examples of `{data.name}`")
    if data.task != "single-label":
        return random.permutation(len(y))[:count]
    classes = [random.permutation(np.flatnonzero(y == k)) for k in range(len(data.labels)) if (y == k).any()]
    if count < len(classes):
        raise UserError(f"`{option}: {count}` is less than one of each of {len(classes)} classes")
    exact = np.array([len(rows) * count / len(y) for rows in classes])
    sizes = np.maximum(np.floor(exact).astype(int), 1)
    while sizes.sum() != count:  # the largest remainder gets one more, the largest surplus gives one
        step = 1 if sizes.sum() < count else -1
        wanting = np.where((sizes > 1) | (step > 0), step * (exact - sizes), -np.inf)
        sizes[int(wanting.argmax())] += step
    return random.permutation(np.concatenate([rows[:size] for rows, size in zip(classes, sizes, strict=True)]))


def _noisy(data: Dataset, share: float, random: np.random.Generator) -> np.ndarray:
    """Replace `share` of the labels by another class, each as likely; of multi-label ones, each is flipped."""
    y = data["train"].y.copy()
    if data.task == "multi-label":
        flipped: np.ndarray = y ^ (random.random(y.shape) < share).astype(y.dtype)
        return flipped
    _classes(data, "label_noise")
    wrong = random.permutation(len(y))[: round(share * len(y))]
    y[wrong] = (y[wrong] + random.integers(1, len(data.labels), len(wrong))) % len(data.labels)
    return y
