"""Lower operators that find places: the largest numbers, one-hot rows and running sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ..graph import Node, narrow
from ..lowering import Lowering, refusal
from ..versions import version as version_of
from .elementwise import Lower
from .formula import apply
from .pool import in_file


def arg(code: str, options: type[Any]) -> Lower:
    """Lower ArgMax or ArgMin; of quantized numbers it takes the integers, whose order is the same."""

    def lower(lowering: Lowering, node: Node) -> None:
        rank = len(lowering.shape(node))
        keep = bool(node.attributes.get("keepdims", 1))
        last, (axis,) = in_file(lowering, node, [node.attributes.get("axis", 0) % rank], keep)
        tensor = lowering.ordered(lowering.integers_behind(node.inputs[0]), last)
        shape = lowering.file.shape(tensor)
        backwards = bool(node.attributes.get("select_last_index", 0))
        if backwards:
            tensor = lowering.taken(tensor, axis, np.arange(shape[axis])[::-1])
        place = lowering.file.tensor("place", (*shape[:axis], *shape[axis + 1 :]), np.int32)
        version = version_of(code, lowering.file.quantization(tensor))
        kind = options(outputType=schema.TensorType.INT32)
        lowering.file.operator(code, version, [tensor, lowering.indices([axis])], [place], kind)
        if backwards:
            place = apply(lowering, "SUB", [lowering.indices([shape[axis] - 1]), place], None, None, np.int32)
        lowering.give(node, lowering.reshaped(place, lowering.file_shape(node.output)))

    return lower


def top_k(lowering: Lowering, node: Node) -> None:
    """Lower TopK along any axis; the smallest are the largest of the negative, in float."""
    rank = len(lowering.shape(node))
    axis, largest = node.attributes.get("axis", -1) % rank, node.attributes.get("largest", 1)
    (count,) = lowering.integers(node, 1)
    order = (*(place for place in range(rank) if place != axis), axis)
    back = tuple(int(place) for place in np.argsort(order))
    source = lowering.transposed(lowering.ordered(lowering.integers_behind(node.inputs[0]), last=False), order)

    def negative(tensor: int) -> int:
        result = lowering.file.like(tensor, "negative")
        lowering.file.operator("NEG", 1, [tensor], [result], schema.NegOptionsT())
        return result

    if not largest:
        source = negative(lowering.real(source) if lowering.file.quantization(source) else source)
    shape = (*lowering.file.shape(source)[:-1], count)
    values, places = lowering.file.like(source, "values", shape), lowering.file.tensor("places", shape, np.int32)
    stored_as = lowering.file.quantization(source)
    inputs = [source, lowering.indices(count)]
    version = version_of("TOPK_V2", stored_as)
    lowering.file.operator("TOPK_V2", version, inputs, [values, places], schema.TopKV2OptionsT())
    if not largest:
        values = negative(values)
    elif stored_as and not lowering.is_integer(node):
        values = lowering.real(values)
    lowering.give(node, lowering.transposed(values, back))
    lowering.tensors[node.outputs[1]] = lowering.transposed(places, back)


def cumulative_sum(lowering: Lowering, node: Node) -> None:
    (axis,) = lowering.integers(node, 1)
    options = schema.CumsumOptionsT(
        exclusive=bool(node.attributes.get("exclusive", 0)), reverse=bool(node.attributes.get("reverse", 0))
    )
    inputs = [lowering.input(node), lowering.indices(lowering.axis(node, axis))]
    lowering.emit(node, "CUMSUM", inputs, options, version=1)


def one_hot(lowering: Lowering, node: Node) -> None:
    """Lower OneHot; indices below 0 count from the end, and those beyond either end give a row of `off`."""
    (depth,) = lowering.integers(node, 1)
    ends = lowering.constant(node, 2).values
    if ends.size != 2:
        raise refusal(node, f"its `values` are {ends.size} numbers", "give two: off and on")
    off, on = ends.astype(narrow(ends.dtype))
    place = lowering.input(node, last=False)
    if lowering.graph.type(node.inputs[0]) != np.int32:
        place = apply(lowering, "CAST", [place], None, schema.CastOptionsT(), np.int32)
    shifted = apply(lowering, "ADD", [place, lowering.indices([depth])], None, None, np.int32)
    below = apply(lowering, "LESS", [place, lowering.indices([0])], None, schema.LessOptionsT(), np.bool_)
    place = apply(lowering, "SELECT_V2", [below, shifted, place], None, schema.SelectV2OptionsT(), np.int32)
    axis = node.attributes.get("axis", -1)
    inputs = [place, lowering.indices(depth), *(lowering.file.constant("end", end) for end in (on, off))]
    lowering.emit(node, "ONE_HOT", inputs, schema.OneHotOptionsT(axis=axis), version=1)
