"""Equalize channels across layers before they share a scale (CLE).

Nagel et al., 2019, arXiv:1906.04721.

relu(s·x) is s·relu(x) for positive s, so a channel may be made smaller where it is written and larger where it is
read. With one scale a weight, the ranges of both weights are brought together; with one for each output channel those
of the writer cost nothing, and the activation between them takes its place, as in SmoothQuant (arXiv:2211.10438).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from .calibration.magnitudes import Magnitudes, magnitudes
from .channels import Array, Channels, Part
from .qdq import Plan
from .scalable import find
from .sqnr import Evidence

_TIMES = 20
"""Rounds over all pairs: a convolution in the middle of two pairs is moved by both."""
_FURTHEST = 100.0
"""The most that a channel is moved by, lest one that is never active takes another's precision."""


@dataclass(frozen=True)
class _Pair:
    """Two convolutions; only the second reads the first, through a Relu at most."""

    first: onnx.NodeProto
    second: onnx.NodeProto
    between: str
    """The tensor that the second reads."""

    @property
    def depthwise(self) -> bool:
        return _group(self.second) > 1


def observer(plan: Plan) -> Magnitudes:
    """Return what observes all activations that both ways of equalizing this plan look at."""
    graph = plan.graph.graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    pairs = [(pair.between, 1) for pair in _pairs(graph, tensors) if plan.per_channel]
    return Magnitudes(plan.graph, {*pairs, *_axes(find(graph, tensors)).items()})


def equalized(plan: Plan, evidence: Evidence, known: Magnitudes | None = None) -> Plan:
    """Return the plan on an equivalent graph with more even channels; it has no ranges of the tensors that it scales.

    The same plan where the graph has no such pair. `known` are magnitudes that need not be observed again, to which
    those of the new graph are added.
    """
    model = onnx.ModelProto()
    model.CopyFrom(plan.graph)
    tensors = {tensor.name: numpy_helper.to_array(tensor).copy() for tensor in model.graph.initializer}
    pairs = _pairs(model.graph, tensors)
    if not pairs:
        return plan
    between = {pair.between: 1 for pair in pairs} if plan.per_channel else {}
    active = magnitudes(plan.graph, between, evidence.seen, known)
    factors: dict[str, Array] = {}
    for _ in range(1 if plan.per_channel else _TIMES):
        for pair in pairs:
            factor = _even(pair, tensors, active.get(pair.between))
            for name in {pair.first.output[0], pair.between}:
                factors[name] = factors.get(name, np.float32(1)) * factor
    return _moved(plan, model, tensors, factors, known)


def equalized_groups(plan: Plan, evidence: Evidence, known: Magnitudes | None = None) -> Plan:
    """Return the plan on an equivalent graph, equalized through Concat, Split, Slice, pools and sums as well.

    Channels that have to be scaled alike are one group, wherever they are written and read; see `channels`. Beside
    channels that cannot be scaled, such as those of a Sigmoid, the others are brought to their level. There are no
    ranges of the tensors that are scaled. The same plan where no group can be scaled.
    """
    model = onnx.ModelProto()
    model.CopyFrom(plan.graph)
    tensors = {tensor.name: numpy_helper.to_array(tensor).copy() for tensor in model.graph.initializer}
    channels = find(model.graph, tensors)
    if not channels.of:
        return plan
    active = _active(channels, magnitudes(plan.graph, _axes(channels), evidence.seen, known))
    every: dict[int, float] = {}
    for component in _components(channels):
        mine = [part for part in channels.parts if not {*component}.isdisjoint(channels.roots(part.channels).tolist())]
        factors = _factors(channels, component, mine, active, tensors)
        every |= factors
        for part in mine if factors else ():
            share = np.array([factors.get(root, 1.0) for root in channels.roots(part.channels).tolist()], np.float32)
            name = part.node.input[part.position]
            tensors[name] = (tensors[name] * part.spread(1 / share if part.writes else share)).astype(np.float32)
    if not every:
        return plan
    return _moved(plan, model, tensors, _by_tensor(channels, every), known)


def _by_tensor(channels: Channels, factors: dict[int, float]) -> dict[str, Array]:
    """Return tensor → the factors (channels,) of its channels, of each that has a scaled one."""
    roots = {name: channels.roots(numbers).tolist() for name, (_, numbers) in channels.of.items()}
    return {
        name: np.array([factors.get(root, 1.0) for root in numbers], np.float32)
        for name, numbers in roots.items()
        if not factors.keys().isdisjoint(numbers)
    }


def _axes(channels: Channels) -> dict[str, int]:
    """Return tensor → the axis of its channels, of those that share tensors with one that may be scaled."""
    held = channels.held()
    mine = {root for component in _components(channels) if not held.issuperset(component) for root in component}
    return {
        name: axis
        for name, (axis, numbers) in channels.of.items()
        if not mine.isdisjoint(channels.roots(numbers).tolist())
    }


def _moved(
    plan: Plan, model: onnx.ModelProto, tensors: dict[str, Array], factors: dict[str, Array], known: Magnitudes | None
) -> Plan:
    """Return the plan on `model` with these constants, and without ranges of activations divided by `factors`."""
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(tensors[tensor.name], tensor.name))
    if known:
        known.divide(plan.graph, model, factors)
    ranges = {name: bounds for name, bounds in plan.ranges.items() if name not in factors}
    return replace(plan, graph=model, ranges=ranges)


def _active(channels: Channels, largest: dict[str, Array]) -> dict[int, float]:
    """Return the largest magnitude of each group of channels, of all tensors that have it."""
    active: dict[int, float] = {}
    for name, values in largest.items():
        for root, value in zip(channels.roots(channels.of[name][1]).tolist(), values.tolist(), strict=True):
            active[root] = max(active.get(root, 0.0), value)
    return active


def _components(channels: Channels) -> list[list[int]]:
    """Return the groups that share tensors with each other, directly or by way of others; in the graph's order."""
    together: dict[int, set[int]] = {}
    for _, numbers in channels.of.values():
        roots = set(channels.roots(numbers).tolist())
        joined = set().union(roots, *(together.get(root, set()) for root in roots))
        together.update(dict.fromkeys(joined, joined))
    return [sorted(group) for group in {id(group): group for group in together.values()}.values()]


def _factors(
    channels: Channels, component: list[int], parts: list[Part], active: dict[int, float], tensors: dict[str, Array]
) -> dict[int, float]:
    """Return the factor by which the weights of each group that may be scaled are multiplied where it is read.

    `parts` are those of the component.
    """
    read: dict[int, float] = {}
    depthwise: set[int] = set()
    for part in parts:
        if part.writes:
            continue
        roots = channels.roots(part.channels).tolist()
        if part.largest is None:
            depthwise.update(roots)
            continue
        for root, value in zip(roots, part.largest(tensors[part.node.input[part.position]]).tolist(), strict=True):
            read[root] = max(read.get(root, 0.0), value)
    # A channel that is read by weights with a scale of its own alone is scaled by what is active.
    level = {
        root: active[root] if root in depthwise and root not in read else np.sqrt(active[root] / read[root])
        for root in component
        if active.get(root, 0) > 0 and (root in depthwise or read.get(root, 0) > 0)
    }
    held = channels.held()
    fixed = [value for root, value in level.items() if root in held]
    free = {root: value for root, value in level.items() if root not in held}
    if not free or len(level) < 2:
        return {}
    middle = np.exp(np.log(fixed or [*free.values()]).mean())
    return {root: float(np.clip(value / middle, 1 / _FURTHEST, _FURTHEST)) for root, value in free.items()}


def _even(pair: _Pair, tensors: dict[str, NDArray[np.float32]], active: NDArray[np.float32] | None) -> Array:
    """Even the channels between a pair; return the factors (channels,) by which they are divided."""
    first, second = tensors[pair.first.input[1]], tensors[pair.second.input[1]]
    mine = np.abs(first).reshape(len(first), -1).max(1) if active is None else active
    swapped = second if pair.depthwise else second.swapaxes(0, 1)
    theirs = np.abs(swapped).reshape(len(swapped), -1).max(1)
    if active is not None and pair.depthwise:
        theirs = np.ones_like(theirs)  # each channel has a scale of its own there
        mine = mine**2
    usable = (mine > 0) & (theirs > 0)
    if not usable.any():
        return np.ones(len(first), np.float32)
    factor = np.where(usable, np.sqrt(np.where(usable, mine, 1) / np.where(usable, theirs, 1)), 1)
    factor /= np.exp(np.log(factor[usable]).mean())
    factor = np.clip(np.where(usable, factor, 1), 1 / _FURTHEST, _FURTHEST).astype(np.float32)
    first /= factor.reshape(-1, *[1] * (first.ndim - 1))
    if len(pair.first.input) > 2:
        tensors[pair.first.input[2]] /= factor
    swapped *= factor.reshape(-1, *[1] * (second.ndim - 1))
    return np.asarray(factor)


def _pairs(graph: onnx.GraphProto, tensors: dict[str, NDArray[np.float32]]) -> list[_Pair]:
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in graph.output}

    def only(name: str) -> onnx.NodeProto | None:
        nodes = readers.get(name, [])
        return nodes[0] if len(nodes) == 1 and name not in outputs else None

    def own(node: onnx.NodeProto) -> bool:
        """Whether its weights are constant, and nobody else's."""
        return all(name in tensors and len(readers[name]) == 1 for name in node.input[1:])

    pairs = []
    for first in (node for node in graph.node if node.op_type == "Conv" and own(node)):
        between = first.output[0]
        second = only(between)
        if second is not None and second.op_type == "Relu":
            between = second.output[0]
            second = only(between)
        if second is None or second.op_type != "Conv" or second.input[0] != between or not own(second):
            continue
        channels, group = len(tensors[first.input[1]]), _group(second)
        if group == 1 or (group == channels == len(tensors[second.input[1]])):
            pairs.append(_Pair(first, second, between))
    return pairs


def _group(node: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
