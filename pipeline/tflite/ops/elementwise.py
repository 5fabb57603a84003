"""Operators that work on each number by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema

from ..builder import Quantization, quantization
from ..graph import Constant, Node
from ..lowering import IMAGE, TO_NHWC, Lowering, refusal
from .dense import activation, parameters

Lower = Callable[[Lowering, Node], None]
PROBABILITY = quantization(1 / 256, -128)
"""TFLite's kernels for softmax and logistic give int8 on this scale, and no other."""


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


def sigmoid(lowering: Lowering, node: Node) -> None:
    lowering.emit_scaled(node, "LOGISTIC", [lowering.input(node)], _probability(lowering, node))


def softmax(lowering: Lowering, node: Node) -> None:
    rank = len(lowering.shape(node))
    axis = node.attributes.get("axis", -1) % rank
    if (TO_NHWC.index(axis) if rank == IMAGE else axis) != rank - 1:
        raise refusal(
            node, f"TFLite's softmax runs over the last axis, not over {axis}", "apply softmax to the class axis"
        )
    options = schema.SoftmaxOptionsT(beta=1.0)
    lowering.emit_scaled(node, "SOFTMAX", [lowering.input(node)], _probability(lowering, node), options)


def clip(lowering: Lowering, node: Node) -> None:
    """Relu and Clip that stand alone. On integers the bounds are exact: rounding keeps order, so clip after rounding."""
    tensor, wanted = lowering.input(node), lowering.graph.quantization.get(node.output)
    low, high = lowering.graph.limits(node)
    if wanted is None and (low, high) == (0, np.inf):
        lowering.emit(node, "RELU", [tensor])
    elif wanted is None and (low, high) == (0, 6):
        lowering.emit(node, "RELU6", [tensor])
    else:
        tensor = lowering.requantized(tensor, wanted)
        for code, bound in (("MAXIMUM", low), ("MINIMUM", high)):
            tensor = _bounded(lowering, node, tensor, code, bound, wanted)
        lowering.tensors[node.output] = tensor


def hard_sigmoid(lowering: Lowering, node: Node) -> None:
    """max(0, min(1, alpha·x + beta)); TFLite has no operator for it."""
    alpha, beta = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    tensor, wanted = lowering.input(node), lowering.graph.quantization.get(node.output)
    if wanted is not None:
        channels = lowering.file.shape(tensor)[-1]
        tensor = _scaled(lowering, node, np.full(channels, alpha), np.full(channels, beta), wanted)
        tensor = _bounded(lowering, node, tensor, "MAXIMUM", 0.0, wanted)
        lowering.tensors[node.output] = _bounded(lowering, node, tensor, "MINIMUM", 1.0, wanted)
        return
    if abs(6 * alpha - 1) > 1e-6:
        tensor = _with_number(lowering, node, "MUL", tensor, 6 * alpha)
    tensor = _with_number(lowering, node, "ADD", tensor, 6 * beta, schema.ActivationFunctionType.RELU6)
    lowering.tensors[node.output] = _with_number(lowering, node, "MUL", tensor, 1 / 6)


def batch_norm(lowering: Lowering, node: Node) -> None:
    """x·scale + shift per channel, where the simplifier found no convolution to fold it into."""
    gamma, beta, mean, variance = (lowering.constant(node, position).real for position in range(1, 5))
    scale = gamma / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    shift = beta - mean * scale
    wanted = lowering.graph.quantization.get(node.output)
    if wanted is not None:
        lowering.tensors[node.output] = _scaled(lowering, node, scale, shift, wanted)
        return
    tensor = lowering.input(node)
    scaled = lowering.file.tensor(f"{node.output}_scaled", lowering.file.shape(tensor))
    factor = lowering.file.constant(f"{node.output}_scale", scale.astype(np.float32))
    lowering.file.operator("MUL", 1, [tensor, factor], [scaled], schema.MulOptionsT())
    offset = lowering.file.constant(f"{node.output}_shift", shift.astype(np.float32))
    lowering.emit(node, "ADD", [scaled, offset], schema.AddOptionsT())


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


def _probability(lowering: Lowering, node: Node) -> Quantization | None:
    return PROBABILITY if lowering.is_integer(node) else None


def _bounded(lowering: Lowering, node: Node, tensor: int, code: str, bound: float, wanted: Quantization | None) -> int:
    """MAXIMUM or MINIMUM with a number, unless the type cannot pass it anyway."""
    values = np.array([bound], np.float32)
    if wanted is not None:
        values = wanted.quantize(values)
    if np.isinf(bound) or wanted is not None and values[0] == (-128 if code == "MAXIMUM" else 127):
        return tensor
    result = lowering.file.tensor(node.output, lowering.file.shape(tensor), quantization=wanted)
    limit = lowering.file.constant("bound", values, wanted)
    lowering.file.operator(code, lowering.version(node), [tensor, limit], [result], schema.MaximumMinimumOptionsT())
    return result


def _with_number(lowering: Lowering, node: Node, code: str, tensor: int, number: float, fused: int = 0) -> int:
    result = lowering.file.tensor(node.output, lowering.file.shape(tensor))
    options = {"ADD": schema.AddOptionsT, "MUL": schema.MulOptionsT}[code](fusedActivationFunction=fused)
    factor = lowering.file.constant("number", np.array([number], np.float32))
    lowering.file.operator(code, 1, [tensor, factor], [result], options)
    return result


def _scaled(lowering: Lowering, node: Node, scale: np.ndarray, shift: np.ndarray, wanted: Quantization) -> int:
    """scale·x + shift per channel on int8, as a depthwise 1×1 convolution.

    Its weights are all ±127, so that scale is exact, and shift is rounded in steps far finer than the result's: the
    one rounding is onnxruntime's. Two 8-bit operators (MUL, ADD) would round twice.
    """
    tensor = lowering.input(node)
    channels, shape = len(scale), lowering.file.shape(tensor)
    weights = quantization(np.where(scale == 0, 1, np.abs(scale)) / 127)
    values = np.rint(scale / weights.scale).astype(np.int8).reshape(1, 1, 1, channels)
    weight = Constant(f"{node.output}_scale", values, Quantization(weights.scale, weights.zero_point, 3))
    bias = Constant(f"{node.output}_shift", shift)
    image = lowering.reshaped(tensor, shape if len(shape) == IMAGE else (shape[0], 1, 1, channels))
    arguments = parameters(lowering, node, image, weight, bias)
    result = lowering.file.tensor(node.output, lowering.file.shape(image), quantization=wanted)
    options = schema.DepthwiseConv2DOptionsT(padding=schema.Padding.VALID, strideW=1, strideH=1, depthMultiplier=1)
    lowering.file.operator("DEPTHWISE_CONV_2D", 3, [image, *arguments], [result], options)
    return lowering.reshaped(result, shape)
