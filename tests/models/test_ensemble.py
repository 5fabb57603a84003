"""An ensemble's answer is the logarithm of its members' mean probability."""

from __future__ import annotations

import torch
from edgepress.models.ensemble import Ensemble
from torch import nn


class Says(nn.Module):
    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(x), -1)


def test_weighted_mean_of_probabilities() -> None:
    members = [Says(torch.tensor([2.0, 0.0, -1.0])), Says(torch.tensor([0.0, 5.0, 1.0]))]
    found = Ensemble(members, [0.25, 0.75])(torch.zeros(2, 1)).softmax(1)
    expected = 0.25 * members[0].logits.softmax(0) + 0.75 * members[1].logits.softmax(0)
    torch.testing.assert_close(found, expected.expand(2, -1))


def test_the_same_answer_from_all_is_that_answer() -> None:
    logits = torch.tensor([3.0, -2.0, 0.5, 0.1])
    found = Ensemble([Says(logits)] * 3, [1 / 3] * 3)(torch.zeros(1, 1))
    torch.testing.assert_close(found[0], logits.log_softmax(0))


def test_certainty_stays_finite() -> None:
    found = Ensemble([Says(torch.tensor([1e4, -1e4])), Says(torch.tensor([1e4, -1e4]))], [0.5, 0.5])(torch.zeros(1, 1))
    assert torch.isfinite(found).all()
