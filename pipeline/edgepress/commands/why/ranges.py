"""Measure the ranges of activations, what lies far outside of most, and what int8 holds of them.

An outlier widens the range that 256 steps divide: of a tensor whose extreme is 16 times its bulk, the bulk has 4 of the
8 bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from ...core.activity import Bounds, bounded
from ...core.errors import UserError
from ...core.model_size import stored_bytes
from ...models.onnx.export import quantized
from ...models.onnx.reading import read
from ...stages.quantize.qdq import prepared
from .cones import Graph, pairs
from .origin import float_of, inputs_of, origin_of, require_onnx
from .sensitivity import require_same_inputs
from .values import Columns, giving, values

BULK = 0.999
"""Share of an activation's values other than 0 that are its bulk."""
FIRST = ("Conv", "ConvTranspose", "BatchNormalization", "InstanceNormalization", "GroupNormalization")
"""Operators whose output has its channels along axis 1, also that of a sequence."""
LAST = ("MatMul", "Gemm", "LayerNormalization")
"""Operators whose output has them along the last axis."""
SHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity")
"""Operators that give what they take."""


@dataclass(frozen=True)
class Range:
    """An operator's float output over the examples.

    Attributes:
        bulk: the magnitude that 99.9% of an example's values other than 0 do not exceed; the median of the examples.
        channels: the largest channel's magnitude over that of the median channel; None without channels.
        held: the lowest and highest number that the int8 file's integers stand for; None where none was compared.
        outside: the share of values outside of `held`, which are clipped.
    """

    node: str
    op: str
    low: float
    high: float
    bulk: float
    channels: float | None
    held: tuple[float, float] | None
    outside: float | None

    @property
    def outliers(self) -> float:
        """Return the extreme over the bulk."""
        return max(abs(self.low), abs(self.high)) / self.bulk if self.bulk > 0 else 1.0


@dataclass(frozen=True)
class Ranges:
    """The ranges of a file's activations, those with the farthest outliers first; `examples` are `inputs` in words."""

    file: str
    examples: int
    inputs: str
    operators: list[Range]


@dataclass
class _Seen:
    """What is kept of one tensor while examples pass."""

    bulks: list[float]
    axis: int | None = 1
    """Of the channels of a sequence, which has three axes; of others it is 1."""
    low: float = math.inf
    high: float = -math.inf
    channels: np.ndarray | None = None
    outside: int = 0
    count: int = 0

    def add(self, value: np.ndarray, held: tuple[float, float] | None) -> None:
        size = np.abs(value.astype(np.float64))
        some = size[size > 0]  # the zeros of a Relu are no bulk
        self.bulks.append(float(np.quantile(some, BULK)) if some.size else 0.0)
        self.low, self.high = min(self.low, float(value.min())), max(self.high, float(value.max()))
        along = self.axis if value.ndim == 3 else 1
        if value.ndim > 1 and along is not None and value.shape[along] > 1:
            most = size.max(tuple(axis for axis in range(value.ndim) if axis != along % value.ndim))
            self.channels = most if self.channels is None else np.maximum(self.channels, most)
        if held:
            self.outside += int(((value < held[0]) | (value > held[1])).sum())
        self.count += value.size


def explained(path: Path, floats: Path | None, cache: Path) -> Ranges:
    """Return the ranges of a float ONNX file, or of the float file of an int8 one; the result is kept nowhere.

    Without `floats` an int8 file's is that of its run. Raises: UserError.
    """
    require_onnx(path)
    origin = origin_of(path)
    integers = path if floats or quantized(read(path)) else None
    whole = float_of(origin, path, floats) if integers else path
    (columns,), inputs = inputs_of(origin, [path if floats else whole], cache)
    bounds = Bounds(stored_bytes(path) + stored_bytes(whole), sum(column[:1].nbytes for column in columns))
    with bounded(bounds, doing="comparing", file=whole, library="onnxruntime"):
        return Ranges(str(whole), len(columns[0]), inputs, measure(whole, integers, columns))


def measure(floats: Path, integers: Path | None, columns: Columns) -> list[Range]:
    """Return the ranges of a float ONNX file's activations, those with the farthest outliers first.

    With `integers`, the int8 file that was made from it, the operators are those that both have.
    Raises: UserError for a file that is quantized, or has no such activation.
    """
    whole = read(floats)
    if quantized(whole):
        help = "name the float file: `--float FILE`, or in place of this one"
        raise UserError(f"`{floats}` is quantized, and ranges are those of a float model", help)
    graph = Graph(prepared(whole) if integers else whole)
    pair = Graph(read(integers)) if integers else None
    if pair and integers:
        require_same_inputs(pair, graph, integers, floats)
    named = list(_of_pair(graph, pair) if pair else _of_float(graph))
    if not named:
        raise UserError(f"`{floats}` has no operator whose output is compared")
    seen = [_Seen([], _channels(graph, tensor)) for _, tensor, _ in named]
    for row in values(giving(graph, [tensor for _, tensor, _ in named]), columns):
        for own, value, (_, _, held) in zip(seen, row, named, strict=True):
            if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size and np.isfinite(value).all():
                own.add(value, held)
    found = [
        _range(node, own, held) for own, (node, _, held) in zip(seen, named, strict=True) if own.count and own.bulks
    ]
    return sorted(found, key=lambda row: (-row.outliers, row.node))


def _of_pair(floats: Graph, integers: Graph) -> Iterator[tuple[onnx.NodeProto, str, tuple[float, float] | None]]:
    for pair in pairs(integers, floats):
        if pair.rounded in integers.makers and integers.makers[pair.rounded].op_type == "DequantizeLinear":
            yield pair.node, pair.whole, _held(integers, integers.makers[pair.rounded])


def _of_float(graph: Graph) -> Iterator[tuple[onnx.NodeProto, str, None]]:
    for node in graph.model.graph.node:
        name = next(iter(node.output), "")
        if name in graph.computed and node.op_type not in SHAPING:
            yield node, name, None


def _channels(graph: Graph, name: str) -> int | None:
    """Return the axis that the channels of a sequence lie along; None where no operator before it tells."""
    while (node := graph.makers.get(name)) is not None and node.op_type not in SHAPING:
        if node.op_type in FIRST or node.op_type in LAST:
            return 1 if node.op_type in FIRST else 2
        name = next((taken for taken in node.input if taken in graph.computed), "")
    return None


def _held(graph: Graph, node: onnx.NodeProto) -> tuple[float, float] | None:
    """Return the range of a DequantizeLinear's integers; None for scales that are computed, or by channel."""
    known = [graph.constants.get(name) for name in node.input[1:3]]
    arrays = [numpy_helper.to_array(tensor) for tensor in known if tensor is not None]
    if len(arrays) != 2 or arrays[0].size != 1 or arrays[1].dtype.kind not in "iu":
        return None
    scale, zero = float(arrays[0].ravel()[0]), int(arrays[1].ravel()[0])
    limits = np.iinfo(arrays[1].dtype)
    return (int(limits.min) - zero) * scale, (int(limits.max) - zero) * scale


def _range(node: onnx.NodeProto, seen: _Seen, held: tuple[float, float] | None) -> Range:
    channels = None
    if seen.channels is not None and (middle := float(np.median(seen.channels))) > 0:
        channels = float(seen.channels.max()) / middle
    bulk = float(np.median(seen.bulks))
    outside = seen.outside / seen.count if held else None
    name = node.name or node.output[0]
    return Range(name, node.op_type, seen.low, seen.high, bulk, channels, held, outside)
