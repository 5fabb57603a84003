"""Operators that move numbers and leave them as they are."""

from __future__ import annotations

import math

from ai_edge_litert import schema_py_generated as schema

from ..graph import Node
from ..lowering import IMAGE, TO_NCHW, TO_NHWC, Lowering, nhwc, refusal
from .window import pad as pad_image


def reshape(lowering: Lowering, node: Node) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze. ONNX counts the numbers in NCHW order, the file holds them in NHWC.

    A map flattened for Gemm alone stays in the file's order, and Gemm permutes its weights; any other reshape of a
    map with several channels and pixels goes through NCHW.
    """
    tensor, before, shape = lowering.input(node), lowering.shape(node), lowering.output_shape(node)
    if _orders_differ(before):
        if shape == (before[0], math.prod(before[1:])) and _is_for_gemm(lowering, node):
            lowering.flattened[node.output] = before
        else:
            tensor = lowering.transposed(tensor, TO_NCHW)
    if _orders_differ(shape):
        tensor = lowering.transposed(lowering.reshaped(tensor, shape), TO_NHWC, node.output)
    else:
        tensor = lowering.reshaped(tensor, nhwc(shape), node.output)
    lowering.give(node, tensor)


def transpose(lowering: Lowering, node: Node) -> None:
    rank = len(lowering.shape(node))
    order = node.attributes.get("perm", list(range(rank))[::-1])
    if rank == IMAGE:
        order = [TO_NHWC.index(order[axis]) for axis in TO_NHWC]
    lowering.give(node, lowering.transposed(lowering.input(node), tuple(order), node.output))


def same(lowering: Lowering, node: Node) -> None:
    """Identity and Dropout that make an output of the graph; all others are seen through."""
    lowering.give(node, lowering.input(node))


def concat(lowering: Lowering, node: Node) -> None:
    """On integers all inputs come on the result's scale first: the kernel copies bytes."""
    wanted = lowering.graph.quantization.get(node.output)
    inputs = [lowering.input(node, position) for position in range(len(node.inputs))]
    rank = len(lowering.output_shape(node))
    axis = node.attributes["axis"] % rank
    options = schema.ConcatenationOptionsT(axis=TO_NHWC.index(axis) if rank == IMAGE else axis)
    lowering.emit(node, "CONCATENATION", [lowering.requantized(each, wanted) for each in inputs], options)


def pad(lowering: Lowering, node: Node) -> None:
    amounts = lowering.integers(node, 1)
    value = lowering.optional(node, 2)
    mode = node.attributes.get("mode", b"constant").decode()
    if len(amounts) != 2 * IMAGE or any(amounts[:2] + amounts[4:6]) or len(node.inputs) > 3:
        raise refusal(
            node, "only the height and width of images are padded in the set", "pad (left, right, top, bottom)"
        )
    if min(amounts) < 0 or mode != "constant" or (value is not None and value.real.any()):
        raise refusal(node, f"its mode is `{mode}`; only zeros around are in the set", "pad with zeros")
    lowering.give(node, pad_image(lowering, lowering.input(node), [(amounts[2], amounts[6]), (amounts[3], amounts[7])]))


def _orders_differ(shape: tuple[int, ...]) -> bool:
    return len(shape) == IMAGE and shape[1] > 1 and shape[2] * shape[3] > 1


def _is_for_gemm(lowering: Lowering, node: Node) -> bool:
    users = [user for user in lowering.graph.nodes if node.output in user.inputs]
    return node.output not in lowering.graph.outputs and all(user.op in ("Gemm", "MatMul") for user in users)
