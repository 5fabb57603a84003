"""Collect the input statistics of layers with weights.

Of every convolution and matrix product: the mean input and the second moments.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from .qdq import Plan, weights
from .sqnr import Evidence, watched

_EXAMPLES = 256
"""Examples of which the mean inputs are."""
_MOMENTS = 64
"""The first of them, of which the second moments are."""
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
            batch = np.concatenate(self._waiting).astype(np.float64).transpose(1, 0, 2)
            product = batch.transpose(0, 2, 1) @ batch
            product /= len(self._waiting[0]) * count
            self.gram = product if self.gram is None else np.add(self.gram, product, out=self.gram)
            self._waiting.clear()
        if rows is not None:
            self._waiting.append(rows)


def collect_inputs(plan: Plan, evidence: Evidence) -> list[LayerInputs]:
    """Collect statistics of each node of the float graph with a constant weight, on the first examples."""
    layers = [
        LayerInputs(node, weight) for node, weight in weights(plan.graph.graph).values() if node.name not in plan.floats
    ]
    count, moments = (min(most, len(evidence.seen)) for most in (_EXAMPLES, _MOMENTS))
    names = list(dict.fromkeys(layer.node.input[0] for layer in layers))
    sums: dict[str, NDArray[np.float64]] = {}
    for index, values in enumerate(watched(plan.graph, names, islice(evidence.seen, count))):
        tensors = dict(zip(names, values, strict=True))
        for name, value in tensors.items():
            sums[name] = np.add(sums[name], value, out=sums[name]) if name in sums else value.astype(np.float64)
        for layer in layers if index < moments else ():
            if (rows := patches(layer.node, tensors[layer.node.input[0]], layer.weight.shape)) is not None:
                layer.add(rows, moments)
    for layer in layers:
        layer.add(None, moments)
        layer.mean = sums[layer.node.input[0]] / count
    return layers


def patches(node: onnx.NodeProto, value: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any] | None:
    """Return the inputs of outputs at evenly spread places: (places, groups, K)."""
    if node.op_type in ("Gemm", "MatMul"):
        rows = value.reshape(-1, value.shape[-1])
        return _spread(rows)[:, None] if len(shape) == 2 and rows.shape[1] <= _WIDEST else None
    if node.op_type != "Conv" or np.prod(shape[1:]) > _WIDEST:
        return None
    options = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    kernel, axes = shape[2:], len(shape) - 2
    strides, dilations = (options.get(name, [1] * axes) for name in ("strides", "dilations"))
    padded = np.pad(value, ((0, 0), (0, 0), *_pads(options, value.shape[2:], kernel, strides, dilations)))
    extents = tuple((size - 1) * gap + 1 for size, gap in zip(kernel, dilations, strict=True))
    windows: Any = np.lib.stride_tricks.sliding_window_view(padded, extents, tuple(range(2, 2 + axes)))  # type: ignore[call-overload]
    windows = windows[(0, slice(None), *(slice(None, None, item) for item in (*strides, *dilations)))]
    places = windows.shape[1 : 1 + axes]
    chosen = np.unravel_index(_evenly(int(np.prod(places))), places)
    rows = windows[(slice(None), *chosen)]  # (channels, places, *kernel)
    group = options.get("group", 1)
    return rows.swapaxes(0, 1).reshape(rows.shape[1], group, -1)


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
