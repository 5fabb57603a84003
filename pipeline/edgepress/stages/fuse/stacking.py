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
from ...data.targets import KINDS

if TYPE_CHECKING:
    from ...models.description import Task

FOLDS = 5

Fit = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Features (n, features) and labels → weight (labels, features), bias (labels,)."""


@dataclass(frozen=True)
class Stack:
    """`weight` (labels, features) and `bias` (labels,); `out_of_fold` (n, labels) are the outputs on each of five
    parts of the model fitted to the other four."""

    weight: np.ndarray
    bias: np.ndarray
    out_of_fold: np.ndarray


def fit(x: np.ndarray, y: np.ndarray, task: Task, labels: Sequence[str], seed: int = 0) -> Stack:
    """Fit labels `y`, as `data.Split` has them, to features `x` (n, features).

    single-label: a logistic regression, C = 1; multi-label: one for each label; regression: a ridge.
    Raises: UserError when a label has fewer than the two examples that out-of-fold outputs need.
    """
    x = x.astype(np.float64)
    if broken := int((~np.isfinite(x)).any(1).sum()):
        message = f"some outputs are no numbers, for {broken:,} of {len(x):,} validation examples"
        raise UserError(message, "take such a model out, or check how its inputs are prepared")
    link = KINDS[task].link
    if link == "identity":
        folds = np.random.default_rng(seed).permutation(len(y)) % FOLDS
        return _cross_fit(_ridge, x, y.astype(np.float64), folds)
    if link == "softmax":
        return _fit_classes(x, y, [f"of `{name}`" for name in labels], seed)
    stacks = [
        _fit_classes(x, y[:, k].astype(np.int64), [f"without `{name}`", f"with `{name}`"], seed)
        for k, name in enumerate(labels)
    ]
    return Stack(  # the logit of a label is how far its two outcomes are apart
        np.stack([stacked.weight[1] - stacked.weight[0] for stacked in stacks]),
        np.stack([stacked.bias[1] - stacked.bias[0] for stacked in stacks]),
        np.stack([stacked.out_of_fold[:, 1] - stacked.out_of_fold[:, 0] for stacked in stacks], 1),
    )


def _fit_classes(x: np.ndarray, y: np.ndarray, words: Sequence[str], seed: int) -> Stack:
    for label, count in zip(words, np.bincount(y, minlength=len(words)), strict=True):
        if count < 2:
            raise UserError(
                f"validation has {'1' if count else 'no'} example {label}, and a stack learns there from two or more",
                "use `fuse.ensemble`, or give validation more examples",
            )
    # Dealt out in the order of their classes: every fold leaves some of each.
    order = np.random.default_rng(seed).permutation(len(y))
    folds = np.empty(len(y), int)
    folds[order[np.argsort(y[order], kind="stable")]] = np.arange(len(y)) % FOLDS
    return _cross_fit(_logistic, x, y, folds)


def _cross_fit(fit_part: Fit, x: np.ndarray, y: np.ndarray, folds: np.ndarray) -> Stack:
    weight, bias = fit_part(x, y)
    out_of_fold = np.zeros((len(x), len(bias)))
    for fold in np.unique(folds):
        held_out = folds == fold
        w, b = fit_part(x[~held_out], y[~held_out])
        out_of_fold[held_out] = x[held_out] @ w.T + b
    return Stack(weight, bias, out_of_fold)


def _logistic(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    model = LogisticRegression(C=1.0, max_iter=5000).fit(x, y)
    if len(model.coef_) == 1:  # of two classes: the logit of the second
        return np.concatenate([-model.coef_, model.coef_]) / 2, np.concatenate(
            [-model.intercept_, model.intercept_]
        ) / 2
    return model.coef_, model.intercept_


def _ridge(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = np.maximum(x.std(0), 1e-12)  # so that the penalty is the same whatever the labels' unit
    model = Ridge().fit(x / scale, y)
    return model.coef_.reshape(y.shape[1], -1) / scale, model.intercept_.reshape(y.shape[1])
