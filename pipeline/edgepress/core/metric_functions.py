"""Score model outputs (n, labels) against labels, a function for each metric."""

from __future__ import annotations

import numpy as np


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
