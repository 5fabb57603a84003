"""Lower pooling and means."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from ..builder import Quantization, quantization
from ..graph import Node
from ..layout import IMAGE, TO_LAST
from ..lowering import Lowering, refusal
from ..versions import version as version_of
from .dense import bias_type
from .formula import apply, number, reduced
from .window import Window, around, image, image_shape, pad, require_pixels

_ONE = 64
"""A one in `_average_exactly`: fixed-point kernels round twice, which shows when a sum has no bits to spare. A power
of two keeps halves exact."""
_NEGLIGIBLE = 0.02


def max_pool(lowering: Lowering, node: Node) -> None:
    window = _window(lowering, node)
    tensor = image(lowering, lowering.input(node))
    if window.padded and not window.same:
        tensor = pad(lowering, tensor, around(window.pads), -np.inf)
    _pool(lowering, node, "MAX_POOL_2D", tensor, window)


def average_pool(lowering: Lowering, node: Node) -> None:
    """Lower AveragePool. TFLite averages without pads, or inside SAME's; other means are those of the image with zeros
    around it, times window / numbers that count; on integers in float, unless all of them count."""
    window = _window(lowering, node)
    tensor = image(lowering, lowering.input(node))
    include = bool(node.attributes.get("count_include_pad", 0))
    sizes = zip(lowering.file.shape(tensor)[1:3], image_shape(lowering, node)[1:3], strict=True)
    counts = [_counted(window, axis, *size, include) for axis, size in enumerate(sizes)]
    share = math.prod(window.kernel) / np.outer(*counts)
    if window.padded and not (window.same and not include):
        uniform = bool(np.all(share == 1))
        if lowering.is_integer(node) and not uniform:
            tensor = lowering.real(tensor)
        tensor = pad(lowering, tensor, around(window.pads))
        window = replace(window, pads=[(0, 0), (0, 0)], same=False)
        if not uniform:
            mean = _pooled(lowering, node, "AVERAGE_POOL_2D", tensor, window)
            mean = apply(lowering, "MUL", [mean, number(lowering, share[None, :, :, None])])
            lowering.give(node, lowering.reshaped(mean, lowering.file_shape(node.output)))
            return
    if not lowering.is_integer(node):
        _pool(lowering, node, "AVERAGE_POOL_2D", tensor, window)
    elif window.padded:
        _pool(lowering, node, "AVERAGE_POOL_2D", lowering.real(tensor), window)
    else:
        _average_exactly(lowering, node, tensor, window)


def _counted(window: Window, axis: int, size: int, pixels: int, include: bool) -> NDArray[Any]:
    """Count the numbers of each window along an axis: those of the image, or of its written pads as well."""
    before, after = (window.pads[axis][0], window.written[axis]) if include else (0, 0)
    starts = np.arange(pixels) * window.strides[axis] - window.pads[axis][0]
    return np.minimum(starts + window.kernel[axis], size + after) - np.maximum(starts, -before)


def _average_exactly(lowering: Lowering, node: Node, tensor: int, window: Window) -> None:
    """Average integers by a depthwise convolution of ones.

    The int8 kernel of AVERAGE_POOL_2D rounds halves away from zero, and of four integers every fourth mean is a half; a
    convolution rounds as onnxruntime does, and brings the result to another scale in the same rounding. Windows that
    reach over the edge have fewer numbers and are averaged in float.
    """
    source = lowering.file.quantization(tensor)
    assert source is not None
    channels = lowering.file.shape(tensor)[-1]
    height, width = window.kernel
    scale = np.full(channels, 1 / (_ONE * height * width), np.float32)
    weights = Quantization(scale, np.zeros(channels, np.int64), axis=3)
    options = schema.DepthwiseConv2DOptionsT(
        padding=schema.Padding.VALID, strideH=window.strides[0], strideW=window.strides[1], depthMultiplier=1
    )
    arguments = [
        lowering.file.constant(f"{node.output}_ones", np.full((1, height, width, channels), _ONE, np.int8), weights),
        lowering.file.constant(
            f"{node.output}_zeros", np.zeros(channels, bias_type(source)), quantization(source.scale * weights.scale)
        ),
    ]
    lowering.emit(node, "DEPTHWISE_CONV_2D", [tensor, *arguments], options, shape=image_shape(lowering, node))


def global_average(lowering: Lowering, node: Node) -> None:
    require_pixels(lowering, node)
    _mean(lowering, node, lowering.input(node), list(range(1, len(lowering.shape(node)) - 1)), keep=True)


def global_max(lowering: Lowering, node: Node) -> None:
    require_pixels(lowering, node)
    pixels = lowering.indices(range(1, len(lowering.shape(node)) - 1))
    lowering.emit(node, "REDUCE_MAX", [lowering.input(node), pixels], schema.ReducerOptionsT(keepDims=True))


def reduce_mean(lowering: Lowering, node: Node) -> None:
    _mean(lowering, node, *_reduced(lowering, node))


def reduce_l2(lowering: Lowering, node: Node) -> None:
    """Lower √(Σ x²), in float."""
    tensor, axes, _ = _reduced(lowering, node)
    squares = apply(lowering, "MUL", [tensor, tensor])
    length = apply(lowering, "SQRT", [reduced(lowering, "SUM", squares, axes)])
    lowering.give(node, lowering.reshaped(length, lowering.file_shape(node.output)))


def reduce(code: str) -> Callable[[Lowering, Node], None]:
    """Lower sums and maxima, in float."""

    def lower(lowering: Lowering, node: Node) -> None:
        tensor, axes, keep = _reduced(lowering, node)
        options = schema.ReducerOptionsT(keepDims=keep)
        lowering.emit(node, code, [tensor, lowering.indices(axes)], options, 2 if code == "REDUCE_MAX" else 1)

    return lower


def _reduced(lowering: Lowering, node: Node) -> tuple[int, list[int], bool]:
    """Return the tensor to reduce, the axes in the file, and whether they stay.

    Axes are an input since operator set 18 (13 for ReduceSum), an attribute before.
    """
    rank = len(lowering.shape(node))
    axes_input = lowering.optional(node, 1)
    listed = axes_input.values.tolist() if axes_input else node.attributes.get("axes", range(rank))
    axes = [axis % rank for axis in listed]
    keep = bool(node.attributes.get("keepdims", 1))
    last, places = in_file(lowering, node, axes, keep)
    return lowering.input(node, last=last), places, keep


def in_file(lowering: Lowering, node: Node, axes: list[int], keep: bool) -> tuple[bool, list[int]]:
    """Return whether to reduce the node's input with channels last, and the axes then.

    A tensor with channels last is taken as it is, unless that would leave channels behind pixels in a result without
    the axes.
    """
    rank, last = len(lowering.shape(node)), node.inputs[0] in lowering.last
    if last and not keep:
        remaining = [axis for axis in TO_LAST[rank] if axis not in axes]
        last = remaining == sorted(remaining)
    return last, sorted(TO_LAST[rank].index(axis) for axis in axes) if last else sorted(axes)


def _mean(lowering: Lowering, node: Node, tensor: int, axes: list[int], keep: bool) -> None:
    """Lower a mean, on integers for images of several rows only.

    For the few numbers of a signal or text tflite-runtime 2.14 rounds a quarter of the means wrongly, most of them up.
    Those are computed in float.
    """
    shape = lowering.file.shape(tensor)
    if lowering.is_integer(node) and not (len(shape) == IMAGE and shape[1] > 1):
        small = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
        result = lowering.file.tensor("mean", small)
        options = schema.ReducerOptionsT(keepDims=True)
        lowering.file.operator("MEAN", 1, [lowering.real(tensor), lowering.indices(axes)], [result], options)
        lowering.give(node, lowering.reshaped(result, lowering.file_shape(node.output)))
        return
    if len(shape) == IMAGE and axes == [1, 2] and keep and shape[0] == 1 and _loses_zero_point(lowering, node, tensor):
        axes = [0, 1, 2]
    lowering.emit(node, "MEAN", [tensor, lowering.indices(axes)], schema.ReducerOptionsT(keepDims=keep))


def _loses_zero_point(lowering: Lowering, node: Node, tensor: int) -> bool:
    """Return whether tflite-runtime 2.14 would be off by a part of a step in every channel.

    Its kernel for the mean over height and width cuts zero_point · scale_in / scale_out to a whole number; its kernel
    for other axes, such as a batch of 1 as well, rounds once.
    """
    source, wanted = lowering.file.quantization(tensor), lowering.graph.quantization.get(node.output)
    if source is None or wanted is None:
        return False
    offset = float(source.zero_point[0] * source.scale[0] / wanted.scale[0])
    return abs(offset - int(offset)) > _NEGLIGIBLE


def _window(lowering: Lowering, node: Node) -> Window:
    if max(node.attributes.get("dilations", [1])) > 1:
        raise refusal(node, "TFLite has no dilated pooling", "pool with `dilation=1`")
    return Window.of(lowering, node, node.attributes["kernel_shape"])


def _pool(lowering: Lowering, node: Node, code: str, tensor: int, window: Window) -> None:
    result = _pooled(lowering, node, code, tensor, window)
    lowering.give(node, lowering.reshaped(result, lowering.file_shape(node.output)))


def _pooled(lowering: Lowering, node: Node, code: str, tensor: int, window: Window) -> int:
    """Return a pool on the scale of its input, which the int8 kernels keep; as `image` has it."""
    scale = lowering.file.quantization(tensor)
    result = lowering.file.like(tensor, node.output, image_shape(lowering, node))
    options = schema.Pool2DOptionsT(
        padding=window.padding,
        strideH=window.strides[0],
        strideW=window.strides[1],
        filterHeight=window.kernel[0],
        filterWidth=window.kernel[1],
    )
    lowering.file.operator(code, version_of(code, scale), [tensor], [result], options)
    return result
