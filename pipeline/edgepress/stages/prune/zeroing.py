"""Compare a pruned network with the unpruned one whose channels are zero: the outputs have to be the same."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...core import system_errors
from ...models.probe import Inputs
from ...models.pruning import forget
from .groups import Group, merged

TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4}
"""Largest difference of outputs, as a share of the largest output, by the type that the network computes in."""
LAST = (nn.Linear, nn.Embedding, nn.RNNBase, nn.LayerNorm, nn.MultiheadAttention)
"""Layers whose channels are the last dimension of a tensor, not the second."""


@contextmanager
def zeroed(module: nn.Module, groups: Sequence[Group]) -> Iterator[None]:
    """Hold the channels of `groups` at zero inside the block, where layers write them and where they read them."""
    layers = dict(module.named_modules())
    with ExitStack() as stack:
        for cut, indices in merged(groups).items():
            if cut.name in layers:
                layer = layers[cut.name]
                register = layer.register_forward_hook if cut.is_output else layer.register_forward_pre_hook
                stack.callback(register(_mask(layer, indices, cut.is_output)).remove)
        yield


def _mask(layer: nn.Module, indices: list[int], is_output: bool) -> Callable[..., Any]:
    def zero(tensor: Tensor) -> Tensor:
        dim = tensor.ndim - 1 if isinstance(layer, LAST) else 1
        mask = tensor.new_ones(tensor.shape[dim]).index_fill(0, torch.tensor(indices, device=tensor.device), 0.0)
        return tensor * mask.reshape(-1, *[1] * (tensor.ndim - 1 - dim))

    def outputs(layer: nn.Module, inputs: Any, output: Any) -> Any:
        return (zero(output[0]), *output[1:]) if isinstance(output, tuple) else zero(output)

    def inputs(layer: nn.Module, inputs: Any) -> Any:
        return zero(inputs[0]), *inputs[1:]

    return outputs if is_output else inputs


def difference(module: nn.Module, pruned: nn.Module, groups: Sequence[Group], inputs: Inputs) -> float:
    """Return the largest difference of outputs, as a share of the largest; infinite where `pruned` does not run."""
    with torch.inference_mode():
        try:
            outputs = pruned(*inputs)
            with zeroed(module, groups):
                expected = module(*inputs)
        except Exception as error:  # a network that was cut wrongly fails in as many ways as there are operators
            system_errors.pass_on(error)
            return float("inf")
    if outputs.shape != expected.shape or not torch.isfinite(outputs).all():
        return float("inf")
    return float((outputs - expected).abs().max() / expected.abs().max().clamp(min=1e-30))


def faulty(
    groups: Sequence[Group], module: nn.Module, inputs: Inputs, cut: Callable[[Sequence[Group], nn.Module], None]
) -> list[Group]:
    """Return the groups whose removal by `cut` changes more than zeros would, found by halving."""
    if not groups or _exact(groups, module, inputs, cut):
        return []
    if len(groups) == 1:
        return list(groups)
    middle = len(groups) // 2
    halves = faulty(groups[:middle], module, inputs, cut) + faulty(groups[middle:], module, inputs, cut)
    return halves or list(groups)  # each half is right, and both together are not


def _exact(
    groups: Sequence[Group], module: nn.Module, inputs: Inputs, cut: Callable[[Sequence[Group], nn.Module], None]
) -> bool:
    pruned = copy.deepcopy(forget(module))
    try:
        cut(groups, pruned)
    except Exception as error:  # torch-pruning fails in as many ways as there are networks
        system_errors.pass_on(error)
        return False
    return difference(module, pruned, groups, inputs) <= TOLERANCES[next(module.parameters()).dtype]
