"""Several networks as one module, and so as one ONNX graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_FLOOR = 1e-9
"""The least probability: the logarithm of exactly 0 would be −∞. A sum would do, but ONNX optimizers drop it."""


class Ensemble(nn.Module):
    """log Σ wₖ softmax(zₖ): softmax of the result is the weighted mean of the members' probabilities."""

    def __init__(self, members: list[nn.Module], weights: list[float]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.weights = weights

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, height, width) → log-probabilities (b, classes)."""
        shares = [w * member(x).softmax(1) for w, member in zip(self.weights, self.members, strict=True)]
        return torch.log(sum(shares[1:], shares[0]).clamp(min=_FLOOR))
