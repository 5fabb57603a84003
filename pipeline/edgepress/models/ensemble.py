"""Combine several networks in one module, and so in one ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..data.targets import KINDS

Of = Literal["probabilities", "logits"]

FLOOR = 1e-9
"""The least probability: the logarithm of exactly 0 would be −∞. A sum would do, but ONNX optimizers drop it."""


class Ensemble(nn.Module):
    """The weighted mean of the members' outputs, in the form of a single network's of the task.

    Logits of one class, also of each pixel: log Σ wₖ softmax(zₖ), whose softmax is the mean of the probabilities;
    logits of several labels: the logit of Σ wₖ sigmoid(zₖ); all others, and `of` logits: Σ wₖ zₖ.
    """

    def __init__(
        self, members: list[nn.Module], weights: list[float], task: str = "single-label", of: Of = "probabilities"
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.weights = weights
        self.task = task
        self.of = of

    def forward(self, *inputs: Tensor) -> Tensor:
        """Compute (b, …) of one tensor (b, …) an input."""
        return blend([member(*inputs) for member in self.members], self.weights, self.task, self.of)


class Stack(nn.Module):
    """Stacked generalisation (Wolpert, 1992): one linear layer on the members' outputs, as `features` has them."""

    def __init__(self, members: list[nn.Module], labels: int, task: str = "single-label") -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.combine = nn.Linear(len(members) * labels, labels)
        self.task = task

    def forward(self, *inputs: Tensor) -> Tensor:
        """Compute (b, labels) of one tensor (b, …) an input."""
        outputs: Tensor = self.combine(features([member(*inputs) for member in self.members], self.task))
        return outputs


def blend(outputs: Sequence[Tensor], weights: Sequence[Any], task: str, of: Of = "probabilities") -> Tensor:
    """Return the weighted mean of several models' outputs (b, …), as in `Ensemble`; weights may be a tensor's."""
    link = KINDS[task].link
    if link == "identity" or of == "logits":
        shares = [w * z for w, z in zip(weights, outputs, strict=True)]
        return sum(shares[1:], shares[0])
    if link == "sigmoid":
        shares = [w * z.sigmoid() for w, z in zip(weights, outputs, strict=True)]
        mean = sum(shares[1:], shares[0]).clamp(FLOOR, 1 - 1e-6)
        return torch.log(mean) - torch.log(1 - mean)
    shares = [w * z.softmax(1) for w, z in zip(weights, outputs, strict=True)]
    return torch.log(sum(shares[1:], shares[0]).clamp(min=FLOOR))


def features(outputs: Sequence[Tensor], task: str) -> Tensor:
    """Return a stack's inputs (b, members · labels): log-probabilities of a single label, else the outputs."""
    if KINDS[task].link == "softmax":
        outputs = [torch.log(z.softmax(1).clamp(min=FLOOR)) for z in outputs]
    return torch.cat(list(outputs), 1)
