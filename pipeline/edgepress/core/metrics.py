"""Compute metrics of model outputs against labels, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import intervals
from .user_code import OwnCodeError

RESAMPLES = intervals.DRAWS
"""Draws of the bootstrap; the same examples are drawn for every model, so that two models can be paired."""


@dataclass(frozen=True)
class Metric:
    """A number from answers (n, labels) and labels as `data.Split` has them.

    `higher` says which way is better: a share, in percent, or an error in the unit of the labels. `tasks` are those
    that it can score. A metric is `counted` if it is the share of examples that are right.
    """

    name: str
    function: Callable[[np.ndarray, np.ndarray], float]
    higher: bool = True
    tasks: tuple[str, ...] = ("single-label", "multi-label", "regression")
    counted: bool = False
    key: Sequence[Any] = ()
    """What tells it apart beside its name, as JSON data: of a user's own, its file and arguments."""

    def __call__(self, answers: np.ndarray, y: np.ndarray) -> float:
        return float(self.function(answers, y))

    def goodness(self, answers: np.ndarray, y: np.ndarray) -> float:
        """In points, more is better: 100 times a share, or minus 100 times an error: that of numbers is counted in
        their mean size."""
        value = self(answers, y)
        size = max(float(np.abs(y).mean()), 1e-9) if y.dtype.kind == "f" else 1
        return 100 * value if self.higher else -100 * value / size

    def resampled(self, answers: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> list[float]:
        """The metric on `RESAMPLES` bootstrap draws of the examples (Efron, 1979), or of whole `groups` of them."""
        random = np.random.default_rng(len(y))
        if groups is None:
            draws = (random.integers(0, len(y), len(y)) for _ in range(RESAMPLES))
        else:
            rows = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
            chosen = (random.integers(0, len(rows), len(rows)) for _ in range(RESAMPLES))
            draws = (np.concatenate([rows[group] for group in each]) for each in chosen)
        return [round(self(answers[rows], y[rows]), 6) for rows in draws]


def of_constant(metric: Metric, y: np.ndarray) -> float | None:
    """An error where every answer is the mean of the labels `y`; None where that cannot be scored."""
    if metric.higher or y.dtype.kind != "f":
        return None
    try:
        return metric(np.broadcast_to(y.mean(0), y.shape).astype(np.float32), y)
    except OwnCodeError:
        return None  # a function of the user's that has no value there: only zero is near zero, then


def accuracy(answers: np.ndarray, y: np.ndarray) -> float:
    """Share of rows whose largest answer is at the label; of multi-label rows, share of labels told right."""
    return float((answers.argmax(1) == y).mean()) if y.ndim == 1 else float(((answers > 0) == (y > 0)).mean())


def macro_f1(answers: np.ndarray, y: np.ndarray) -> float:
    """Mean over the classes that occur of 2·TP / (2·TP + FP + FN)."""
    told, true = _marks(answers, y)
    right, wrong = (told & true).sum(0), (told ^ true).sum(0)
    seen = true.any(0)
    return float((2 * right / np.maximum(2 * right + wrong, 1))[seen].mean())


def worst_recall(answers: np.ndarray, y: np.ndarray) -> float:
    """The smallest share of a class's examples that are told right, over the classes that occur."""
    told, true = _marks(answers, y)
    seen = true.any(0)
    return float(((told & true).sum(0)[seen] / true.sum(0)[seen]).min())


def auc(answers: np.ndarray, y: np.ndarray) -> float:
    """Mean over the classes of the chance that an example of the class is ranked above one that is not (ties 1/2)."""
    from scipy.stats import rankdata

    _, true = _marks(answers, y)
    odds = answers if y.ndim > 1 else answers - _logsumexp(answers)
    found = []
    for score, mark in zip(odds.T, true.T, strict=True):
        positive, negative = int(mark.sum()), int((~mark).sum())
        if positive and negative:
            ranks = rankdata(score)
            found.append((ranks[mark].sum() - positive * (positive + 1) / 2) / (positive * negative))
    return float(np.mean(found)) if found else 0.5


def mae(answers: np.ndarray, y: np.ndarray) -> float:
    """Mean absolute error."""
    return float(np.abs(answers - y).mean())


_CLASSES = ("single-label", "multi-label")
METRICS = {
    each.name: each
    for each in (
        Metric("accuracy", accuracy, tasks=_CLASSES, counted=True),
        Metric("macro-f1", macro_f1, tasks=_CLASSES),
        Metric("worst-recall", worst_recall, tasks=_CLASSES),
        Metric("auc", auc, tasks=_CLASSES),
        Metric("mae", mae, higher=False, tasks=("regression",)),
        # With the answers of the reference in the place of labels.
        Metric("agreement", accuracy, tasks=("single-label",), counted=True),
    )
}
"""What a recipe's `metric:` may name: one row each."""


def bounds(
    answers: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None
) -> dict[str, tuple[float, float, float]]:
    """macro-f1 and worst-recall of single-label answers: value, and a 95% interval.

    It is of a bootstrap over examples, or over whole `groups` of them, and no narrower than so few examples allow; see
    `floored`. One group bounds nothing: from 0 to 1.
    """
    if y.ndim != 1 or y.dtype.kind == "f":
        return {}
    told, classes = answers.argmax(1), answers.shape[1]
    counts = _counts(y, told, np.ones(len(y)), classes)
    drawn = list(_drawn(y, told, classes, groups))
    units = len(y) if groups is None else int(groups.max()) + 1
    found = {}
    for name, function in (("macro_f1", _f1), ("worst_recall", _recall)):
        value = function(*counts)
        low, high = intervals.of_draws(value, [function(*each) for each in drawn], units)
        found[name] = (value, max(low, 0.0), min(high, 1.0))
    return floored(found, told == y, y, groups)


def floored(
    found: dict[str, tuple[float, float, float]], right: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None
) -> dict[str, tuple[float, float, float]]:
    """`bounds` no narrower than the binomial: a class of which 0 of 10 are right may have 28%; `right` is by example.

    Of the worst recall the interval reaches down to the lowest of Wilson's lower bounds of all classes, and up to the
    upper one of the worst class. Macro-F1, a mean over classes, counts as of as many examples as the rarest class has,
    times the classes. Where every example of a class is right, or none, groups are what counts, not their examples.
    """
    seen, of = np.unique(y, return_inverse=True)
    count, hits = np.bincount(of), np.bincount(of, weights=right)
    low, high = intervals.wilson(hits, count)
    if groups is not None:
        unseen = np.array([intervals.never_seen(len(np.unique(groups[of == k]))) for k in range(len(seen))])
        low = np.where(hits == count, np.minimum(low, 1 - unseen), low)
        high = np.where(hits == 0, np.maximum(high, unseen), high)
    least = _worst(hits, count)
    floors = {"worst_recall": (low.min(), high[least])}
    value = found["macro_f1"][0] if found else 0.0
    units = len(seen) * int(count.min())
    if groups is not None and value in (0.0, 1.0):
        units = int(groups.max()) + 1
    half = intervals.never_seen(units)
    floors["macro_f1"] = (max(value - half, 0.0), min(value + half, 1.0))
    return {
        name: (each[0], min(each[1], float(floors[name][0])), max(each[2], float(floors[name][1])))
        for name, each in found.items()
    }


def worst(answers: np.ndarray, y: np.ndarray, labels: Sequence[str]) -> tuple[str, int, int] | None:
    """The class with the lowest recall, how many of its examples are right, and of how many; None without classes."""
    if y.ndim != 1 or y.dtype.kind == "f":
        return None
    seen, of = np.unique(y, return_inverse=True)
    count, hits = np.bincount(of), np.bincount(of, weights=answers.argmax(1) == y)
    least = _worst(hits, count)
    return labels[seen[least]], int(hits[least]), int(count[least])


def _worst(hits: np.ndarray, count: np.ndarray) -> int:
    """The index of the lowest recall; of equal ones the one with most examples, which says most."""
    return int(np.lexsort((-count, hits / count))[0])


def _drawn(
    y: np.ndarray, told: np.ndarray, classes: int, groups: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """`_counts` of bootstrap draws. Drawing examples anew is drawing the cells of their confusion matrix, a
    multinomial; only cells that occur are kept, since a thousand classes have a million."""
    random = np.random.default_rng(len(y))
    if groups is None:
        cells, count = np.unique(y * classes + told, return_counts=True)
        for _ in range(RESAMPLES):
            weights = random.multinomial(len(y), count / len(y))
            yield _counts(cells // classes, cells % classes, weights, classes)
    else:
        many = int(groups.max()) + 1
        for _ in range(RESAMPLES):
            weights = random.multinomial(many, np.full(many, 1 / many))[groups]
            yield _counts(y, told, weights, classes)


def _counts(
    true: np.ndarray, told: np.ndarray, weights: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By class (classes,): how often it is told right, is true, and is told."""
    right = np.bincount(true, weights * (true == told), classes)
    return right, np.bincount(true, weights, classes), np.bincount(told, weights, classes)


def _f1(right: np.ndarray, true: np.ndarray, told: np.ndarray) -> float:
    """`macro_f1` of `_counts`."""
    seen = true > 0
    return float((2 * right / np.maximum(true + told, 1))[seen].mean())


def _recall(right: np.ndarray, true: np.ndarray, told: np.ndarray) -> float:
    """`worst_recall` of `_counts`."""
    seen = true > 0
    return float((right[seen] / true[seen]).min())


def nll(answers: np.ndarray, y: np.ndarray) -> float:
    """Mean negative log-likelihood in nats of answers that need not be normalised.

    Multi-label: of each label's two outcomes. Regression: the mean squared error, a Gaussian's up to constants.
    """
    z = answers.astype(np.float64)
    if y.ndim == 1:
        return float((_logsumexp(z)[:, 0] - z[np.arange(len(z)), y]).mean())
    if y.dtype.kind == "f":
        return float(((z - y) ** 2).mean())
    return float((np.logaddexp(0, z) - z * y).mean())


def agreement(one: np.ndarray, other: np.ndarray, y: np.ndarray) -> float:
    """Share of answers (n, labels) of two models that tell the same, or are within 1% of the labels' spread."""
    if y.dtype.kind == "f":
        return float((np.abs(one - other) <= 0.01 * max(float(y.std()), 1e-9)).mean())
    return float(((one > 0) == (other > 0)).mean()) if y.ndim > 1 else float((one.argmax(1) == other.argmax(1)).mean())


def _marks(answers: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is told and what is true, as booleans (n, classes)."""
    if y.ndim > 1:
        return answers > 0, y > 0
    classes = np.arange(answers.shape[1])
    return answers.argmax(1)[:, None] == classes, y[:, None] == classes


def _logsumexp(z: np.ndarray) -> np.ndarray:
    top = z.max(1, keepdims=True)
    found: np.ndarray = top + np.log(np.exp(z - top).sum(1, keepdims=True))
    return found
