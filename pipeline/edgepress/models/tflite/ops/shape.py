"""Lower operators that move numbers without changing them."""

from __future__ import annotations

import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ..graph import Node
from ..layout import TO_FIRST, TO_LAST
from ..lowering import Lowering, refusal
from ..versions import version as version_of
from .window import pad as pad_tensor


def reshape(lowering: Lowering, node: Node) -> None:
    """Lower Reshape, Flatten, Squeeze, Unsqueeze. ONNX counts with channels first, the file may hold them last.

    A map flattened for Gemm alone stays in the file's order, and Gemm permutes its weights; any other reshape of a
    map with several channels and pixels, which does not keep the channels, goes through ONNX's order.
    """
    name = node.inputs[0]
    last = name in lowering.last
    tensor, before, shape = lowering.input(node, last=last), lowering.shape(node), lowering.output_shape(node)
    if last and not lowering.is_last(node) and _orders_differ(before):
        if shape == (before[0], math.prod(before[1:])) and _is_for_gemm(lowering, node):
            lowering.flattened[node.output] = before
        else:
            tensor = lowering.transposed(tensor, TO_FIRST[len(before)])
    lowering.give(node, lowering.reshaped(tensor, lowering.file_shape(node.output), node.output))


def transpose(lowering: Lowering, node: Node) -> None:
    rank, last = len(lowering.shape(node)), node.inputs[0] in lowering.last
    order = node.attributes.get("perm", list(range(rank))[::-1])
    if last:
        order = [TO_LAST[rank].index(axis) for axis in order]
    lowering.give(node, lowering.transposed(lowering.input(node, last=last), tuple(order), node.output))


def same(lowering: Lowering, node: Node) -> None:
    """Lower Identity and Dropout that make an output of the graph; all others are seen through."""
    lowering.give(node, lowering.input(node))


def concat(lowering: Lowering, node: Node) -> None:
    """Lower Concat. On integers all inputs come on the result's scale first: the kernel copies bytes."""
    wanted = lowering.graph.quantization.get(node.output)
    inputs = [lowering.requantized(lowering.operand(node, position), wanted) for position in range(len(node.inputs))]
    options = schema.ConcatenationOptionsT(axis=lowering.axis(node, node.attributes["axis"]))
    lowering.emit(node, "CONCATENATION", inputs, options)


def pad(lowering: Lowering, node: Node) -> None:
    """Lower Pad with a number around, or (reflect, edge, wrap) with slices of the tensor itself."""
    mode = node.attributes.get("mode", b"constant").decode()
    rank, last = len(lowering.shape(node)), lowering.is_last(node)
    widths, value = lowering.integers(node, 1), lowering.optional(node, 2)
    named = lowering.integers(node, 3) if len(node.inputs) > 3 and node.inputs[3] else list(range(rank))
    if min(widths) < 0:
        raise refusal(node, "it cuts off", "cut with a slice")
    pads = [(0, 0)] * rank
    for place, axis in enumerate(named):
        pads[axis % rank] = widths[place], widths[len(named) + place]
    pads = [pads[axis] for axis in TO_LAST[rank]] if last else pads
    tensor, wanted = lowering.input(node), lowering.graph.quantization.get(node.output)
    if mode != "constant":
        for axis, amounts in enumerate(pads):
            if any(amounts):
                chosen = np.pad(np.arange(lowering.file.shape(tensor)[axis]), amounts, mode)
                tensor = lowering.taken(tensor, axis, chosen)
    elif value is not None and value.real.any():
        tensor = pad_tensor(lowering, lowering.requantized(tensor, wanted), pads, value.real)
    else:
        tensor = pad_tensor(lowering, tensor, pads)
    lowering.give(node, tensor)


def tile(lowering: Lowering, node: Node) -> None:
    """Lower Expand and Tile: repeat along axes until the result has its shape."""
    tensor, shape = lowering.operand(node, 0), lowering.file_shape(node.output)
    before = lowering.file.shape(tensor)
    tensor = lowering.reshaped(tensor, (1,) * (len(shape) - len(before)) + before)
    times = [after // size for after, size in zip(shape, lowering.file.shape(tensor), strict=True)]
    if any(time > 1 for time in times):
        result = lowering.file.like(tensor, node.output, shape)
        lowering.file.operator("TILE", 1, [tensor, lowering.indices(times)], [result], schema.TileOptionsT())
        tensor = result
    lowering.give(node, tensor)


def slice_(lowering: Lowering, node: Node) -> None:
    """Lower Slice; an axis that runs backwards is taken pixel by pixel, which integers can be as well."""
    starts, ends = lowering.integers(node, 1), lowering.integers(node, 2)
    named = lowering.integers(node, 3) if len(node.inputs) > 3 and node.inputs[3] else list(range(len(starts)))
    steps = lowering.integers(node, 4) if len(node.inputs) > 4 and node.inputs[4] else [1] * len(starts)
    axes = [lowering.axis(node, axis) for axis in named]
    sizes = lowering.file_shape(node.inputs[0])
    places = {
        axis: slice(start, end, step).indices(sizes[axis])
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True)
    }
    source = tensor = lowering.input(node)
    for axis, (start, end, step) in places.items():
        if step < 0:
            source = lowering.taken(source, axis, np.arange(start, end, step))
    whole = [(0, size, 1) for size in lowering.file.shape(source)]
    bounds = [places[axis] if axis in places and places[axis][2] > 0 else along for axis, along in enumerate(whole)]
    if bounds == whole and source != tensor:
        lowering.give(node, source)
        return
    result = lowering.file.like(source, node.output, lowering.file_shape(node.output))
    arguments = [source, *(lowering.indices(values) for values in zip(*bounds, strict=True))]
    version = version_of("STRIDED_SLICE", lowering.file.quantization(source))
    lowering.file.operator("STRIDED_SLICE", version, arguments, [result], schema.StridedSliceOptionsT())
    lowering.give(node, result)


def table(lowering: Lowering, node: Node) -> None:
    """Replace each int8 number by that of a table of 256."""
    source = lowering.input(node)
    shape = lowering.file.shape(source)
    wide, place = (lowering.file.tensor(name, shape, np.int32) for name in ("wide", "place"))
    lowering.file.operator("CAST", 1, [source], [wide], schema.CastOptionsT())
    lowering.file.operator("ADD", 1, [wide, lowering.indices([128])], [place], schema.AddOptionsT())
    scale = lowering.graph.quantization[node.output]
    stored = lowering.file.constant(f"{node.output}_table", node.attributes["values"], scale)
    lowering.emit(node, "GATHER", [stored, place], schema.GatherOptionsT(axis=0))


def _orders_differ(shape: tuple[int, ...]) -> bool:
    return shape[1] > 1 and math.prod(shape[2:]) > 1


def _is_for_gemm(lowering: Lowering, node: Node) -> bool:
    users = [user for user in lowering.graph.nodes if node.output in user.inputs]
    weighted = ("Gemm", "MatMul")
    return node.output not in lowering.graph.outputs and all(
        user.op in weighted and node.output == user.inputs[0] and user.inputs[1] in lowering.graph.constants
        for user in users
    )
