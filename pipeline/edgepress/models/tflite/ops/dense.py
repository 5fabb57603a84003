"""Lower operators with weights, and products of two computed tensors."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from ..builder import INT16, Quantization, quantization
from ..graph import Constant, Node
from ..layout import IMAGE
from ..lowering import Lowering, refusal
from ..passes import is_dense
from .window import Window, around, image, image_shape, pad

_HIGHEST_WIDE_BIAS = 2**39 - 1
"""Accelerators add in 40 bits."""
_MOST_STEPS = 255
"""Steps of the result in one of the sum: XNNPACK takes less than 256."""
_FAR = 2**22
"""Steps of the result: far beyond its 256, and within int32 if another factor is 256."""


def activation(node: Node) -> int:
    return int(getattr(schema.ActivationFunctionType, node.activation))


def conv(lowering: Lowering, node: Node) -> None:
    """Lower convolutions of images or signals; dense, grouped (TFLite reads groups off the weight) or depthwise."""
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
        if groups == 1 and weight.name in lowering.graph.dynamic:
            version = 5  # int8 weights, a scale for each channel; there are no fast kernels of the other kinds
    hybrid = version == 5
    arguments = parameters(lowering, node, tensor, arrange(weight, order), lowering.optional(node, 2), outputs, hybrid)
    version = 0 if lowering.is_integer(node) else version
    lowering.emit(node, code, [tensor, *arguments], options, version, image_shape(lowering, node))


def gemm(lowering: Lowering, node: Node) -> None:
    """Lower Gemm with constant weights; the reader has put its other forms into this one."""
    _dense(lowering, node, (0, 1) if node.attributes.get("transB", 0) else (1, 0))


def matmul(lowering: Lowering, node: Node) -> None:
    """Lower a product with a constant matrix, or of two batches of matrices, either of which may be constant."""
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
    inputs = [lowering.real(tensor) for tensor in inputs]
    lowering.file.operator("BATCH_MATMUL", 1, inputs, [result], schema.BatchMatMulOptionsT())
    lowering.give(node, result)


def unmatched(lowering: Lowering, node: Node) -> None:
    """Refuse parts of a dynamically quantized product that `fuse_dynamic` has not fused."""
    raise refusal(
        node, "it is not part of a product as onnxruntime's quantizer writes it", "quantize with `quantize.dynamic`"
    )


def _dense(lowering: Lowering, node: Node, order: tuple[int, int]) -> None:
    weight = arrange(lowering.constant(node, 1), order)
    if weight.quantization and weight.quantization.scale.size == 1:
        weight = replace(weight, quantization=replace(weight.quantization, axis=0))  # one scale runs along no axis
    name = node.inputs[0]
    if name in lowering.flattened:
        weight = as_flattened(weight, lowering.flattened[name])
    outputs, inputs = weight.values.shape
    tensor = lowering.input(node, last=False)
    rows = math.prod(lowering.file.shape(tensor)) // inputs
    tensor = lowering.reshaped(tensor, (rows, inputs))
    options = schema.FullyConnectedOptionsT(fusedActivationFunction=activation(node))
    bias = lowering.optional(node, 2)
    if bias is not None and bias.values.size not in (1, outputs):
        raise refusal(node, f"its bias has the shape {list(bias.values.shape)}", "give one number for each output")
    if weight.name in lowering.graph.dynamic and not lowering.is_integer(node):
        _hybrid(lowering, node, tensor, weight, bias, (rows, outputs))
        return
    arguments = parameters(lowering, node, tensor, weight, bias, outputs)
    lowering.emit(node, "FULLY_CONNECTED", [tensor, *arguments], options, shape=(rows, outputs))


def _hybrid(
    lowering: Lowering, node: Node, tensor: int, weight: Constant, bias: Constant | None, shape: tuple[int, int]
) -> None:
    """Lower a product with int8 weights and activations quantized row by row.

    With a scale for each channel it is version 12, which tflite-runtime 2.14 does not have: it loads such a file as an
    older version and answers nonsense. So the operator has one scale, and a MUL brings every channel to its own.
    """
    file, scales = lowering.file, weight.quantization
    assert scales is not None
    shared = quantization(scales.scale.max())
    options = schema.FullyConnectedOptionsT(asymmetricQuantizeInputs=True)
    product = file.tensor("product", shape)
    none = file.constant(f"{weight.name}_none", np.zeros(shape[1], np.float32))
    stored = file.constant(weight.name, weight.values, shared)
    file.operator("FULLY_CONNECTED", 9, [tensor, stored, none], [product], options)
    ratio = file.constant(f"{weight.name}_ratio", np.resize(scales.scale / shared.scale, shape[1]).astype(np.float32))
    fused = activation(node)
    if bias is None:
        lowering.emit(node, "MUL", [product, ratio], schema.MulOptionsT(fusedActivationFunction=fused), shape=shape)
        return
    scaled = file.tensor("scaled", shape)
    file.operator("MUL", 1, [product, ratio], [scaled], schema.MulOptionsT())
    added = file.constant(bias.name, np.resize(bias.real, shape[1]).astype(np.float32))
    lowering.emit(node, "ADD", [scaled, added], schema.AddOptionsT(fusedActivationFunction=fused), shape=shape)


def arrange(weight: Constant, order: tuple[int, ...]) -> Constant:
    """Return the weight with its axes in another order, scales along with them."""
    moved = weight.quantization
    if moved:
        moved = replace(moved, axis=order.index(moved.axis))
    return replace(weight, values=np.ascontiguousarray(weight.values.transpose(order)), quantization=moved)


def as_image(weight: Constant) -> Constant:
    """Return the weight (O, I, H, W), or (O, I, K) as kernels of one row."""
    outputs, inputs, *kernel = weight.values.shape
    row = [1] * (IMAGE - 2 - len(kernel))
    return replace(weight, values=weight.values.reshape(outputs, inputs, *row, *kernel))


def as_flattened(weight: Constant, shape: tuple[int, ...]) -> Constant:
    """Return the matrix (outputs, channels · pixels) for rows that were flattened with channels last."""
    outputs = weight.values.shape[0]
    columns = np.moveaxis(weight.values.reshape(outputs, *shape[1:]), 1, -1).reshape(outputs, -1)
    return replace(weight, values=np.ascontiguousarray(columns))


def parameters(
    lowering: Lowering,
    node: Node,
    tensor: int,
    weight: Constant,
    bias: Constant | None,
    outputs: int,
    hybrid: bool = False,
) -> list[int]:
    """Return weight and bias tensors. On integers a bias counts in steps of the input's scale times the weight's.

    A `hybrid` operator takes a packed weight as it is.
    """
    file = lowering.file
    name = bias.name if bias else f"{weight.name}_bias"
    if not lowering.is_integer(node):
        values = np.resize(bias.real, outputs) if bias else np.zeros(outputs)
        stored = file.constant(weight.name, weight.values, weight.quantization) if hybrid else lowering.unpacked(weight)
        # XNNPACK fails to load a hybrid convolution whose bias is unpacked.
        if bias and bias.packed and bias.values.size == outputs and not hybrid:
            return [stored, lowering.unpacked(replace(bias, values=bias.values.reshape(-1)))]
        return [stored, file.constant(name, values.astype(np.float32))]
    source, scales = file.quantization(tensor), weight.quantization
    if scales is None or scales.zero_point.any():
        raise refusal(node, "its weights are not symmetric int8", "quantize with `WeightSymmetric` and int8 weights")
    assert source is not None
    kind, result = bias_type(source), lowering.graph.quantization[node.output]
    steps = quantization(source.scale * scales.scale)
    sums = _bias_steps(bias, steps, outputs, kind)
    if kind == np.int32:
        sums = _without_overflow(sums, weight, np.resize(steps.scale / result.scale, outputs).clip(max=_MOST_STEPS))
        # XNNPACK loads no file beyond that. Any sum but 0 is then at an end of the results, whatever the scale.
        most = np.float32(_MOST_STEPS * result.scale / source.scale)
        scales = quantization(np.minimum(scales.scale, most), axis=scales.axis)
        steps = quantization(source.scale * scales.scale)
    return [file.constant(weight.name, weight.values, scales), file.constant(name, sums, steps)]


def _without_overflow(bias: NDArray[Any], weight: Constant, ratio: NDArray[np.float32]) -> NDArray[Any]:
    """Cut a bias that alone is far beyond all results, before kernels add to it and multiply it by `ratio` as int32."""
    assert weight.quantization is not None
    axes = tuple(axis for axis in range(weight.values.ndim) if axis != weight.quantization.axis)
    sums = 255.0 * np.abs(weight.values.astype(np.float64)).sum(axes)
    far = np.maximum(_FAR / ratio.astype(np.float64), 2 * sums)
    most = np.minimum(far, np.maximum(np.iinfo(np.int32).max - sums, 0))
    cut: NDArray[Any] = np.clip(bias, -most, most).astype(np.int32)
    return cut


def bias_type(source: Quantization) -> np.dtype[Any]:
    """Return the type of the integers that sums of products of this input and int8 weights start from."""
    return np.dtype(np.int64) if source.type == INT16 else np.dtype(np.int32)


def _bias_steps(bias: Constant | None, steps: Quantization, outputs: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    if bias is None:
        return np.zeros(outputs, dtype)
    if bias.quantization and np.allclose(bias.quantization.scale, steps.scale, rtol=1e-5, atol=0):
        return bias.values.astype(dtype).reshape(-1)
    highest = np.iinfo(np.int32).max if dtype == np.int32 else _HIGHEST_WIDE_BIAS
    exact = np.rint(np.resize(bias.real, outputs).astype(np.float64) / steps.scale)
    clipped: NDArray[Any] = np.clip(exact, -highest, highest).astype(dtype)
    return clipped
