"""Weigh the outputs of several teachers into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from ...tasks import TASKS

if TYPE_CHECKING:
    from ...data.dataset import Task


def weighed(outputs: Sequence[Tensor], shares: Tensor, task: Task) -> Tensor:
    """Return the task's mean of teachers' outputs (n, …) weighed by `shares`: (teachers,), or (teachers, n)."""
    shares = shares if shares.ndim == 2 else shares[:, None].expand(-1, len(outputs[0]))
    return TASKS[task].mean(outputs, shares)


class Weighed:
    """`weighed` of rows that are indexed, for outputs that are too large to be weighed at once."""

    def __init__(self, outputs: Sequence[Tensor], shares: Tensor, task: Task) -> None:
        self.outputs, self.shares, self.task = outputs, shares, task

    def __getitem__(self, rows: Tensor) -> Tensor:
        return weighed([z[rows].float() for z in self.outputs], self.shares, self.task)


def by_confidence(outputs: Sequence[Tensor], y: Tensor, labelled: int) -> Tensor:
    """Return shares (teachers, n): more for a teacher nearer to the label (CA-MKD, Zhang et al., 2022, equation 3).

    From row `labelled` on there are no labels, and all count the same.
    """
    count = len(outputs)
    if count == 1:
        return torch.ones(1, len(outputs[0]))
    losses = torch.stack([functional.cross_entropy(z[:labelled], y[:labelled], reduction="none") for z in outputs])
    shares = (1 - losses.softmax(0)) / (count - 1)
    rest = torch.full((count, len(outputs[0]) - labelled), 1 / count)
    return torch.cat([shares, rest], 1)


def by_entropy(outputs: Sequence[Tensor]) -> Tensor:
    """Return shares (teachers, n) in proportion to 1 − entropy / log classes: more for a surer teacher."""
    certainty = torch.stack(
        [1 + (z.softmax(1) * z.log_softmax(1)).sum(1) / torch.tensor(z.shape[1]).log() for z in outputs]
    )
    return (certainty + 1e-9) / (certainty + 1e-9).sum(0)
