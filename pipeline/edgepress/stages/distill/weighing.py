"""Weigh the outputs of several teachers into one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from ...tasks import TASKS
from .kept import Outputs

if TYPE_CHECKING:
    from ...data.dataset import Task


def weighed(outputs: Sequence[Tensor], shares: Tensor, task: Task) -> Tensor:
    """Return the task's mean of teachers' outputs (n, …) weighed by `shares`: (teachers,), or (teachers, n)."""
    shares = shares if shares.ndim == 2 else shares[:, None].expand(-1, len(outputs[0]))
    return TASKS[task].mean(outputs, shares)


def combined(outputs: Sequence[Outputs], shares: Tensor, task: Task) -> Tensor | Weighed:
    """Return `weighed` of outputs in memory; of others, rows are weighed when they are indexed."""
    held = [z for z in outputs if isinstance(z, Tensor)]
    if TASKS[task].dense or len(held) < len(outputs):
        return Weighed(outputs, shares, task)
    return weighed(held, shares, task)


class Weighed:
    """`weighed` of rows that are indexed, for outputs that are too large to be weighed at once."""

    def __init__(self, outputs: Sequence[Outputs], shares: Tensor, task: Task) -> None:
        self.outputs, self.shares, self.task = outputs, shares, task

    def __getitem__(self, rows: Tensor) -> Tensor:
        shares = self.shares[:, rows] if self.shares.ndim == 2 else self.shares
        return weighed([z[rows].float() for z in self.outputs], shares, self.task)


AT_ONCE = 4096
"""Rows of outputs on the disk that come into memory."""


def _by_row(z: Outputs, count: int, of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return `of(outputs, rows)` of the first `count` examples, (count,)."""
    rows = torch.arange(count)
    if isinstance(z, Tensor):
        return of(z[:count], rows)
    return torch.cat([of(z[part].float(), part) for part in rows.split(AT_ONCE)])


def by_confidence(outputs: Sequence[Outputs], y: Tensor, labelled: int) -> Tensor:
    """Return shares (teachers, n): more for a teacher nearer to the label (CA-MKD, Zhang et al., 2022, equation 3).

    From row `labelled` on there are no labels, and all count the same.
    """
    count = len(outputs)
    if count == 1:
        return torch.ones(1, len(outputs[0]))

    def loss(z: Tensor, rows: Tensor) -> Tensor:
        return functional.cross_entropy(z, y[rows], reduction="none")

    losses = torch.stack([_by_row(z, labelled, loss) for z in outputs])
    shares = (1 - losses.softmax(0)) / (count - 1)
    rest = torch.full((count, len(outputs[0]) - labelled), 1 / count)
    return torch.cat([shares, rest], 1)


def by_entropy(outputs: Sequence[Outputs]) -> Tensor:
    """Return shares (teachers, n) in proportion to 1 − entropy / log classes: more for a surer teacher."""

    def certain(z: Tensor, rows: Tensor) -> Tensor:
        return 1 + (z.softmax(1) * z.log_softmax(1)).sum(1) / torch.tensor(z.shape[1]).log()

    certainty = torch.stack([_by_row(z, len(z), certain) for z in outputs])
    return (certainty + 1e-9) / (certainty + 1e-9).sum(0)
