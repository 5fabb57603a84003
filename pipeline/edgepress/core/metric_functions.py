"""Score model outputs (n, labels) against labels, one function a metric."""

from __future__ import annotations

import numpy as np


def accuracy(outputs: np.ndarray, y: np.ndarray) -> float:
    """Return the share of rows whose largest output is the label's; of multi-label rows, the share of right labels."""
    return float((outputs.argmax(1) == y).mean()) if y.ndim == 1 else float(((outputs > 0) == (y > 0)).mean())


def agreement_with(outputs: np.ndarray, y: np.ndarray) -> float:
    """Return the share of predictions that are those of the reference; without classes the likeness of its outputs."""
    if y.dtype.kind in "iu":
        return accuracy(outputs, y)
    from .likeness import likeness

    return likeness(outputs, y)


def macro_f1(outputs: np.ndarray, y: np.ndarray) -> float:
    """Return the mean over the classes that occur of 2·TP / (2·TP + FP + FN)."""
    predicted, true = _marks(outputs, y)
    right, wrong = (predicted & true).sum(0), (predicted ^ true).sum(0)
    seen = true.any(0)
    return float((2 * right / np.maximum(2 * right + wrong, 1))[seen].mean())


def worst_recall(outputs: np.ndarray, y: np.ndarray) -> float:
    """Return the smallest recall of the classes that occur."""
    predicted, true = _marks(outputs, y)
    seen = true.any(0)
    return float(((predicted & true).sum(0)[seen] / true.sum(0)[seen]).min())


def auc(outputs: np.ndarray, y: np.ndarray) -> float:
    """Return the mean over the classes of P(an example of the class is ranked above one that is not), ties 1/2."""
    from scipy.stats import rankdata

    _, true = _marks(outputs, y)
    odds = outputs if y.ndim > 1 else outputs - _logsumexp(outputs)
    areas = []
    for score, mark in zip(odds.T, true.T, strict=True):
        positive, negative = int(mark.sum()), int((~mark).sum())
        if positive and negative:
            ranks = rankdata(score)
            areas.append((ranks[mark].sum() - positive * (positive + 1) / 2) / (positive * negative))
    return float(np.mean(areas)) if areas else 0.5


def mae(outputs: np.ndarray, y: np.ndarray) -> float:
    """Return the mean absolute error."""
    return float(np.abs(outputs - y).mean())


def nll(outputs: np.ndarray, y: np.ndarray) -> float:
    """Return the mean negative log-likelihood in nats of logits, which need not be normalised.

    Multi-label: of each label's two outcomes. Regression: the mean squared error, a Gaussian's up to constants.
    """
    z = outputs.astype(np.float64)
    if y.ndim == 1:
        return float((_logsumexp(z)[:, 0] - z[np.arange(len(z)), y]).mean())
    if y.dtype.kind == "f":
        return float(((z - y) ** 2).mean())
    return float((np.logaddexp(0, z) - z * y).mean())


def agreement(a: np.ndarray, b: np.ndarray, y: np.ndarray) -> float:
    """Return the share of rows in which two models agree: the same class, or within 1% of the labels' spread."""
    if y.dtype.kind == "f":
        return float((np.abs(a - b) <= 0.01 * max(float(y.std()), 1e-9)).mean())
    return float(((a > 0) == (b > 0)).mean()) if y.ndim > 1 else float((a.argmax(1) == b.argmax(1)).mean())


def _marks(outputs: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what is predicted and what is true, as booleans (n, classes)."""
    if y.ndim > 1:
        return outputs > 0, y > 0
    classes = np.arange(outputs.shape[1])
    return outputs.argmax(1)[:, None] == classes, y[:, None] == classes


def _logsumexp(z: np.ndarray) -> np.ndarray:
    top = z.max(1, keepdims=True)
    total: np.ndarray = top + np.log(np.exp(z - top).sum(1, keepdims=True))
    return total
