"""Operators with weights, and products of two computed tensors."""

from __future__ import annotations

import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from ..builder import Quantization, quantization
from ..graph import Constant, Node
from ..layout import IMAGE
from ..lowering import Lowering, refusal
from ..passes import is_dense
from .window import Window, around, image, image_shape, pad


def activation(node: Node) -> int:
    return int(getattr(schema.ActivationFunctionType, node.activation))


def conv(lowering: Lowering, node: Node) -> None:
    """Of images or signals; dense, grouped (TFLite takes the groups from the weight's shape) or depthwise."""
    weight = lowering.constant(node, 1)
    outputs, inputs, *kernel = weight.values.shape
    window = Window.of(lowering, node, kernel)
    weight = as_image(weight)
    tensor = image(lowering, lowering.input(node))
    if window.padded and not window.same:
        tensor = pad(lowering, tensor, around(window.pads))
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
    arguments = parameters(lowering, node, tensor, arrange(weight, order), lowering.optional(node, 2), outputs)
    version = 3 if lowering.is_integer(node) else version
    lowering.emit(node, code, [tensor, *arguments], options, version, image_shape(lowering, node))


def conv_transpose(lowering: Lowering, node: Node) -> None:
    """As TFLite's without pads, of which the pads are cut off; groups are one weight with zeros between them."""
    weight, groups = lowering.constant(node, 1), node.attributes.get("group", 1)
    inputs, outputs, *kernel = weight.values.shape
    tensor = image(lowering, lowering.input(node))
    row = [1] * (IMAGE - 2 - len(kernel))
    if max(node.attributes.get("dilations", [1])) > 1:
        raise refusal(node, "TFLite has no dilated transposed convolution", "use `dilation=1`")
    strides = [*row, *node.attributes.get("strides", [1] * len(kernel))]
    before = [*([0] * len(row)), *node.attributes.get("pads", [0] * len(kernel))[: len(kernel)]]
    if node.attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise refusal(node, "its pads are left to the runtime (`auto_pad`)", "write them as `pads`")
    batch, *pixels, channels = image_shape(lowering, node)
    values = np.zeros((groups * outputs, inputs, *kernel), weight.values.dtype)
    share = inputs // groups
    for group in range(groups):
        taken = slice(group * share, (group + 1) * share)
        values[group * outputs : (group + 1) * outputs, taken] = weight.values[taken].swapaxes(0, 1)
    scales = weight.quantization
    if scales and scales.scale.size > 1:
        scales = Quantization(np.tile(scales.scale, groups), np.tile(scales.zero_point, groups), 0)
    arranged = arrange(as_image(Constant(weight.name, values, scales)), (0, 2, 3, 1))
    whole = (batch, *(before[axis] + pixels[axis] for axis in range(2)), channels)
    sizes = zip(lowering.file.shape(tensor)[1:3], strides, arranged.values.shape[1:3], strict=True)
    whole = (
        batch,
        *(max(size, (n - 1) * stride + k) for size, (n, stride, k) in zip(whole[1:3], sizes, strict=True)),
        channels,
    )
    matrix, bias = parameters(lowering, node, tensor, arranged, lowering.optional(node, 2), channels)
    wanted = lowering.graph.quantization.get(node.output)
    result = lowering.file.tensor("transposed_conv", whole, quantization=wanted)
    options = schema.TransposeConvOptionsT(padding=schema.Padding.VALID, strideH=strides[0], strideW=strides[1])
    lowering.file.operator("TRANSPOSE_CONV", 3, [lowering.indices(whole), matrix, tensor, bias], [result], options)
    result = lowering.cut(result, [0, *before, 0], (batch, *pixels, channels))
    lowering.give(node, lowering.reshaped(result, lowering.file_shape(node.output)))


def gemm(lowering: Lowering, node: Node) -> None:
    """Gemm with constant weights."""
    if node.attributes.get("transA", 0) or {node.attributes.get(name, 1.0) for name in ("alpha", "beta")} != {1.0}:
        raise refusal(node, "transA, alpha and beta are not in the set", "fold them into the weights")
    _dense(lowering, node, (0, 1) if node.attributes.get("transB", 0) else (1, 0))


def matmul(lowering: Lowering, node: Node) -> None:
    """A product with a constant matrix, or of two batches of matrices, either of which may be a constant."""
    if is_dense(lowering.graph, node):
        _dense(lowering, node, (1, 0))
        return
    shapes = [lowering.shape(node, position) for position in range(2)]
    if min(map(len, shapes)) < 2:
        raise refusal(node, f"it multiplies {list(map(list, shapes))}", "give both two axes or more")
    inputs = [lowering.operand(node, position) for position in range(2)]
    if not lowering.is_integer(node):
        lowering.emit(node, "BATCH_MATMUL", inputs, schema.BatchMatMulOptionsT())
        return
    # The int8 kernels round twice, and the errors grow from one product of attention to the next.
    result = lowering.file.tensor(node.output, lowering.output_shape(node))
    inputs = [lowering.real(each) for each in inputs]
    lowering.file.operator("BATCH_MATMUL", 1, inputs, [result], schema.BatchMatMulOptionsT())
    lowering.give(node, result)


def _dense(lowering: Lowering, node: Node, order: tuple[int, int]) -> None:
    weight = arrange(lowering.constant(node, 1), order)
    name = node.inputs[0]
    if name in lowering.flattened:
        weight = as_flattened(weight, lowering.flattened[name])
    outputs, inputs = weight.values.shape
    tensor = lowering.input(node, last=False)
    rows = math.prod(lowering.file.shape(tensor)) // inputs
    tensor = lowering.reshaped(tensor, (rows, inputs))
    options = schema.FullyConnectedOptionsT(fusedActivationFunction=activation(node))
    # Version 4 has int8 per-channel weights right in both runtimes; from 11 on, tflite-runtime 2.14 refuses the file.
    version = 4 if lowering.is_integer(node) else 1
    bias = lowering.optional(node, 2)
    if bias is not None and bias.values.size not in (1, outputs):
        raise refusal(node, f"its bias has the shape {list(bias.values.shape)}", "give one number for each output")
    arguments = parameters(lowering, node, tensor, weight, bias, outputs)
    lowering.emit(node, "FULLY_CONNECTED", [tensor, *arguments], options, version, (rows, outputs))


def arrange(weight: Constant, order: tuple[int, ...]) -> Constant:
    """The weight with its axes in another order, scales along with them."""
    moved = weight.quantization
    if moved:
        moved = Quantization(moved.scale, moved.zero_point, order.index(moved.axis))
    return Constant(weight.name, np.ascontiguousarray(weight.values.transpose(order)), moved)


def as_image(weight: Constant) -> Constant:
    """The weight (O, I, H, W), or (O, I, K) as kernels of one row."""
    outputs, inputs, *kernel = weight.values.shape
    row = [1] * (IMAGE - 2 - len(kernel))
    return Constant(weight.name, weight.values.reshape(outputs, inputs, *row, *kernel), weight.quantization)


def as_flattened(weight: Constant, shape: tuple[int, ...]) -> Constant:
    """The matrix (outputs, channels · pixels) for rows that were flattened with channels last."""
    outputs = weight.values.shape[0]
    columns = np.moveaxis(weight.values.reshape(outputs, *shape[1:]), 1, -1).reshape(outputs, -1)
    return Constant(weight.name, np.ascontiguousarray(columns), weight.quantization)


def parameters(
    lowering: Lowering, node: Node, tensor: int, weight: Constant, bias: Constant | None, outputs: int
) -> list[int]:
    """The weight and bias tensors. On integers a bias counts in steps of the input's scale times the weight's."""
    file = lowering.file
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
