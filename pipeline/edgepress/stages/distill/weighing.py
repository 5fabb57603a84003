"""Weigh the outputs of several teachers into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import functional

from ...models.ensemble import blend

if TYPE_CHECKING:
    from ...data.dataset import Task

Weighing = Literal["mean_prob", "fixed", "fitted", "confidence", "entropy"]


def weighed(answers: Sequence[Tensor], shares: Tensor, task: Task) -> Tensor:
    """The mean of teachers' answers (n, labels), each counting `shares`: (teachers,), or (teachers, n) by example.

    Of single-label ones it is the log of the mean probability.
    """
    shares = shares if shares.ndim == 2 else shares[:, None].expand(-1, len(answers[0]))
    if task == "single-label":  # without the floor that an exported graph needs
        stacked = torch.stack([z.log_softmax(1) for z in answers])
        return (stacked + shares[:, :, None].log()).logsumexp(0)
    return blend(list(answers), [share[:, None] for share in shares], task)


def by_confidence(answers: Sequence[Tensor], y: Tensor, known: int) -> Tensor:
    """Shares (teachers, n): more for a teacher that is nearer to the label (CA-MKD, Zhang et al., 2022, equation 3).

    From row `known` on there are no labels, and all count the same.
    """
    count = len(answers)
    if count == 1:
        return torch.ones(1, len(answers[0]))
    losses = torch.stack([functional.cross_entropy(z[:known], y[:known], reduction="none") for z in answers])
    shares = (1 - losses.softmax(0)) / (count - 1)
    rest = torch.full((count, len(answers[0]) - known), 1 / count)
    return torch.cat([shares, rest], 1)


def by_entropy(answers: Sequence[Tensor]) -> Tensor:
    """Shares (teachers, n), in proportion to 1 − entropy / log classes: more for a teacher that is surer."""
    sure = torch.stack([1 + (z.softmax(1) * z.log_softmax(1)).sum(1) / torch.tensor(z.shape[1]).log() for z in answers])
    return (sure + 1e-9) / (sure + 1e-9).sum(0)
