"""Collect the input statistics of layers with weights.

Of every convolution and matrix product: the mean input and the second moments.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from .calibration.observe import First, observe
from .qdq import Plan, weights
from .sqnr import Evidence

_EXAMPLES = 256
"""Examples of which the mean inputs are."""
_MOMENTS = 64
"""The first of them, of which the second moments are: those are means over places too."""
_BATCH = 256
"""Places of several examples, at least, whose products are one matrix product."""
_PATCHES = 64
"""Places of an image from which a convolution's inputs are taken."""
_WIDEST = 2304
"""Inputs of an output, 3×3 of 256 channels, up to which how they go together is kept: a square of numbers."""


@dataclass
class LayerInputs:
    """Input statistics of one node.

    `mean` is of its input (1, *shape); `gram` (groups, K, K) the mean of the products of the K inputs of an output, or
    None where they are too many, or those of a transposed convolution.
    """

    node: onnx.NodeProto
    weight: NDArray[Any]
    mean: NDArray[Any] = field(default_factory=lambda: np.zeros(()))
    gram: NDArray[Any] | None = None
    _waiting: list[NDArray[Any]] = field(default_factory=list)

    def add(self, rows: NDArray[Any] | None, count: int) -> None:
        """Take in the inputs (places, groups, K) of one of `count` examples, or with None what still waits."""
        waiting = sum(map(len, self._waiting))
        alike = rows is not None and (not self._waiting or len(rows) == len(self._waiting[0]))
        if self._waiting and (not alike or waiting >= max(_BATCH, self._waiting[0].shape[2])):
            product = _products(self._waiting).astype(np.float64)
            product /= len(self._waiting[0]) * count
            self.gram = product if self.gram is None else np.add(self.gram, product, out=self.gram)
            self._waiting.clear()
        if rows is not None:
            self._waiting.append(rows)


class Means:
    """Observes the mean inputs of a graph's nodes with weights; `sums` are those of `count` examples."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model, self.count = model, 0
        self.tensors = dict.fromkeys(node.input[0] for node, weight in _layers(model))
        self.sums: dict[str, NDArray[np.float64]] = {}

    def look(self, values: dict[str, NDArray[Any]], turn: int) -> dict[str, NDArray[Any]]:
        return {name: values[name] for name in self.tensors} if turn < _EXAMPLES else {}

    def take(self, seen: dict[str, NDArray[Any]], turn: int) -> None:
        self.count += bool(seen)
        for name, value in seen.items():
            before = self.sums.get(name)
            self.sums[name] = value.astype(np.float64) if before is None else np.add(before, value, out=before)


class _Moments:
    """Observes the second moments of the inputs of layers, on `count` examples."""

    def __init__(self, layers: list[LayerInputs], count: int) -> None:
        self.layers, self.count = layers, count
        self.tensors = {layer.node.input[0] for layer in layers}

    def look(self, values: dict[str, NDArray[Any]], turn: int) -> list[NDArray[Any] | None]:
        return [patches(layer.node, values[layer.node.input[0]], layer.weight.shape) for layer in self.layers]

    def take(self, seen: list[NDArray[Any] | None], turn: int) -> None:
        for layer, rows in zip(self.layers, seen, strict=True):
            if rows is not None:
                layer.add(rows, self.count)


def collect_inputs(plan: Plan, evidence: Evidence, means: Means | None = None) -> list[LayerInputs]:
    """Collect statistics of each node of the float graph with a constant weight, on the first examples.

    `means` are those of its graph, if they have been observed.
    """
    layers = [LayerInputs(node, weight) for node, weight in _layers(plan.graph) if node.name not in plan.floats]
    if means is None:
        means = Means(plan.graph)
        observe(plan.graph, First(evidence.seen, _EXAMPLES), [means])
    count = min(_MOMENTS, len(evidence.seen))
    observe(plan.graph, First(evidence.seen, count), [_Moments(layers, count)])
    for layer in layers:
        layer.add(None, count)
        layer.mean = means.sums[layer.node.input[0]] / means.count
    return layers


def _layers(model: onnx.ModelProto) -> list[tuple[onnx.NodeProto, NDArray[Any]]]:
    return [each for each in weights(model.graph).values() if each[1].dtype in (np.float32, np.float16)]


def _products(waiting: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the sums of products of inputs, several (places, groups, K) → (groups, K, K)."""
    # In this order BLAS takes each group as it is; with the groups innermost numpy does not call it.
    groups = np.ascontiguousarray(np.concatenate([rows.swapaxes(0, 1) for rows in waiting], 1))
    if len(groups) == 1:
        return (groups[0].T @ groups[0])[None]  # half of the work, since numpy sees that it is symmetric
    return groups.swapaxes(1, 2) @ groups


def patches(node: onnx.NodeProto, value: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any] | None:
    """Return the inputs of outputs at evenly spread places: (places, groups, K)."""
    if node.op_type in ("Gemm", "MatMul"):
        rows = value.reshape(-1, value.shape[-1])
        return _spread(rows)[:, None] if len(shape) == 2 and rows.shape[1] <= _WIDEST else None
    if node.op_type != "Conv" or np.prod(shape[1:]) > _WIDEST:
        return None
    options = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    kernel, sizes, axes = shape[2:], value.shape[2:], len(shape) - 2
    strides, dilations = (options.get(name, [1] * axes) for name in ("strides", "dilations"))
    pads = _pads(options, sizes, kernel, strides, dilations)
    places = [
        (size + sum(pad) - (length - 1) * gap - 1) // stride + 1
        for size, pad, length, gap, stride in zip(sizes, pads, kernel, dilations, strides, strict=True)
    ]
    chosen = np.unravel_index(_evenly(math.prod(places)), places)
    index, inside = [], np.ones(1, bool)
    for axis, (at, (pad, _), length) in enumerate(zip(chosen, pads, kernel, strict=True)):
        steps = np.arange(length) * dilations[axis]
        along = (at * strides[axis] - pad)[:, None] + steps  # (places, length), beyond the ends where there is a pad
        along = along.reshape(len(at), *(length if axis == other else 1 for other in range(axes)))
        inside = inside & (along >= 0) & (along < sizes[axis])
        index.append(along.clip(0, sizes[axis] - 1))
    rows = value[0][(slice(None), *index)]  # (channels, places, *kernel)
    if not inside.all():
        rows *= inside
    by_group = rows.reshape(options.get("group", 1), -1, *rows.shape[1:])
    return np.moveaxis(by_group, 2, 0).reshape(rows.shape[1], len(by_group), -1)


def _pads(
    options: dict[str, Any], sizes: Iterable[int], kernel: Iterable[int], strides: Any, dilations: Any
) -> list[tuple[int, int]]:
    axes = len(tuple(strides))
    auto = options.get("auto_pad", b"NOTSET")
    if auto in (b"NOTSET", b"VALID"):
        pads = options.get("pads", [0] * 2 * axes) if auto == b"NOTSET" else [0] * 2 * axes
        return [(pads[axis], pads[axis + axes]) for axis in range(axes)]
    pairs = []
    for size, length, stride, gap in zip(sizes, kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + (length - 1) * gap + 1 - size, 0)
        less, more = total // 2, total - total // 2
        pairs.append((less, more) if auto == b"SAME_UPPER" else (more, less))
    return pairs


def _spread(rows: NDArray[Any]) -> NDArray[Any]:
    return rows[_evenly(len(rows))]


def _evenly(count: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, _PATCHES)).round().astype(np.int64))
