"""Collect the input statistics of layers with weights.

Of every convolution and matrix product: the mean input that each tap of its kernel meets, and the second moments.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from .calibration.observe import First, observe
from .kernel_places import Kernel, reads, shares_read, shares_written
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

    @cached_property
    def kernel(self) -> Kernel:
        """That of a convolution."""
        return Kernel.of(self.node, self.weight.shape)

    @cached_property
    def groups(self) -> int:
        return next((option.i for option in self.node.attribute if option.name == "group"), 1)

    def add(self, columns: NDArray[Any], count: int) -> None:
        """Take in the inputs (groups, K, places) of one of `count` examples."""
        if self._waiting and columns.shape != self._waiting[0].shape:
            self.finish(count)
        self._waiting.append(columns)
        if len(self._waiting) * columns.shape[2] >= _BATCH:
            self.finish(count)

    def finish(self, count: int) -> None:
        """Take in what still waits."""
        if self._waiting:
            self.add_products(_products(self._waiting), count)
            self._waiting.clear()

    def add_products(self, products: NDArray[Any], count: int) -> None:
        products /= count
        self.gram = products if self.gram is None else np.add(self.gram, products, out=self.gram)


class Means:
    """Observes the mean inputs of a graph's nodes; `sums` by node are those of `count` examples."""

    def __init__(self, model: onnx.ModelProto) -> None:
        shapes = {
            value.name: tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
            for value in (*model.graph.value_info, *model.graph.output)
        }
        self.layers = [
            (LayerInputs(node, weight), shapes.get(node.output[0], ())[2:])
            for node, weight in _layers(model)
            if node.op_type != "MatMul"  # which has no bias
        ]
        self.tensors = {layer.node.input[0] for layer, _ in self.layers}
        self.count, self.sums = 0, dict[str, NDArray[np.float64]]()

    def look(self, values: dict[str, NDArray[Any]], turn: int) -> dict[str, NDArray[Any] | None]:
        layers = self.layers if turn < _EXAMPLES else []
        return {layer.node.name: mean_inputs(layer, values[layer.node.input[0]], places) for layer, places in layers}

    def take(self, seen: dict[str, NDArray[Any] | None], turn: int) -> None:
        self.count += bool(seen)
        for name, mean in seen.items():
            if mean is not None:
                self.sums[name] = self.sums.get(name, 0) + mean.astype(np.float64)


class _Moments:
    """Observes the second moments of the inputs of layers, on the first `count` examples.

    Those of several groups are small squares, which take less memory than what they are made from.
    """

    def __init__(self, layers: list[LayerInputs], count: int) -> None:
        self.layers, self.count = layers, count
        self.tensors = {layer.node.input[0] for layer in layers}

    def look(self, values: dict[str, NDArray[Any]], turn: int) -> list[NDArray[Any] | None]:
        if turn >= self.count:
            return [None] * len(self.layers)
        every = (patches(layer, values[layer.node.input[0]]) for layer in self.layers)
        return [
            _products([columns]) if columns is not None and layer.groups > 1 else columns
            for layer, columns in zip(self.layers, every, strict=True)
        ]

    def take(self, seen: list[NDArray[Any] | None], turn: int) -> None:
        for layer, each in zip(self.layers, seen, strict=True):
            if each is not None:
                (layer.add_products if layer.groups > 1 else layer.add)(each, self.count)


def collect_inputs(
    plan: Plan, evidence: Evidence, means: Means | None = None, factors: Mapping[str, NDArray[Any]] | None = None
) -> list[LayerInputs]:
    """Collect statistics of each node of the float graph with a constant weight, on the first examples.

    `means` have been observed, if they are given: of a graph whose activations are those of the plan's times `factors`
    (channels,) by tensor.
    """
    layers = [LayerInputs(node, weight) for node, weight in _layers(plan.graph) if node.name not in plan.floats]
    moments = _Moments(layers, min(_MOMENTS, len(evidence.seen)))
    if means is None:
        means = Means(plan.graph)
        observe(plan.graph, First(evidence.seen, _EXAMPLES), [moments, means])
    else:
        observe(plan.graph, First(evidence.seen, _MOMENTS), [moments])
    for layer in layers:
        layer.finish(moments.count)
        if layer.node.name in means.sums:
            mean = means.sums[layer.node.name] / means.count
            factor = (factors or {}).get(layer.node.input[0], np.ones(len(mean)))
            layer.mean = mean / factor.reshape(-1, *[1] * (mean.ndim - 1))
    return layers


def _layers(model: onnx.ModelProto) -> list[tuple[onnx.NodeProto, NDArray[Any]]]:
    return [each for each in weights(model.graph).values() if each[1].dtype in (np.float32, np.float16)]


def _products(waiting: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the products of inputs, sums over examples of means over places: (groups, K, places)… → (groups, K, K)."""
    groups = np.concatenate(waiting, 2, dtype=np.float32)
    # Of one group half of the work is enough: numpy sees that the product is symmetric.
    products = (groups[0] @ groups[0].T)[None] if len(groups) == 1 else groups @ groups.swapaxes(1, 2)
    products /= waiting[0].shape[2]
    return products


def mean_inputs(layer: LayerInputs, value: NDArray[Any], outputs: tuple[int, ...]) -> NDArray[Any] | None:
    """Return the mean input of each weight over all outputs, float32 (inputs, *kernel); of a Gemm (inputs,).

    `value` (1, *shape) is the input of the node, and `outputs` the places of its output. An output is linear in its
    inputs, so that this mean times the weight is the mean output. Padding counts as zeros. None for a transposed
    convolution whose outputs are not known.
    """
    operator = layer.node.op_type
    value = value.astype(np.float32, copy=False)
    if operator == "Gemm":
        return np.asarray(value.mean(0))
    sizes = value.shape[2:]
    if operator == "Conv":
        shares = shares_read(layer.kernel, sizes)
    elif len(outputs) == len(sizes) and all(outputs):
        shares = shares_written(layer.kernel, sizes, outputs)
    else:
        return None
    means = value[0]
    for axis in range(len(sizes), 0, -1):  # taps come behind, those of the last axis first
        rows, matrix = np.moveaxis(means, axis, -1), shares[axis - 1]
        means = (rows.reshape(-1, len(matrix)) @ matrix).reshape(*rows.shape[:-1], -1)
    return np.transpose(means, [0, *range(len(sizes), 0, -1)])


def patches(layer: LayerInputs, value: NDArray[Any]) -> NDArray[Any] | None:
    """Return the inputs of outputs at evenly spread places: (groups, K, places)."""
    shape = layer.weight.shape
    if layer.node.op_type in ("Gemm", "MatMul"):
        rows = value.reshape(-1, value.shape[-1])
        return rows[_evenly(len(rows))].T[None] if len(shape) == 2 and rows.shape[1] <= _WIDEST else None
    if layer.node.op_type != "Conv" or np.prod(shape[1:]) > _WIDEST:
        return None
    index, inside = _index(layer.kernel, value.shape[2:])
    columns = value.reshape(value.shape[1], -1).take(index.reshape(-1), 1)  # several times as fast as by an index
    if inside is not None:
        columns *= inside.reshape(-1)
    return columns.reshape(layer.groups, -1, index.shape[1])


@lru_cache(_LAYERS)
def _index(kernel: Kernel, sizes: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
    """Return the places that some outputs read by each tap, in the flat input (taps, places); and which are no padding,
    if any is."""
    places = reads(kernel, sizes)
    chosen = np.unravel_index(_evenly(math.prod(map(len, places))), [len(each) for each in places])
    index, inside = np.zeros((1, len(chosen[0])), np.int64), np.ones((1, len(chosen[0])), bool)
    for at, every, size in zip(chosen, places, sizes, strict=True):
        along = every[at].T  # (taps, places), beyond the ends where there is a pad
        inside = (inside[:, None] & (along >= 0) & (along < size)).reshape(-1, len(at))
        index = (index[:, None] * size + along.clip(0, size - 1)).reshape(-1, len(at))
    return index, None if inside.all() else inside


def _evenly(count: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, _PATCHES)).round().astype(np.int64))
