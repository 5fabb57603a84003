"""Metrics of a model's answers against labels, and how sure they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES = 1000
"""Draws of the bootstrap; the same examples are drawn for every model, so that two models can be paired."""


@dataclass(frozen=True)
class Metric:
    """A number from answers (n, labels) and labels as `data.Split` has them; `higher` says which way is better."""

    name: str
    function: Callable[[np.ndarray, np.ndarray], float]
    higher: bool = True
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

    def resampled(self, answers: np.ndarray, y: np.ndarray) -> list[float]:
        """The metric on `RESAMPLES` bootstrap draws of the examples (Efron, 1979)."""
        random = np.random.default_rng(len(y))
        draws = (random.integers(0, len(y), len(y)) for _ in range(RESAMPLES))
        return [round(self(answers[rows], y[rows]), 6) for rows in draws]


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


METRICS = {
    "accuracy": Metric("accuracy", accuracy),
    "macro-f1": Metric("macro-f1", macro_f1),
    "worst-recall": Metric("worst-recall", worst_recall),
    "auc": Metric("auc", auc),
    "mae": Metric("mae", mae, higher=False),
    "agreement": Metric("agreement", accuracy),  # with the answers of the reference in the place of labels
}
"""By name; `data.METRICS` has the tasks that each is for."""


def bounds(answers: np.ndarray, y: np.ndarray) -> dict[str, tuple[float, float, float]]:
    """macro-f1 and worst-recall of single-label answers: value, and the 95% interval of a bootstrap over examples.

    Drawing examples anew is drawing the cells of their confusion matrix, a multinomial.
    """
    if y.ndim != 1 or y.dtype.kind == "f":
        return {}
    classes = answers.shape[1]
    table = np.bincount(y * classes + answers.argmax(1), minlength=classes**2).astype(float)
    draws = np.random.default_rng(len(y)).multinomial(len(y), table / table.sum(), RESAMPLES)
    found = {}
    for name, function in (("macro_f1", _table_f1), ("worst_recall", _table_recall)):
        low, high = np.percentile([function(draw.reshape(classes, -1)) for draw in draws], [2.5, 97.5])
        found[name] = (function(table.reshape(classes, -1)), float(low), float(high))
    return found


def _table_f1(table: np.ndarray) -> float:
    """`macro_f1` of a confusion matrix, true classes in rows."""
    right, seen = table.diagonal(), table.sum(1) > 0
    return float((2 * right / np.maximum(table.sum(0) + table.sum(1), 1))[seen].mean())


def _table_recall(table: np.ndarray) -> float:
    """`worst_recall` of one."""
    seen = table.sum(1) > 0
    return float((table.diagonal()[seen] / table.sum(1)[seen]).min())


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
