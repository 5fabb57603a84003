"""Align the channels of two networks: Git Re-Basin.

After Ainsworth et al. (2023). Weight matching permutes the channels of one network to fit the other's.

Hidden channels may stand in any order as long as all that reads them follows. Which tensors follow one another
comes from DepGraph (Fang et al., 2023), made for pruning; its mistakes are found by trying.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from ...core import system_errors
from ...models.probe import random_inputs, randomized
from .mixing import State

TOLERANCE = 1e-9
"""Largest change of the outputs, as a share of the largest, that another order may make in float64."""


@dataclass(frozen=True)
class Axis:
    """Where the channels of a group stand in one tensor: channel c is at `places[c]` (channels, k) of `dim`."""

    name: str
    dim: int
    places: Tensor

    def channels(self, tensor: Tensor) -> Tensor:
        """Return each channel's values in one row: (channels, values)."""
        return tensor.movedim(self.dim, 0)[self.places].flatten(1)

    def ordered(self, tensor: Tensor, order: Tensor) -> Tensor:
        """Return the tensor with channel `order[c]` where channel c was."""
        result = tensor.clone()
        result.movedim(self.dim, 0)[self.places] = tensor.movedim(self.dim, 0)[self.places[order]]
        return result


Group = list[Axis]


def align(reference: nn.Module, other: nn.Module, example: tuple[Tensor, ...], seed: int = 0) -> State:
    """Return the state of `other` with its channels ordered to be near `reference`; its outputs stay the same.

    Groups are visited in random order; each takes the order that is nearest while all others stay (a linear
    assignment), until none moves. Near is the sum over tensors of their cosine, not of their product as in the paper:
    batch-norm makes the size of the weights before it mean nothing, and on digits the midpoint of two ResNets came to
    84-91% by cosine and 68-82% by product. `example` is one input that the networks take, a batch of one.
    """
    groups = permutable(reference, example, seed)
    state = {name: tensor.detach().clone() for name, tensor in other.state_dict().items()}
    target = {}
    for name, tensor in reference.named_parameters():
        sizes = tensor.detach().double().norm() * state[name].double().norm()
        target[name] = tensor.detach().double() / sizes.clamp(min=1e-30)
    random = np.random.default_rng(seed)
    moved = True
    while moved:
        moved = False
        for number in random.permutation(len(groups)):
            group = groups[number]
            similarity = sum(
                axis.channels(target[axis.name]) @ axis.channels(state[axis.name].double()).T
                for axis in group
                if axis.name in target
            )
            order = torch.from_numpy(linear_sum_assignment(similarity, maximize=True)[1])
            changed = reordered(state, group, order)
            names = {axis.name for axis in group} & target.keys()
            gain = sum(float((target[name] * (changed[name].double() - state[name])).sum()) for name in names)
            if gain > 1e-9:  # a tensor that has the group twice makes the assignment a guess
                state, moved = changed, True
    return state


def reordered(state: State, group: Group, order: Tensor) -> State:
    """Return the state with the group's channel `order[c]` where channel c was, in every tensor."""
    result = dict(state)
    for axis in group:
        result[axis.name] = axis.ordered(result[axis.name], order)
    return result


def permutable(module: nn.Module, example: tuple[Tensor, ...], seed: int = 0) -> list[Group]:
    """Return the groups of channels whose order the outputs do not depend on.

    Each is tried with random weights, inputs and orders.

    Inputs and outputs, grouped convolutions and whatever DepGraph does not follow are left out; a network that it
    cannot follow at all has none.
    """
    random = torch.Generator().manual_seed(seed)
    inputs = random_inputs(example, module, random)
    module = randomized(module, random)
    try:
        groups = _groups(module, inputs)
        with torch.inference_mode():
            expected = module(*inputs)
    except Exception as error:  # DepGraph and users' own code fail in ways of their own
        system_errors.pass_on(error)
        return []
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    confirmed = []
    for group in groups:
        order = torch.randperm(len(group[0].places), generator=random)
        module.load_state_dict(reordered(state, group, order))
        with torch.inference_mode():
            change = (module(*inputs) - expected).abs().max()
        if len(order) > 1 and change <= TOLERANCE * expected.abs().max():
            confirmed.append(group)
    return confirmed


def _groups(module: nn.Module, inputs: tuple[Tensor, ...]) -> list[Group]:
    import torch_pruning

    names: dict[Any, str] = {layer: f"{name}." for name, layer in module.named_modules()}
    names |= {parameter: name for name, parameter in module.named_parameters()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = torch_pruning.DependencyGraph().build_dependency(module, inputs, verbose=False)
        return [group for items in graph.get_all_groups() if (group := _group(graph, items, names)) is not None]


def _group(graph: Any, items: Any, names: dict[Any, str]) -> Group | None:
    """Return a group of DepGraph as the tensors that it orders; None when one of them cannot be."""
    count, state = len(items[0].idxs), graph.model.state_dict()
    group_axes = []
    for item in items:
        layer, out = item.dep.layer, graph.is_out_channel_pruning_fn(item.dep.pruning_fn)
        if layer not in names:  # an operation without weights
            continue
        tensors = _tensors(layer, out, item.dep.target.pruning_dim)
        places: dict[int, list[int]] = defaultdict(list)
        for index, root in sorted(zip(item.idxs, item.root_idxs, strict=True)):
            places[root].append(index)
        if tensors is None or len(places) != count or len({len(indices) for indices in places.values()}) != 1:
            return None
        table = torch.tensor([places[root] for root in range(count)])
        layer_axes = [Axis(names[layer] + name, dim, table) for name, dim in tensors.items()]
        if any(table.max() >= state[axis.name].shape[axis.dim] for axis in layer_axes):
            return None
        group_axes += layer_axes
    return group_axes


def _tensors(layer: Any, out: bool, dim: int) -> dict[str, int] | None:
    """Return the dimension of the channels in each tensor of a layer: output channels if `out`, else input channels."""
    if isinstance(layer, nn.Parameter):
        return {"": dim}
    channels_first = {name: 0 for name, tensor in layer.state_dict(keep_vars=True).items() if tensor.ndim}
    if isinstance(layer, nn.Embedding):
        return {"weight": 1}
    if isinstance(layer, nn.PReLU):
        return channels_first if layer.num_parameters > 1 else {}
    if isinstance(layer, nn.modules.batchnorm._NormBase | nn.LayerNorm):
        return channels_first
    if isinstance(layer, nn.modules.conv._ConvNd):
        if layer.groups > 1:
            return channels_first if layer.groups == layer.in_channels == layer.out_channels else None
        across = 0 if layer.transposed else 1
        return channels_first | {"weight": 1 - across} if out else {"weight": across}
    if isinstance(layer, nn.Linear):
        return channels_first if out else {"weight": 1}
    return None
