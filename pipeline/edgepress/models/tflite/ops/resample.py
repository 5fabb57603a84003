"""Lower operators that change the number of pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from ..graph import Constant, Node
from ..layout import IMAGE
from ..lowering import Lowering, refusal
from ..versions import version as version_of
from .dense import arrange, as_image, parameters
from .formula import apply
from .window import image, image_shape, require_pixels

Matrix = NDArray[np.float32]


def resize(lowering: Lowering, node: Node) -> None:
    """Lower nearest, linear or cubic Resize as a matrix that each axis of pixels is multiplied by.

    TFLite's own operator is used where its matrices are the same ones; otherwise rows and columns are picked (nearest)
    or multiplied. Picking works on integers; what is interpolated is computed in float.
    """
    mode, shape = node.attributes.get("mode", b"nearest").decode(), lowering.shape(node)
    result = lowering.output_shape(node)
    if len(shape) not in (3, 4) or shape[:2] != result[:2]:
        raise refusal(node, f"it makes {list(result)} of {list(shape)}", "resize height and width of images only")
    if node.attributes.get("antialias", 0):
        raise refusal(node, "it smooths before it picks (`antialias`)", "resize with `antialias=False`")
    tensor = image(lowering, lowering.input(node))
    if mode != "nearest" and lowering.is_integer(node):
        tensor = lowering.real(tensor)
    before, after = lowering.file.shape(tensor), image_shape(lowering, node)
    # Rows and columns are the last two axes in ONNX; of a signal, which is one row, the first of them is its channels.
    onnx_axes = (len(shape) - 2, len(shape) - 1)
    wanted = [
        _matrix(lowering, node, mode, axis, *sizes)
        for axis, *sizes in zip(onnx_axes, before[1:3], after[1:3], strict=True)
    ]
    name = _builtin(mode, before[1:3], after[1:3], wanted)
    if name is not None:
        code, align, half = name
        kind = schema.ResizeBilinearOptionsT if "BILINEAR" in code else schema.ResizeNearestNeighborOptionsT
        resized = lowering.file.like(tensor, code.lower(), after)
        inputs, options = [tensor, lowering.indices(after[1:3])], kind(alignCorners=align, halfPixelCenters=half)
        version = 3 if half else version_of(code, lowering.file.quantization(tensor))
        lowering.file.operator(code, version, inputs, [resized], options)
        tensor = resized
    else:
        for axis, matrix in zip((1, 2), wanted, strict=True):
            if not np.array_equal(matrix, np.eye(len(matrix))):
                tensor = (_picked if mode == "nearest" else _multiplied)(lowering, tensor, axis, matrix)
    lowering.give(node, lowering.reshaped(tensor, lowering.file_shape(node.output)))


def _matrix(lowering: Lowering, node: Node, mode: str, axis: int, size: int, count: int) -> Matrix:
    """Return (count, size): the share of each pixel in each pixel of the result along an ONNX axis."""
    scale, places = _scale(lowering, node, axis, size, count), np.arange(count)
    kind = node.attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
    if kind == "asymmetric":
        at = places / scale
    elif kind == "align_corners":
        at = places * ((size - 1) / max(count - 1, 1))
    elif kind == "half_pixel" or (kind == "pytorch_half_pixel" and count > 1):
        at = (places + 0.5) / scale - 0.5
    elif kind == "pytorch_half_pixel":
        at = np.zeros(1)
    else:
        raise refusal(
            node, f"its coordinates are `{kind}`", "resize with `half_pixel`, `asymmetric` or `align_corners`"
        )
    if mode == "nearest":
        return _nearest(at, size, node.attributes.get("nearest_mode", b"round_prefer_floor").decode())
    if mode != "cubic":
        return _interpolating(at, size, None)
    inside_only = bool(node.attributes.get("exclude_outside", 0))
    return _interpolating(at, size, node.attributes.get("cubic_coeff_a", -0.75), inside_only)


def _scale(lowering: Lowering, node: Node, axis: int, size: int, count: int) -> float:
    """Return the factor that the node writes for an ONNX axis, else the quotient of the sizes.

    Since operator set 18 the factors may be those of some axes alone, in any order.
    """
    scales, rank = lowering.optional(node, 2), len(lowering.shape(node))
    if scales is None or not scales.values.size:
        return count / size
    axes = [each % rank for each in node.attributes.get("axes", range(rank))]
    return float(scales.values[axes.index(axis)]) if axis in axes else count / size


_ROUNDS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "round_prefer_floor": lambda at: np.ceil(at - 0.5),
    "round_prefer_ceil": lambda at: np.floor(at + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _nearest(at: NDArray[np.float64], size: int, mode: str) -> Matrix:
    chosen = np.clip(_ROUNDS[mode](np.round(at, 6)), 0, size - 1).astype(int)
    return np.eye(size, dtype=np.float32)[chosen]


def _interpolating(at: NDArray[np.float64], size: int, cubic: float | None, inside_only: bool = False) -> Matrix:
    """Interpolate linearly, or cubic with that coefficient.

    Pixels over the edge are those at the edge, or with `inside_only` have no share, and the others' shares grow.
    """
    matrix = np.zeros((len(at), size))
    first = np.floor(at)
    for offset in (0, 1) if cubic is None else (-1, 0, 1, 2):
        away = np.abs(at - first - offset)
        if cubic is None:
            weight = 1 - away
        else:
            near, far = ((cubic + 2) * away - (cubic + 3)) * away**2 + 1, cubic * (((away - 5) * away + 8) * away - 4)
            weight = np.where(away <= 1, near, far)
        chosen = np.clip(first + offset, 0, size - 1).astype(int)
        if inside_only:
            weight = np.where(chosen == first + offset, weight, 0)
        np.add.at(matrix, (np.arange(len(at)), chosen), weight)
    if inside_only:
        matrix /= matrix.sum(1, keepdims=True)
    return matrix.astype(np.float32)


def _builtin(
    mode: str, sizes: tuple[int, ...], counts: tuple[int, ...], wanted: list[Matrix]
) -> tuple[str, bool, bool] | None:
    """Return the operator, `align_corners` and `half_pixel_centers` that mean the same matrices."""
    for align, half in ((False, False), (False, True), (True, False)):
        theirs = []
        for size, count in zip(sizes, counts, strict=True):
            scale = (size - 1) / (count - 1) if align and count > 1 else size / count
            at = np.arange(count) * scale
            if mode == "nearest":
                at = (np.arange(count) + 0.5) * scale if half else at
                theirs.append(_nearest(at, size, "round_prefer_ceil" if align else "floor"))
            else:
                at = (np.arange(count) + 0.5) * scale - 0.5 if half else at
                theirs.append(_interpolating(at, size, None))
        if mode != "cubic" and all(np.allclose(a, b, atol=1e-6) for a, b in zip(theirs, wanted, strict=True)):
            return ("RESIZE_NEAREST_NEIGHBOR" if mode == "nearest" else "RESIZE_BILINEAR"), align, half
    return None


def _picked(lowering: Lowering, tensor: int, axis: int, matrix: Matrix) -> int:
    return lowering.taken(tensor, axis, matrix.argmax(1))


def _multiplied(lowering: Lowering, tensor: int, axis: int, matrix: Matrix) -> int:
    shape = lowering.file.shape(tensor)
    after = (*shape[:axis], len(matrix), *shape[axis + 1 :])
    flat = (int(np.prod(shape[:axis])), shape[axis], int(np.prod(shape[axis + 1 :])))
    rows = lowering.file.constant("resizing", matrix[None])
    product = apply(
        lowering, "BATCH_MATMUL", [rows, lowering.reshaped(tensor, flat)], (flat[0], len(matrix), flat[2]),
        schema.BatchMatMulOptionsT(),
    )  # fmt: skip
    return lowering.reshaped(product, after)


def depth_to_space(lowering: Lowering, node: Node) -> None:
    """Lower DepthToSpace; TFLite's orders channels by block (`DCR`), and `CRD` is brought to that order."""
    tensor, block = lowering.input(node), node.attributes["blocksize"]
    if node.attributes.get("mode", b"DCR") == b"CRD":
        channels = lowering.file.shape(tensor)[-1]
        order = np.arange(channels).reshape(-1, block, block).transpose(1, 2, 0).ravel()
        tensor = lowering.taken(tensor, 3, order)
    _blocks(lowering, node, "DEPTH_TO_SPACE", tensor, schema.DepthToSpaceOptionsT(blockSize=block))


def space_to_depth(lowering: Lowering, node: Node) -> None:
    options = schema.SpaceToDepthOptionsT(blockSize=node.attributes["blocksize"])
    _blocks(lowering, node, "SPACE_TO_DEPTH", lowering.input(node), options)


def _blocks(lowering: Lowering, node: Node, code: str, tensor: int, options: object) -> None:
    result = lowering.file.like(tensor, code.lower(), lowering.file_shape(node.output))
    lowering.file.operator(code, version_of(code, lowering.file.quantization(tensor)), [tensor], [result], options)
    lowering.give(node, result)


def conv_transpose(lowering: Lowering, node: Node) -> None:
    """Lower to TFLite's without pads, and cut the pads off."""
    require_pixels(lowering, node)
    window = lowering.constant(node, 1).values.shape[2:]
    if max(node.attributes.get("dilations", [1])) > 1:
        raise refusal(node, "TFLite has no dilated transposed convolution", "use `dilation=1`")
    row = [1] * (IMAGE - 2 - len(window))
    kernel, strides = [*row, *window], [*row, *node.attributes.get("strides", [1] * len(window))]
    tensor = image(lowering, lowering.input(node))
    wanted = image_shape(lowering, node)
    batch, *pixels, channels = wanted
    before = _cut_before(node, lowering.file.shape(tensor)[1:3], strides, kernel, pixels)
    # At least what the windows cover; `output_padding` goes beyond.
    reach = [
        max((size - 1) * stride + width, cut + count)
        for size, stride, width, cut, count in zip(
            lowering.file.shape(tensor)[1:3], strides, kernel, before, pixels, strict=True
        )
    ]
    full = (batch, *reach, channels)
    weight = arrange(as_image(_by_output(lowering.constant(node, 1), node.attributes.get("group", 1))), (0, 2, 3, 1))
    matrix, bias = parameters(lowering, node, tensor, weight, lowering.optional(node, 2), channels)
    result = lowering.file.tensor("whole", full, quantization=lowering.graph.quantization.get(node.output))
    options = schema.TransposeConvOptionsT(padding=schema.Padding.VALID, strideH=strides[0], strideW=strides[1])
    lowering.file.operator("TRANSPOSE_CONV", 3, [lowering.indices(full), matrix, tensor, bias], [result], options)
    result = lowering.cut(result, [0, *before, 0], wanted)
    lowering.give(node, lowering.reshaped(result, lowering.file_shape(node.output)))


def _cut_before(
    node: Node, sizes: Sequence[int], strides: list[int], kernel: list[int], pixels: list[int]
) -> list[int]:
    """Return the pixels to cut off before the result; where the node does not count them, its shape does.

    As in onnxruntime, an odd one is cut off before it, and behind with `SAME_UPPER`.
    """
    mode, attributes = node.attributes.get("auto_pad", b"NOTSET").decode(), node.attributes
    if mode == "VALID" or (mode == "NOTSET" and "output_shape" not in attributes):
        pads = attributes.get("pads", []) if mode == "NOTSET" else []
        counted = pads[: len(pads) // 2]
        return [0] * (2 - len(counted)) + counted
    more = attributes.get("output_padding", [])
    more = [0] * (2 - len(more)) + more
    totals = [
        max((size - 1) * stride + width + extra - count, 0)
        for size, stride, width, extra, count in zip(sizes, strides, kernel, more, pixels, strict=True)
    ]
    return [total // 2 if mode == "SAME_UPPER" else -(-total // 2) for total in totals]


def _by_output(weight: Constant, groups: int) -> Constant:
    """Return the weight (I, O / groups, …) as (O, I, …), with zeros between groups, which TFLite does not have."""
    inputs, outputs, *kernel = weight.values.shape
    values = np.zeros((groups * outputs, inputs, *kernel), weight.values.dtype)
    for group, part in enumerate(np.split(weight.values, groups)):
        columns = slice(group * len(part), (group + 1) * len(part))
        values[group * outputs : (group + 1) * outputs, columns] = part.swapaxes(0, 1)
    scales = weight.quantization
    if scales and scales.scale.size > 1:
        scale, zero_point = np.tile(scales.scale, groups), np.tile(scales.zero_point, groups)
        scales = replace(scales, scale=scale, zero_point=zero_point, axis=0)
    return replace(weight, values=values, quantization=scales)
