"""Score model outputs (n, labels) against labels: what each example counts, and what all of them make.

scikit-learn has `f1_score`, `recall_score` and `roc_auc_score`, and torchmetrics has metrics of masks, vectors and
images: tests hold ours to these. A bootstrap cannot wait for them: of 2,000 examples in 10 classes 1,000 macro-F1 take
scikit-learn 4.6 s and counts 0.15 s, 1,000 AUC take it 24 s and ranks 0.6 s, and of a draw that misses a class it has
no AUC. torchmetrics keeps sums over all examples in place of parts, and takes 6.4 s to import, beside torch's 4.2 s.
"""

from __future__ import annotations

import math

import numpy as np


def predicted(outputs: np.ndarray) -> np.ndarray:
    """Return the class of each row's largest output (n,); the number of classes, which is none, where one is NaN."""
    found: np.ndarray = np.where(np.isnan(outputs).any(1), outputs.shape[1], outputs.argmax(1))
    return found


def right(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return of each example (n, 2): how many labels are right, of how many. What is no number is never right."""
    if y.ndim == 1:
        hits = ((predicted(outputs) == y) & (y < outputs.shape[1]))[:, None]
    else:
        hits = ((outputs > 0) == (y > 0)) & ~np.isnan(outputs)
    return np.stack([hits.sum(1), np.full(len(hits), hits.shape[1])], 1)


def share(parts: np.ndarray) -> float:
    """Return the first column's sum over the second's; NaN where there is nothing to count."""
    part, whole = parts.sum(0)
    return float(part / whole) if whole else math.nan


def accuracy(outputs: np.ndarray, y: np.ndarray) -> float:
    """Return the share of rows whose largest output is the label's; of multi-label rows, the share of right labels."""
    return share(right(outputs, y))


def agreed(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return `right` against the classes that a reference predicts; without classes the parts of `likeness`."""
    if y.dtype.kind in "iu":
        return right(outputs, y)
    from . import likeness

    return likeness.parts(outputs, y, likeness.groups(y))


def agreed_share(parts: np.ndarray) -> float:
    """Return the share of equal predictions; without classes the likeness of the outputs to the reference's."""
    if parts.ndim == 2:
        return share(parts)
    from .likeness import reduced

    return float(reduced(parts.sum(0)))


def classified(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return what is true and what is predicted: classes (n, 2), or of multi-label rows marks (n, 2, labels)."""
    if y.ndim > 1:
        return np.stack([y > 0, outputs > 0], 1)
    return np.stack([y, predicted(outputs)], 1)


def macro_f1(parts: np.ndarray) -> float:
    """Return the mean of `f1` over the classes that occur, of `classified` examples."""
    return f1(*_counts(parts))


def worst_recall(parts: np.ndarray) -> float:
    """Return the smallest recall of the classes that occur, of `classified` examples."""
    return least_recall(*_counts(parts))


def f1(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean of 2·TP / (2·TP + FP + FN) over the classes that occur; NaN where none does.

    By class, the counts are how often it is predicted rightly, is true, and is predicted.
    """
    seen = true > 0
    if not seen.any():
        return math.nan
    return float((2 * hits / np.maximum(true + predicted, 1))[seen].mean())


def least_recall(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> float:
    """Return the smallest TP / (TP + FN) of the classes that occur, of the same counts; NaN where none does."""
    seen = true > 0
    return float((hits[seen] / true[seen]).min()) if seen.any() else math.nan


def _counts(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    true, predicted = parts[:, 0], parts[:, 1]
    if parts.ndim > 2:
        return (true & predicted).sum(0), true.sum(0), predicted.sum(0)
    classes = int(parts.max()) + 1
    hits = np.bincount(true[true == predicted], minlength=classes)
    return hits, np.bincount(true, minlength=classes), np.bincount(predicted, minlength=classes)


def odds(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return by example and class (n, 2, classes) a number that ranks the examples, and whether they are of the class.

    Of single labels it is the logarithm of the softmax: logits of two examples have no common scale.
    """
    if y.ndim > 1:
        return np.stack([outputs, (y > 0).astype(outputs.dtype)], 1)
    marks = y[:, None] == np.arange(outputs.shape[1])
    return np.stack([outputs - _logsumexp(outputs), marks.astype(outputs.dtype)], 1)


def odds_ranked(parts: np.ndarray) -> np.ndarray:
    """Return 2·rank + mark (n, classes) of `odds`, where equal odds have equal ranks; −1 for no number.

    Drawing examples keeps their order, so all draws share one sort.
    """
    ranked = np.empty((len(parts), parts.shape[2]), np.int64)
    for column in range(parts.shape[2]):
        score, mark = parts[:, 0, column], parts[:, 1, column]
        rank = np.unique(score, return_inverse=True)[1].reshape(-1)
        ranked[:, column] = np.where(np.isnan(score), -1, 2 * rank + (mark > 0))
    return ranked


def auc(ranked: np.ndarray) -> float:
    """Return the mean over the classes of P(an example of the class is ranked above one that is not), ties 1/2.

    A class that every example has, or none, has no such probability; 0.5 where no class has one.
    """
    areas = []
    for column in ranked.T:
        if column.min() < 0:
            return math.nan
        lower, upper = np.bincount(column, minlength=int(column.max()) // 2 * 2 + 2).reshape(-1, 2).T
        negative, positive = int(lower.sum()), int(upper.sum())
        if positive and negative:
            below = lower.cumsum() - lower / 2
            areas.append(float(upper @ below) / (positive * negative))
    return float(np.mean(areas)) if areas else 0.5


def errors(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the absolute errors (n, labels); of images the mean of each, of which uint8 is in units of 255."""
    if y.ndim > 2:
        target = y / np.float32(255) if y.dtype == np.uint8 else y
        means: np.ndarray = np.abs(outputs - target).reshape(len(y), -1).mean(1, dtype=np.float64)
        return means
    distance: np.ndarray = np.abs(outputs - y)
    return distance


def mean(parts: np.ndarray) -> float:
    """Return the mean of all numbers."""
    return float(parts.mean())


def mean_share(parts: np.ndarray) -> float:
    """Return the mean as a share, from 0 to 1, of values that may be negative, such as an SSIM or a cosine.

    Rounding makes a cosine of 1 a little more.
    """
    return min(max(float(parts.mean()), 0.0), 1.0)


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
    """Return the share of rows in which two models agree: the same class, or within 1% of the labels' spread.

    What is no number agrees with nothing.
    """
    if y.dtype.kind == "f":
        return float((np.abs(a - b) <= 0.01 * max(float(y.std()), 1e-9)).mean())
    return share(right(np.where(np.isnan(b), np.nan, a), b) if y.ndim > 1 else right(a, predicted(b)))


def _logsumexp(z: np.ndarray) -> np.ndarray:
    top = z.max(1, keepdims=True)
    total: np.ndarray = top + np.log(np.exp(z - top).sum(1, keepdims=True))
    return total
