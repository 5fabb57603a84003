"""Define the plan of a quantized graph, and write it as QDQ.

onnxruntime's quantizer inserts the nodes.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from ...core.errors import UserError
from ...core.presets import Preset
from ...models.onnx.packed_weights import weights_only
from ...models.onnx.standard_form import standardize
from ...models.onnx.uint8 import WEIGHTED, unsigned
from ...models.onnx.unique_names import separate
from .calibration.histograms import UNUSUAL
from .int16 import joined
from .keep_float import in_float
from .padding import pooled
from .scales import untied
from .transposed import with_biases, without_biases

Range = tuple[float, float]


class Rounded(NamedTuple):
    """A weight's int8, of its shape, and the scale that brings them back, which broadcasts."""

    integers: NDArray[np.int8]
    scale: NDArray[np.float32]


@dataclass(frozen=True)
class Plan:
    """A float graph, and its form in integers.

    Attributes:
        graph: float, simplified, with shapes and a name of its own for every node; see `prepared`.
        ranges: of every activation, by tensor name; one that is not finite has no integers.
        per_channel: whether a weight has a scale for each output channel, or one.
        floats: names of nodes that compute in float; their weights are stored as int8 and unpacked when loading.
        exact: those of them whose weights stay float32.
        integers: weight name → its integers, and their scale, where biases go with them or they are not the nearest
            ones; nodes in float unpack the same.
        coarse: the graph and integers for weights of 7 bits, where they have some of their own.
    """

    graph: onnx.ModelProto
    ranges: Mapping[str, Range]
    per_channel: bool = True
    floats: frozenset[str] = frozenset()
    exact: frozenset[str] = frozenset()
    integers: Mapping[str, Rounded] = field(default_factory=dict)
    coarse: Plan | None = None


def prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """Infer shapes, and name every node uniquely: plans go by the names.

    Tensors have names that the quantizer gives to nothing else, and a Gemm has one bias for each output. Pads that a
    maximum never picks are the pool's own.
    """
    named = pooled(onnx.shape_inference.infer_shapes(standardize(model)))
    separate(named)
    taken: set[str] = set()
    for index, node in enumerate(named.graph.node):
        name = node.name or f"{node.op_type}_{index}"
        node.name = name if name not in taken else f"{name}_{index}"
        taken.add(node.name)
    return onnx.shape_inference.infer_shapes(named)  # of what was renamed, too


def written(plan: Plan, preset: Preset) -> onnx.ModelProto:
    """Write the QDQ graph of a plan. What presets share is equal to the bit: a scale never depends on the sign.

    Nodes that read or write a tensor without a usable scale are computed in float.
    Raises: UserError naming the tensor, where a scale is not usable all the same.
    """
    if preset.reduced:
        own = plan.coarse or replace(plan, integers={})
        plan = replace(plan, graph=own.graph, integers=own.integers)
    finite = {name: bounds for name, bounds in plan.ranges.items() if np.abs(bounds).max() < UNUSUAL}
    plan = replace(plan, ranges=finite, floats=plan.floats | touching(plan.graph.graph, plan.ranges.keys() - finite))
    quantized = _written(plan, preset)
    if unusable := _unusable(quantized):
        plan = replace(plan, floats=plan.floats | touching(plan.graph.graph, unusable))
        quantized = _written(plan, preset)
        for name, scale in _unusable(quantized).items():
            raise UserError(
                f"`{name}` would have the scale {scale:g}, which no runtime can use",
                "its numbers are too large or too small for float32: look at what makes it in the float model",
            )
    return quantized


def touching(graph: onnx.GraphProto, tensors: Collection[str]) -> frozenset[str]:
    """Return the names of the nodes that read or write one of these tensors."""
    return frozenset(node.name for node in graph.node if any(name in tensors for name in (*node.input, *node.output)))


def _unusable(model: onnx.ModelProto) -> dict[str, float]:
    """Find the tensors whose scale in a QDQ graph is not a normal, positive, finite number."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    unusable = {}
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and node.input[1] in tensors:
            scale = numpy_helper.to_array(tensors[node.input[1]])
            wrong = scale[~((scale >= np.finfo(np.float32).tiny) & (scale <= np.finfo(np.float32).max))]
            if wrong.size:
                unusable[node.input[1].removesuffix("_scale").removesuffix("_quantized")] = float(wrong.flat[0])
    return unusable


def _written(plan: Plan, preset: Preset) -> onnx.ModelProto:
    from onnxruntime import quantization as ort
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.quant_utils import add_infer_metadata
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    from .per_channel import Quantizer

    ranges = {
        name: tuple(np.array(bound, np.float32) for bound in bounds)
        for name, bounds in untied(plan.graph.graph, plan.ranges).items()
    }
    graph = onnx.ModelProto()
    graph.CopyFrom(plan.graph)
    add_infer_metadata(graph)  # `prepared` inferred its shapes: the quantizer would do so anew, in files
    biases = without_biases(graph.graph)
    with quiet():
        quantizer = Quantizer(
            graph,
            plan.per_channel,
            preset.reduced,
            ort.QuantType.QInt8,
            ort.QuantType.QInt16 if preset.wide else ort.QuantType.QInt8,
            TensorsData(ort.CalibrationMethod.MinMax, ranges),
            [],
            sorted(plan.floats),
            sorted({*QDQRegistry, *QLinearOpsRegistry}),
            {
                "ActivationSymmetric": preset.symmetric or preset.wide,
                "WeightSymmetric": True,
                "QuantizeBias": not preset.symmetric,
            },
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
        quantized: onnx.ModelProto = quantizer.model.model
    with_biases(quantized, biases, plan.graph.graph, quantize=not preset.symmetric)
    _round_otherwise(quantized, plan.integers)
    quantized = weights_only(quantized, plan.floats - plan.exact, known=plan.integers)
    if preset.wide:
        return joined(quantized)
    if not preset.foreign:
        quantized = in_float(quantized)
    return unsigned(quantized) if preset.unsigned else quantized


def _round_otherwise(model: onnx.ModelProto, known: Mapping[str, Rounded]) -> None:
    for tensor in model.graph.initializer:
        if (wanted := known.get(tensor.name.removesuffix("_quantized"))) is None:
            continue
        if tensor.data_type == onnx.TensorProto.INT8 and list(tensor.dims) == [*wanted.integers.shape]:
            tensor.CopyFrom(numpy_helper.from_array(wanted.integers, tensor.name))


def weights(graph: onnx.GraphProto) -> dict[str, tuple[onnx.NodeProto, NDArray[Any]]]:
    """Return node name → node and weight, of every node with a constant float weight."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    return {
        node.name: (node, numpy_helper.to_array(tensors[node.input[1]]))
        for node in graph.node
        if node.op_type in WEIGHTED and node.input[1] in tensors
    }


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the advice of onnxruntime's quantizer on the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
