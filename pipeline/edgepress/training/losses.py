"""Compute training losses against labels, for each kind of task."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from ..data.dataset import Dataset

Loss = Callable[[Tensor, Tensor], Tensor]
"""(outputs (b, labels), labels as `data.Split` has them) → a scalar."""


def of_labels(data: Dataset, *, smoothing: float = 0.0, balanced: bool = False) -> Loss:
    """Return the loss against the labels: cross-entropy, cross-entropy of each label, or the squared error.

    `balanced` weighs each class by n / (classes · its number of training examples), as scikit-learn does.
    """
    if data.task == "regression":
        return functional.mse_loss
    if data.task == "multi-label":
        pos_weight = _rarity(data) if balanced else None
        return lambda z, y: functional.binary_cross_entropy_with_logits(z, y.float(), pos_weight=pos_weight)
    weight = class_weights(data) if balanced else None
    return lambda z, y: functional.cross_entropy(z, y, weight=weight, label_smoothing=smoothing)


def class_weights(data: Dataset) -> Tensor:
    """Return float32 (classes,): n / (classes · count); 0 for a class without an example."""
    counts = torch.bincount(torch.from_numpy(data["train"].y), minlength=len(data.labels)).float()
    return torch.where(counts > 0, counts.sum() / (len(counts) * counts.clamp(min=1)), torch.zeros(()))


def _rarity(data: Dataset) -> Tensor:
    """Return float32 (labels,): examples without a label for each with it."""
    y = torch.from_numpy(data["train"].y.copy()).float()
    return ((1 - y).sum(0) / y.sum(0).clamp(min=1)).clamp(min=1e-3)
