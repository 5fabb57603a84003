"""Compute metrics of model outputs against labels, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
