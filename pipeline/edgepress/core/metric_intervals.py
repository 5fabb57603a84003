"""Compute a metric's interval on test examples, and the worst class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from . import intervals
from .metric import RESAMPLES
from .metric_functions import f1, least_recall, predicted


def bounds(
    outputs: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None
) -> dict[str, tuple[float, float, float]]:
    """Return macro-f1 and worst-recall of single-label outputs, each with a 95% interval.

    It is of a bootstrap over examples, or over whole `groups` of them, and no narrower than so few examples allow; see
    `floored`. One group bounds nothing: from 0 to 1.
    """
    if y.ndim != 1 or y.dtype.kind not in "iu":
        return {}
    classes = outputs.shape[1] + 1  # with that of no number
    counts = _counts(y, taken := predicted(outputs), np.ones(len(y)), classes)
    draws = np.array([(f1(*draw), least_recall(*draw)) for draw in _drawn(y, taken, classes, groups)])
    units = len(y) if groups is None else int(groups.max()) + 1
    intervals_by_metric = {}
    for name, value, drawn in (
        ("macro_f1", f1(*counts), draws[:, 0]),
        ("worst_recall", least_recall(*counts), draws[:, 1]),
    ):
        low, high = intervals.of_draws(value, drawn, units)
        intervals_by_metric[name] = (value, max(low, 0.0), min(high, 1.0))
    return floored(intervals_by_metric, taken == y, y, groups)


def floored(
    unfloored: dict[str, tuple[float, float, float]], right: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None
) -> dict[str, tuple[float, float, float]]:
    """Widen `bounds` to the binomial: a class of which 0 of 10 are right may have 28%; `right` is by example.

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
    value = unfloored["macro_f1"][0] if unfloored else 0.0
    units = len(seen) * int(count.min())
    if groups is not None and value in (0.0, 1.0):
        units = int(groups.max()) + 1
    half = intervals.never_seen(units)
    floors["macro_f1"] = (max(value - half, 0.0), min(value + half, 1.0))
    return {
        name: (bound[0], min(bound[1], float(floors[name][0])), max(bound[2], float(floors[name][1])))
        for name, bound in unfloored.items()
    }


def worst(outputs: np.ndarray, y: np.ndarray, labels: Sequence[str]) -> tuple[str, int, int] | None:
    """Return the class with the lowest recall, and how many of how many examples are right; None without classes."""
    if y.ndim != 1 or y.dtype.kind not in "iu":
        return None
    seen, of = np.unique(y, return_inverse=True)
    count, hits = np.bincount(of), np.bincount(of, weights=predicted(outputs) == y)
    least = _worst(hits, count)
    return labels[seen[least]], int(hits[least]), int(count[least])


def _worst(hits: np.ndarray, count: np.ndarray) -> int:
    """Return the index of the lowest recall; of equal ones that with most examples, which is the surest."""
    return int(np.lexsort((-count, hits / count))[0])


def _drawn(
    y: np.ndarray, predicted: np.ndarray, classes: int, groups: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield `_counts` of bootstrap draws. Drawing examples anew is drawing the cells of their confusion matrix, a
    multinomial; only cells that occur are kept, since a thousand classes have a million."""
    random = np.random.default_rng(len(y))
    if groups is None:
        cells, count = np.unique(y * classes + predicted, return_counts=True)
        for _ in range(RESAMPLES):
            weights = random.multinomial(len(y), count / len(y))
            yield _counts(cells // classes, cells % classes, weights, classes)
    else:
        many = int(groups.max()) + 1
        for _ in range(RESAMPLES):
            weights = random.multinomial(many, np.full(many, 1 / many))[groups]
            yield _counts(y, predicted, weights, classes)


def _counts(
    true: np.ndarray, predicted: np.ndarray, weights: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count by class (classes,) how often it is predicted rightly, is true, and is predicted."""
    right = np.bincount(true, weights * (true == predicted), classes)
    return right, np.bincount(true, weights, classes), np.bincount(predicted, weights, classes)
