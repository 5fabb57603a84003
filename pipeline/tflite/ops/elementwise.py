"""Operators that work on each number by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from ..builder import quantization
from ..graph import FUSED, Node
from ..lowering import IMAGE, TO_NHWC, Lowering, refusal
from .dense import activation

Lower = Callable[[Lowering, Node], None]


def arithmetic(code: str, options: type[Any]) -> Lower:
    """Add, Mul, Sub, Div of two tensors, either of which may be a constant."""

    def lower(lowering: Lowering, node: Node) -> None:
        inputs = [_operand(lowering, node, position) for position in range(2)]
        lowering.emit(node, code, inputs, options(fusedActivationFunction=activation(node)))

    return lower


def unary(code: str, options: type[Any] | None = None, version: int = 0) -> Lower:
    def lower(lowering: Lowering, node: Node) -> None:
        lowering.emit(node, code, [lowering.input(node)], options() if options else None, version)

    return lower


def softmax(lowering: Lowering, node: Node) -> None:
    rank = len(lowering.shape(node))
    axis = node.attributes.get("axis", -1) % rank
    if (TO_NHWC.index(axis) if rank == IMAGE else axis) != rank - 1:
        raise refusal(
            node, f"TFLite's softmax runs over the last axis, not over {axis}", "apply softmax to the class axis"
        )
    lowering.emit(node, "SOFTMAX", [lowering.input(node)], schema.SoftmaxOptionsT(beta=1.0))


def clip(lowering: Lowering, node: Node) -> None:
    """Relu and Clip that stand alone. On integers they come after the rounding, which keeps the order."""
    wanted = lowering.graph.quantization.get(node.output)
    tensor = lowering.requantized(lowering.input(node), wanted)
    low, high = lowering.graph.limits(node)
    if wanted is None and (low, high) in FUSED:
        lowering.emit(node, FUSED[low, high], [tensor])
        return
    for code, bound, end in (("MAXIMUM", low, -128), ("MINIMUM", high, 127)):
        if np.isfinite(bound) and not (wanted and wanted.quantize(np.array(bound)) == end):
            tensor = _with(lowering, tensor, code, np.array([bound]), schema.MaximumMinimumOptionsT())
    lowering.tensors[node.output] = tensor


def hard_sigmoid(lowering: Lowering, node: Node) -> None:
    """max(0, min(1, alpha·x + beta)) as Relu6(6·alpha·x + 6·beta) / 6; TFLite has no operator for it."""
    alpha, beta = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    tensor = lowering.input(node)
    if abs(6 * alpha - 1) > 1e-6:
        tensor = _with(lowering, tensor, "MUL", np.array([6 * alpha]), schema.MulOptionsT())
    relu6 = schema.AddOptionsT(fusedActivationFunction=schema.ActivationFunctionType.RELU6)
    tensor = _with(lowering, tensor, "ADD", np.array([6 * beta]), relu6)
    lowering.tensors[node.output] = _with(lowering, tensor, "MUL", np.array([1 / 6]), schema.MulOptionsT())


def batch_norm(lowering: Lowering, node: Node) -> None:
    """x·scale + shift per channel, where the simplifier found no convolution to fold it into."""
    gamma, beta, mean, variance = (lowering.constant(node, position).real for position in range(1, 5))
    scale = gamma / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    tensor = _with(lowering, lowering.input(node), "MUL", scale, schema.MulOptionsT())
    lowering.tensors[node.output] = _with(lowering, tensor, "ADD", beta - mean * scale, schema.AddOptionsT())


def quantize(lowering: Lowering, node: Node) -> None:
    lowering.emit(node, "QUANTIZE", [lowering.input(node)], schema.QuantizeOptionsT(), version=1)


def dequantize(lowering: Lowering, node: Node) -> None:
    lowering.emit(node, "DEQUANTIZE", [lowering.input(node)], schema.DequantizeOptionsT(), version=2)


def cast(lowering: Lowering, node: Node) -> None:
    """Integers to float32: how a file takes uint8 images."""
    if node.attributes["to"] != onnx.TensorProto.FLOAT:
        raise refusal(node, "only a cast to float32 is in the set", "keep the network in float32")
    lowering.emit(node, "CAST", [lowering.input(node)], schema.CastOptionsT())


def _operand(lowering: Lowering, node: Node, position: int) -> int:
    name, rank = node.inputs[position], len(lowering.output_shape(node))
    if name not in lowering.graph.constants:
        if len(lowering.shape(node, position)) != rank and rank == IMAGE:
            raise refusal(node, f"`{name}` has fewer axes than its result", "give both tensors four axes")
        return lowering.input(node, position)
    constant = lowering.graph.constants[name]
    values, scales = constant.values, constant.quantization
    if lowering.is_integer(node) and scales is None:
        scales = quantization(abs(float(values.item())) / 127 or 1.0)
        values = scales.quantize(values)
    elif not lowering.is_integer(node):
        values, scales = constant.real, None
    values = values.reshape((1,) * (rank - values.ndim) + values.shape)
    return lowering.file.constant(name, values.transpose(TO_NHWC) if rank == IMAGE else values, scales)


def _with(lowering: Lowering, tensor: int, code: str, values: NDArray[Any], options: Any) -> int:
    """An operator on the tensor and numbers along its last axis, which gives a tensor on the same scale."""
    scale = lowering.file.quantization(tensor)
    stored = scale.quantize(values) if scale else values.astype(np.float32)
    constant = lowering.file.constant(f"{code.lower()}_by", stored, scale)
    result = lowering.file.tensor(code.lower(), lowering.file.shape(tensor), quantization=scale)
    lowering.file.operator(code, 2 if scale else 1, [tensor, constant], [result], options)
    return result
