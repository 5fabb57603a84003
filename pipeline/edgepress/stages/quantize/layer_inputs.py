"""Collect the input statistics of layers with weights.

Of every convolution and matrix product: the mean input that each tap of its kernel meets, and the second moments.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from .kernel_places import Kernel, reads, shares_read, shares_written
from .qdq import Plan, weights

_EXAMPLES = 256
"""Examples of which the mean inputs are."""
_MOMENTS = (16, 64)
"""The first of them, at least and at most, of which the second moments are: those are means over places too."""
_PLACES = 40
"""Places for each input of an output, after which more examples change the second moments little."""
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

    `places` are those of its output. `mean` is that of the input of each weight over all outputs, (inputs, *kernel), or
    None where it is not known; `gram` (groups, K, K) has the products of the K inputs of an output, means over places
    and a sum over examples, or is None where they are too many, or those of a transposed convolution.
    """

    node: onnx.NodeProto
    weight: NDArray[Any]
    places: tuple[int, ...] = ()
    mean: NDArray[Any] | None = None
    gram: NDArray[Any] | None = None

    @cached_property
    def kernel(self) -> Kernel:
        """That of a convolution."""
        return Kernel.of(self.node, self.weight.shape)

    @cached_property
    def groups(self) -> int:
        return next((option.i for option in self.node.attribute if option.name == "group"), 1)

    @cached_property
    def examples(self) -> int:
        """Number of examples of which the second moments are: those of few inputs are known sooner."""
        least, most = _MOMENTS
        if self.node.op_type != "Conv":
            return most
        places = min(math.prod(self.places), _PATCHES)
        return min(max(_PLACES * math.prod(self.weight.shape[1:]) // max(places, 1), least), most)

    def divided(self, factor: NDArray[Any]) -> LayerInputs:
        """Return the statistics of inputs that are divided by `factor` (channels,)."""
        mean, gram = self.mean, self.gram
        if mean is not None and len(mean) == len(factor):
            mean = mean / factor.reshape(-1, *[1] * (mean.ndim - 1))
        if gram is not None and gram.shape[0] * gram.shape[1] % len(factor) == 0:
            every = factor.repeat(gram.shape[0] * gram.shape[1] // len(factor)).reshape(gram.shape[:2])
            gram = gram / (every[:, :, None] * every[:, None, :])
        return replace(self, mean=mean, gram=gram)


Seen = tuple[NDArray[Any] | None, NDArray[Any] | None]
"""Of an example, the mean inputs of a layer; and its inputs (groups, K, places), or of several groups their products:
small squares, which take less memory."""


class Inputs:
    """Observes the inputs of the layers of a plan: those with a constant weight that are not in float."""

    def __init__(self, plan: Plan) -> None:
        graph = plan.graph.graph
        shapes = {
            value.name: tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
            for value in (*graph.value_info, *graph.output)
        }
        self._layers = [
            LayerInputs(node, weight, shapes.get(node.output[0], ())[2:])
            for node, weight in _layers(plan.graph)
            if node.name not in plan.floats
        ]
        self._waiting: list[list[NDArray[Any]]] = [[] for _ in self._layers]
        self._count = 0
        self.tensors = {layer.node.input[0] for layer in self._layers}

    def look(self, values: dict[str, NDArray[Any]], turn: int) -> list[Seen]:
        return [self._seen(layer, values[layer.node.input[0]], turn) for layer in self._layers]

    def _seen(self, layer: LayerInputs, value: NDArray[Any], turn: int) -> Seen:
        mean = mean_inputs(layer, value) if turn < _EXAMPLES else None
        columns = patches(layer, value) if turn < layer.examples else None
        return mean, _products([columns]) if columns is not None and layer.groups > 1 else columns

    def take(self, seen: list[Seen], turn: int) -> None:
        self._count += turn < _EXAMPLES
        for layer, waiting, (mean, moments) in zip(self._layers, self._waiting, seen, strict=True):
            if mean is not None:
                layer.mean = mean.astype(np.float64) if layer.mean is None else layer.mean + mean
            if moments is None:
                continue
            if layer.groups > 1:
                layer.gram = moments if layer.gram is None else layer.gram + moments
                continue
            if waiting and moments.shape != waiting[0].shape:
                _finish(layer, waiting)
            waiting.append(moments)
            if len(waiting) * moments.shape[2] >= _BATCH:
                _finish(layer, waiting)

    def layers(self, plan: Plan, factors: Mapping[str, NDArray[Any]]) -> list[LayerInputs]:
        """Return the statistics of the layers of a plan that are not in float.

        The activations of its graph are those that were observed, divided by `factors` (channels,) by tensor.
        """
        known = {}
        for layer, waiting in zip(self._layers, self._waiting, strict=True):
            _finish(layer, waiting)
            known[layer.node.name] = replace(layer, mean=None if layer.mean is None else layer.mean / self._count)
        found = []
        for node, weight in _layers(plan.graph):
            if node.name in known and node.name not in plan.floats:
                layer = replace(known[node.name], node=node, weight=weight)
                factor = factors.get(node.input[0])
                found.append(layer if factor is None else layer.divided(factor))
        return found


def _finish(layer: LayerInputs, waiting: list[NDArray[Any]]) -> None:
    """Add the products of the inputs that wait."""
    if waiting:
        products = _products(waiting)
        layer.gram = products if layer.gram is None else np.add(layer.gram, products, out=layer.gram)
        waiting.clear()


def _layers(model: onnx.ModelProto) -> list[tuple[onnx.NodeProto, NDArray[Any]]]:
    return [each for each in weights(model.graph).values() if each[1].dtype in (np.float32, np.float16)]


def _products(waiting: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the products of inputs, sums over examples of means over places: (groups, K, places)… → (groups, K, K)."""
    groups = np.concatenate(waiting, 2, dtype=np.float32)
    # Of one group half of the work is enough: numpy sees that the product is symmetric.
    products = (groups[0] @ groups[0].T)[None] if len(groups) == 1 else groups @ groups.swapaxes(1, 2)
    products /= waiting[0].shape[2]
    return products


def mean_inputs(layer: LayerInputs, value: NDArray[Any]) -> NDArray[Any] | None:
    """Return the mean input of each weight over all outputs, float32 (inputs, *kernel); of a Gemm (inputs,).

    `value` (1, *shape) is the input of the node. An output is linear in its inputs, so that this mean times the weight
    is the mean output. Padding counts as zeros. None for a transposed convolution whose outputs are not known, and for
    a MatMul, which has no bias.
    """
    operator, outputs = layer.node.op_type, layer.places
    if operator == "MatMul":
        return None
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
