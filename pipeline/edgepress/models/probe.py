"""Probe a network with random weights and inputs, under which every channel counts."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

Inputs = tuple[Tensor, ...]


def random_inputs(example: Sequence[Tensor], module: nn.Module, random: torch.Generator) -> Inputs:
    """Return a batch of two like `example`: float64 numbers, or ids that every embedding of the network has."""
    return tuple(_random_input(tensor, module, random) for tensor in example)


def _random_input(example: Tensor, module: nn.Module, random: torch.Generator) -> Tensor:
    shape = (2, *example.shape[1:])
    if example.is_floating_point():
        return torch.randn(shape, generator=random, dtype=torch.float64)
    vocabularies = [layer.num_embeddings for layer in module.modules() if isinstance(layer, nn.Embedding)]
    return torch.randint(0, min(vocabularies, default=2), shape, generator=random)


def randomized(module: nn.Module, random: torch.Generator) -> nn.Module:
    """Return a float64 copy with random weights: fresh residual blocks, say, end in scales of 0."""
    module = copy.deepcopy(module).double().eval()
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                drawn = torch.randn(tensor.shape, generator=random, dtype=torch.float64)
                scaled = drawn * (2 / max(1, tensor[0].numel())) ** 0.5 if tensor.ndim > 1 else 0.5 + drawn.abs()
                tensor.copy_(scaled)
    return module
