"""Fit a linear model on several models' outputs (Wolpert, 1992).

Its outputs on examples that it was not fitted to are returned too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

from ...core.errors import UserError

if TYPE_CHECKING:
    from ...models.description import Task

FOLDS = 5

Fit = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Features (n, features) and labels → weight (labels, features), bias (labels,)."""


@dataclass(frozen=True)
class Stacked:
    """`weight` (labels, features) and `bias` (labels,); `out_of_fold` (n, labels) are the answers to each of five
    parts of those fitted to the other four."""

    weight: np.ndarray
    bias: np.ndarray
    out_of_fold: np.ndarray


def fit(x: np.ndarray, y: np.ndarray, task: Task, labels: Sequence[str], seed: int = 0) -> Stacked:
    """Fit labels `y`, as `data.Split` has them, to features `x` (n, features).

    single-label: a logistic regression, C = 1; multi-label: one for each label; regression: a ridge.
    Raises: UserError when a label has fewer than the two examples that out-of-fold answers need.
    """
    x = x.astype(np.float64)
    if task == "regression":
        folds = np.random.default_rng(seed).permutation(len(y)) % FOLDS
        return _folded(_ridge, x, y.astype(np.float64), folds)
    if task == "single-label":
        return _classes(x, y, [f"of `{name}`" for name in labels], seed)
    each = [
        _classes(x, y[:, k].astype(np.int64), [f"without `{name}`", f"with `{name}`"], seed)
        for k, name in enumerate(labels)
    ]
    return Stacked(  # the logit of a label is how far its two outcomes are apart
        np.stack([one.weight[1] - one.weight[0] for one in each]),
        np.stack([one.bias[1] - one.bias[0] for one in each]),
        np.stack([one.out_of_fold[:, 1] - one.out_of_fold[:, 0] for one in each], 1),
    )


def _classes(x: np.ndarray, y: np.ndarray, words: Sequence[str], seed: int) -> Stacked:
    for what, count in zip(words, np.bincount(y, minlength=len(words)), strict=True):
        if count < 2:
            raise UserError(
                f"validation has {'1' if count else 'no'} example {what}, and a stack learns there from two or more",
                "use `fuse.ensemble`, or give validation more examples",
            )
    # Dealt out in the order of their classes: every fold leaves some of each.
    order = np.random.default_rng(seed).permutation(len(y))
    folds = np.empty(len(y), int)
    folds[order[np.argsort(y[order], kind="stable")]] = np.arange(len(y)) % FOLDS
    return _folded(_logistic, x, y, folds)


def _folded(fitted: Fit, x: np.ndarray, y: np.ndarray, folds: np.ndarray) -> Stacked:
    weight, bias = fitted(x, y)
    out = np.zeros((len(x), len(bias)))
    for fold in np.unique(folds):
        held = folds == fold
        w, b = fitted(x[~held], y[~held])
        out[held] = x[held] @ w.T + b
    return Stacked(weight, bias, out)


def _logistic(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = LogisticRegression(C=1.0, max_iter=5000).fit(x, y)
    if len(found.coef_) == 1:  # of two classes: the logit of the second
        return np.concatenate([-found.coef_, found.coef_]) / 2, np.concatenate(
            [-found.intercept_, found.intercept_]
        ) / 2
    return found.coef_, found.intercept_


def _ridge(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = np.maximum(x.std(0), 1e-12)  # so that the penalty is the same whatever the labels' unit
    found = Ridge().fit(x / scale, y)
    return found.coef_.reshape(y.shape[1], -1) / scale, found.intercept_.reshape(y.shape[1])
