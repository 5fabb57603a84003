"""Operators with weights: convolutions and matrix products."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from ..builder import Quantization, quantization
from ..graph import Constant, Node
from ..lowering import Lowering, refusal
from .window import Window, pad


def activation(node: Node) -> int:
    return int(getattr(schema.ActivationFunctionType, node.activation))


def conv(lowering: Lowering, node: Node) -> None:
    """Dense, grouped (TFLite takes the groups from the weight's shape) or depthwise convolution."""
    weight = lowering.constant(node, 1)
    outputs, inputs, *kernel = weight.values.shape
    window = Window.of(lowering, node, kernel)
    tensor = lowering.input(node)
    if window.padded and not window.same:
        tensor = pad(lowering, tensor, window.pads)
    common = {
        "padding": window.padding,
        "strideH": window.strides[0],
        "strideW": window.strides[1],
        "dilationHFactor": window.dilations[0],
        "dilationWFactor": window.dilations[1],
        "fusedActivationFunction": activation(node),
    }
    groups = node.attributes.get("group", 1)
    if groups > 1 and inputs == 1:
        code, order, version = "DEPTHWISE_CONV_2D", (1, 2, 3, 0), 1 + (max(window.dilations) > 1)
        options = schema.DepthwiseConv2DOptionsT(depthMultiplier=outputs // groups, **common)
    else:
        code, order, version = "CONV_2D", (0, 2, 3, 1), 1
        options = schema.Conv2DOptionsT(**common)
    arguments = parameters(lowering, node, tensor, arrange(weight, order), lowering.optional(node, 2))
    lowering.emit(node, code, [tensor, *arguments], options, 3 if lowering.is_integer(node) else version)


def gemm(lowering: Lowering, node: Node) -> None:
    """Gemm with constant weights, and MatMul, which is Gemm with all its defaults."""
    weight, bias = lowering.constant(node, 1), lowering.optional(node, 2)
    shapes = [list(lowering.shape(node)), list(weight.values.shape)]
    if [len(shape) for shape in shapes] != [2, 2]:
        raise refusal(
            node, f"it multiplies {shapes[0]} by {shapes[1]}, not two matrices", "flatten the input to (1, K)"
        )
    if node.attributes.get("transA", 0) or {node.attributes.get(name, 1.0) for name in ("alpha", "beta")} != {1.0}:
        raise refusal(node, "transA, alpha and beta are not in the set", "fold them into the weights")
    weight = arrange(weight, (0, 1) if node.attributes.get("transB", 0) else (1, 0))
    name = node.inputs[0]
    if name in lowering.flattened:
        weight = as_flattened(weight, lowering.flattened[name])
    tensor = lowering.tensors[name]
    options = schema.FullyConnectedOptionsT(fusedActivationFunction=activation(node))
    # Version 4 has int8 per-channel weights right in both runtimes; from 11 on, tflite-runtime 2.14 refuses the file.
    version = 4 if lowering.is_integer(node) else 1
    arguments = parameters(lowering, node, tensor, weight, bias)
    lowering.emit(node, "FULLY_CONNECTED", [tensor, *arguments], options, version)


def arrange(weight: Constant, order: tuple[int, ...]) -> Constant:
    """The weight with its axes in another order, scales along with them."""
    moved = weight.quantization
    if moved:
        moved = Quantization(moved.scale, moved.zero_point, order.index(moved.axis))
    return Constant(weight.name, np.ascontiguousarray(weight.values.transpose(order)), moved)


def as_flattened(weight: Constant, shape: tuple[int, ...]) -> Constant:
    """The matrix (outputs, C·H·W) for rows that were flattened from (H, W, C)."""
    outputs = weight.values.shape[0]
    columns = weight.values.reshape(outputs, *shape[1:]).transpose(0, 2, 3, 1).reshape(outputs, -1)
    return Constant(weight.name, columns, weight.quantization)


def parameters(lowering: Lowering, node: Node, tensor: int, weight: Constant, bias: Constant | None) -> list[int]:
    """The weight and bias tensors. On integers a bias counts in steps of the input's scale times the weight's."""
    file = lowering.file
    outputs = lowering.output_shape(node)[1]
    name = bias.name if bias else f"{weight.name}_bias"
    if not lowering.is_integer(node):
        values = np.resize(bias.real, outputs) if bias else np.zeros(outputs)
        return [file.constant(weight.name, weight.real), file.constant(name, values.astype(np.float32))]
    source, scales = file.quantization(tensor), weight.quantization
    if scales is None or scales.zero_point.any():
        raise refusal(node, "its weights are not symmetric int8", "quantize with `WeightSymmetric` and int8 weights")
    assert source is not None
    steps = quantization(source.scale * scales.scale)
    return [
        file.constant(weight.name, weight.values, scales),
        file.constant(name, _bias_steps(bias, steps, outputs), steps),
    ]


def _bias_steps(bias: Constant | None, steps: Quantization, outputs: int) -> NDArray[np.int32]:
    if bias is None:
        return np.zeros(outputs, np.int32)
    if bias.quantization and np.allclose(bias.quantization.scale, steps.scale, rtol=1e-5, atol=0):
        return bias.values.astype(np.int32).reshape(-1)
    limits = np.iinfo(np.int32)
    exact = np.rint(np.resize(bias.real, outputs).astype(np.float64) / steps.scale)
    clipped: NDArray[np.int32] = np.clip(exact, limits.min, limits.max).astype(np.int32)
    return clipped
