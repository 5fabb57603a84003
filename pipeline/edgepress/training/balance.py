"""Weigh rare classes more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ..data.dataset import Dataset


def class_weights(data: Dataset) -> Tensor:
    """Return float32 (classes,): n / (classes · count); 0 for a class without an example."""
    counts = torch.bincount(torch.from_numpy(data["train"].y), minlength=len(data.labels)).float()
    return torch.where(counts > 0, counts.sum() / (len(counts) * counts.clamp(min=1)), torch.zeros(()))


def rarity(data: Dataset) -> Tensor:
    """Return float32 (labels,): examples without a label for each with it."""
    y = torch.from_numpy(data["train"].y.copy()).float()
    return ((1 - y).sum(0) / y.sum(0).clamp(min=1)).clamp(min=1e-3)
