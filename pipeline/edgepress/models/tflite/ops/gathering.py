"""Lower operators that take from, or write to, places given by indices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from ..graph import Node, narrow
from ..lowering import Lowering, refusal
from ..versions import version as version_of
from .formula import apply

Places = NDArray[Any] | int
"""Indices: known when converting, or an int32 tensor of the file."""


def gather(lowering: Lowering, node: Node) -> None:
    """Lower rows of a table by computed indices, or known slices of a computed tensor."""
    data, indices = _data(lowering, node), node.inputs[1]
    axis = node.attributes.get("axis", 0) % len(lowering.shape(node))
    if indices in lowering.graph.constants:
        known = lowering.graph.constants[indices].values
        chosen = lowering.indices(np.where(known < 0, known + lowering.shape(node)[axis], known))
    else:
        chosen = lowering.input(node, 1, last=False)
    _take(lowering, node, data, chosen, axis)


def gather_nd(lowering: Lowering, node: Node) -> None:
    """Lower slices of a tensor by places (…, k), each of which names the first k axes."""
    data, shape = _data(lowering, node), lowering.shape(node)
    batch = node.attributes.get("batch_dims", 0)
    *many, depth = lowering.shape(node, 1)
    places = _from_start(lowering, node, shape[batch : batch + depth])
    own = np.moveaxis(np.indices((*many[:batch], *[1] * (len(many) - batch)))[:batch], 0, -1)
    own = np.broadcast_to(own, (*many, batch)).astype(np.int32)
    if isinstance(places, int):
        if batch:
            options = schema.ConcatenationOptionsT(axis=len(many))
            inputs = [lowering.indices(own), places]
            places = apply(lowering, "CONCATENATION", inputs, (*many, batch + depth), options, np.int32)
    else:
        places = lowering.indices(np.concatenate([own, places], -1))
    stored_as = lowering.file.quantization(data)
    result = lowering.file.like(data, node.output, lowering.output_shape(node))
    lowering.file.operator("GATHER_ND", 1, [data, places], [result], schema.GatherNdOptionsT())
    lowering.give(node, lowering.real(result) if stored_as and not lowering.is_integer(node) else result)


def gather_elements(lowering: Lowering, node: Node) -> None:
    """Lower one number for each index, along an axis, as rows of the flattened tensor."""
    data, shape = _data(lowering, node), lowering.shape(node)
    places = _flat(lowering, node, shape)
    chosen = places if isinstance(places, int) else lowering.indices(places)
    _take(lowering, node, lowering.reshaped(data, (math.prod(shape),)), chosen, 0)


def scatter_nd(lowering: Lowering, node: Node) -> None:
    """Lower slices written at places (…, k), each of which names the first k axes."""
    shape, depth = lowering.shape(node), lowering.shape(node, 1)[-1]
    places = _from_start(lowering, node, shape[:depth])
    _write(lowering, node, places, shape[:depth], shape[depth:])


def scatter_elements(lowering: Lowering, node: Node) -> None:
    """Lower one number written for each index, along an axis, to the flattened tensor."""
    shape = lowering.shape(node)
    places = _flat(lowering, node, shape)
    count = math.prod(lowering.shape(node, 1))
    column = lowering.reshaped(places, (count, 1)) if isinstance(places, int) else places.reshape(count, 1)
    _write(lowering, node, column, (math.prod(shape),), ())


def _write(lowering: Lowering, node: Node, places: Places, outer: tuple[int, ...], inner: tuple[int, ...]) -> None:
    """Write the node's updates into its data, seen as (*outer, *inner), at places (…, axes of `outer`).

    At known places that is a choice among the rows of both. At computed ones TFLite's SCATTER_ND adds up what falls on
    zeros: one that counts the updates tells which numbers are written.
    """
    how = node.attributes.get("reduction", b"none").decode()
    if how not in ("none", "add") or (how == "add" and lowering.is_integer(node)):
        raise refusal(node, f"it joins updates by `{how}`", "use `none` or `add`, and `add` in float")
    wanted, file = lowering.graph.quantization.get(node.output), lowering.file
    data, updates = (lowering.requantized(lowering.operand(node, position), wanted) for position in (0, 2))
    rows, size = math.prod(outer), math.prod(inner)
    count = math.prod(file.shape(updates)) // size
    if how == "none" and not isinstance(places, int):
        chosen = np.arange(rows)
        chosen[np.ravel_multi_index(tuple(places.reshape(count, -1).T), outer)] = rows + np.arange(count)
        parts = [lowering.reshaped(data, (rows, size)), lowering.reshaped(updates, (count, size))]
        both = file.like(data, "both", (rows + count, size))
        options = schema.ConcatenationOptionsT(axis=0)
        file.operator("CONCATENATION", version_of("CONCATENATION", wanted), parts, [both], options)
        lowering.give(node, lowering.reshaped(lowering.taken(both, 0, chosen), lowering.output_shape(node)))
        return
    index = places if isinstance(places, int) else lowering.indices(places)
    index = lowering.reshaped(index, (count, len(outer)))
    updates = lowering.reshaped(updates, (count, *inner))
    whole, data = (*outer, *inner), lowering.reshaped(data, (*outer, *inner))

    def scattered(values: int) -> int:
        result = file.like(values, "scattered", whole)
        inputs = [index, values, lowering.indices(whole)]
        file.operator("SCATTER_ND", 1, inputs, [result], schema.ScatterNdOptionsT())
        return result

    result = file.like(data, node.output, whole)
    if how == "add":
        file.operator("ADD", 1, [data, scattered(updates)], [result], schema.AddOptionsT())
    else:
        counts = scattered(lowering.indices(np.ones((count, *inner))))
        written = apply(lowering, "GREATER", [counts, lowering.indices(0)], whole, schema.GreaterOptionsT(), np.bool_)
        inputs = [written, scattered(updates), data]
        file.operator("SELECT_V2", 1, inputs, [result], schema.SelectV2OptionsT())
    lowering.give(node, lowering.reshaped(result, lowering.output_shape(node)))


def _data(lowering: Lowering, node: Node) -> int:
    """Return the first input; a quantized table stays in integers, on the result's scale if it has one."""
    name, scale = node.inputs[0], lowering.graph.quantization.get(node.output)
    table = lowering.graph.constants.get(name)
    if table is None:
        return lowering.input(node, last=False)
    if table.packed:
        return lowering.unpacked(table)
    if scale:
        return lowering.file.constant(table.name, scale.quantize(table.real), scale)
    stored, scales = table.values, table.quantization
    if scales and scales.scale.size > 1:
        stored, scales = table.real, None
    return lowering.file.constant(table.name, stored.astype(narrow(stored.dtype)), scales)


def _take(lowering: Lowering, node: Node, data: int, chosen: int, axis: int) -> None:
    result = lowering.file.like(data, node.output, lowering.output_shape(node))
    stored_as = lowering.file.quantization(data)
    options = schema.GatherOptionsT(axis=axis)
    lowering.file.operator("GATHER", version_of("GATHER", stored_as), [data, chosen], [result], options)
    if stored_as and not lowering.is_integer(node):
        result = lowering.real(result)
    lowering.give(node, result)


def _from_start(lowering: Lowering, node: Node, sizes: tuple[int, ...]) -> Places:
    """Return the node's indices; those below 0 count from the end of axes of these sizes, one for each last index."""
    known = lowering.graph.constants.get(node.inputs[1])
    if known is not None:
        return np.where(known.values < 0, known.values + np.array(sizes), known.values)
    index = lowering.input(node, 1, last=False)
    options = schema.FloorModOptionsT()
    return apply(lowering, "FLOOR_MOD", [index, lowering.indices(sizes)], None, options, np.int32)


def _flat(lowering: Lowering, node: Node, shape: tuple[int, ...]) -> Places:
    """Return where the numbers that the indices name along the node's axis lie in the flattened tensor."""
    axis = node.attributes.get("axis", 0) % len(shape)
    strides = [math.prod(shape[place + 1 :]) for place in range(len(shape))]
    grid = np.indices(lowering.shape(node, 1))
    others = sum(grid[place] * strides[place] for place in range(len(shape)) if place != axis)
    places = _from_start(lowering, node, (shape[axis],))
    if not isinstance(places, int):
        return np.asarray(places * strides[axis] + others)
    inputs = [places, lowering.indices([strides[axis]])]
    along = apply(lowering, "MUL", inputs, None, None, np.int32)
    fixed = lowering.indices(np.broadcast_to(others, lowering.shape(node, 1)))
    return apply(lowering, "ADD", [along, fixed], None, None, np.int32)
