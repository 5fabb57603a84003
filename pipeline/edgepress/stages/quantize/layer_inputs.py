"""Collect the input statistics of layers with weights.

Of every convolution and matrix product: the mean input that each tap of its kernel meets, and the second moments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from .calibration.observe import First, observe
from .kernel_places import Kernel, reads, shares_read, shares_written
from .qdq import Plan, weights
from .sqnr import Evidence

_EXAMPLES = 64
"""The first examples, of which the statistics are: those are means over places too."""
_BATCH = 256
"""Places of several examples, at least, whose products are one matrix product."""
_PATCHES = 64
"""Places of an image from which a convolution's inputs are taken."""
_WIDEST = 2304
"""Inputs of an output, 3×3 of 256 channels, up to which how they go together is kept: a square of numbers."""
_LAYERS = 512
"""Layers whose places are remembered: every example has the same ones."""


@dataclass
class LayerInputs:
    """Input statistics of one node.

    `mean` is that of the input of each weight over all outputs, (inputs, *kernel), or None where it is not known;
    `gram` (groups, K, K) the mean of the products of the K inputs of an output, or None where they are too many, or
    those of a transposed convolution.
    """

    node: onnx.NodeProto
    weight: NDArray[Any]
    mean: NDArray[Any] | None = None
    gram: NDArray[Any] | None = None
    _waiting: list[NDArray[Any]] = field(default_factory=list)

    def add(self, rows: NDArray[Any] | None, count: int) -> None:
        """Take in the inputs (places, groups, K) of one of `count` examples, or with None what still waits."""
        waiting = sum(map(len, self._waiting))
        alike = rows is not None and (not self._waiting or len(rows) == len(self._waiting[0]))
        if self._waiting and (not alike or waiting >= _BATCH):
            product = _products(self._waiting)
            product /= len(self._waiting[0]) * count
            self.gram = product if self.gram is None else np.add(self.gram, product, out=self.gram)
            self._waiting.clear()
        if rows is not None:
            self._waiting.append(rows)

    def add_mean(self, mean: NDArray[Any], count: int) -> None:
        """Take in the mean input of one of `count` examples."""
        share = mean.astype(np.float64) / count
        self.mean = share if self.mean is None else self.mean + share


class _Statistics:
    """Observes the inputs of layers, on `count` examples."""

    def __init__(self, model: onnx.ModelProto, layers: list[LayerInputs], count: int) -> None:
        self.layers, self.count = layers, count
        self.tensors = {layer.node.input[0] for layer in layers}
        shapes = {
            value.name: tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
            for value in (*model.graph.value_info, *model.graph.output)
        }
        self.places = [shapes.get(layer.node.output[0], ())[2:] for layer in layers]

    def look(self, values: dict[str, NDArray[Any]], turn: int) -> list[tuple[NDArray[Any] | None, NDArray[Any] | None]]:
        return [
            (
                patches(layer.node, values[layer.node.input[0]], layer.weight.shape),
                mean_inputs(layer.node, values[layer.node.input[0]], layer.weight.shape, places),
            )
            for layer, places in zip(self.layers, self.places, strict=True)
        ]

    def take(self, seen: list[tuple[NDArray[Any] | None, NDArray[Any] | None]], turn: int) -> None:
        for layer, (rows, mean) in zip(self.layers, seen, strict=True):
            if rows is not None:
                layer.add(rows, self.count)
            if mean is not None:
                layer.add_mean(mean, self.count)


def collect_inputs(plan: Plan, evidence: Evidence) -> list[LayerInputs]:
    """Collect statistics of each node of the float graph with a constant weight, on the first examples."""
    layers = [LayerInputs(node, weight) for node, weight in _layers(plan.graph) if node.name not in plan.floats]
    examples = First(evidence.seen, _EXAMPLES)
    observe(plan.graph, examples, [_Statistics(plan.graph, layers, len(examples))])
    for layer in layers:
        layer.add(None, len(examples))
    return layers


def _layers(model: onnx.ModelProto) -> list[tuple[onnx.NodeProto, NDArray[Any]]]:
    return [each for each in weights(model.graph).values() if each[1].dtype in (np.float32, np.float16)]


def _products(waiting: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the sums of products of inputs, several (places, groups, K) → (groups, K, K)."""
    # In this order BLAS takes each group as it is; with the groups innermost numpy does not call it.
    groups = np.ascontiguousarray(np.concatenate([rows.swapaxes(0, 1) for rows in waiting], 1), np.float32)
    if len(groups) == 1:
        return (groups[0].T @ groups[0])[None]  # half of the work, since numpy sees that it is symmetric
    return groups.swapaxes(1, 2) @ groups


def mean_inputs(
    node: onnx.NodeProto, value: NDArray[Any], shape: tuple[int, ...], outputs: tuple[int, ...]
) -> NDArray[Any] | None:
    """Return the mean input of each weight over all outputs, float32 (inputs, *kernel); of a Gemm (inputs,).

    `value` (1, *shape) is the input of the node, `shape` that of its weight, and `outputs` the places of its output. An
    output is linear in its inputs, so that this mean times the weight is the mean output. Padding counts as zeros. None
    for a transposed convolution whose outputs are not known, and for a MatMul, which has no bias.
    """
    if node.op_type == "MatMul":
        return None
    value = value.astype(np.float32, copy=False)
    if node.op_type == "Gemm":
        return np.asarray(value.mean(0))
    sizes, kernel = value.shape[2:], Kernel.of(node, shape)
    if node.op_type == "Conv":
        shares = shares_read(kernel, sizes)
    elif len(outputs) == len(sizes) and all(outputs):
        shares = shares_written(kernel, sizes, outputs)
    else:
        return None
    means = value[0]
    for axis in range(len(sizes), 0, -1):  # taps come behind, those of the last axis first
        rows, matrix = np.moveaxis(means, axis, -1), shares[axis - 1]
        means = (rows.reshape(-1, len(matrix)) @ matrix).reshape(*rows.shape[:-1], -1)
    return np.transpose(means, [0, *range(len(sizes), 0, -1)])


def patches(node: onnx.NodeProto, value: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any] | None:
    """Return the inputs of outputs at evenly spread places: (places, groups, K)."""
    if node.op_type in ("Gemm", "MatMul"):
        rows = value.reshape(-1, value.shape[-1])
        return rows[_evenly(len(rows))][:, None] if len(shape) == 2 and rows.shape[1] <= _WIDEST else None
    if node.op_type != "Conv" or np.prod(shape[1:]) > _WIDEST:
        return None
    index, inside = _index(Kernel.of(node, shape), value.shape[2:])
    rows = value[0][(slice(None), *index)]  # (channels, places, *kernel)
    if inside is not None:
        rows *= inside
    groups = next((item.i for item in node.attribute if item.name == "group"), 1)
    by_group = rows.reshape(groups, -1, *rows.shape[1:])
    return np.moveaxis(by_group, 2, 0).reshape(rows.shape[1], len(by_group), -1)


@lru_cache(_LAYERS)
def _index(kernel: Kernel, sizes: tuple[int, ...]) -> tuple[list[NDArray[Any]], NDArray[Any] | None]:
    """Return the places of the inputs of some outputs on each axis, and which of them are no padding, if any is."""
    places = reads(kernel, sizes)
    chosen = np.unravel_index(_evenly(math.prod(map(len, places))), [len(each) for each in places])
    index, inside = [], np.ones(1, bool)
    for axis, (at, every, size) in enumerate(zip(chosen, places, sizes, strict=True)):
        along = every[at]  # (places, taps), beyond the ends where there is a pad
        along = along.reshape(len(at), *(along.shape[1] if axis == other else 1 for other in range(len(sizes))))
        inside = inside & (along >= 0) & (along < size)
        index.append(along.clip(0, size - 1))
    return index, None if inside.all() else inside


def _evenly(count: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, _PATCHES)).round().astype(np.int64))
