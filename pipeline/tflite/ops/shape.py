"""Operators that move numbers and leave them as they are."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ..graph import Node
from ..lowering import IMAGE, TO_NCHW, TO_NHWC, Lowering, refusal
from .window import pad as pad_image


def reshape(lowering: Lowering, node: Node) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze. ONNX counts the numbers in NCHW order, the file holds them in NHWC.

    A map flattened for Gemm alone stays in the file's order, and Gemm permutes its weights; any other reshape of a
    map larger than 1×1 goes through NCHW.
    """
    tensor, shape = lowering.input(node), lowering.output_shape(node)
    before = lowering.shape(node)
    if len(before) == IMAGE and not (
        shape == before[:1] + (int(np.prod(before[1:])),) and _is_for_gemm(lowering, node)
    ):
        tensor = lowering.transposed(tensor, TO_NCHW)
    elif len(before) == IMAGE:
        lowering.flattened[node.output] = before
    tensor = lowering.reshaped(tensor, shape, node.output)
    _give(lowering, node, lowering.transposed(tensor, TO_NHWC, node.output) if len(shape) == IMAGE else tensor)


def transpose(lowering: Lowering, node: Node) -> None:
    rank = len(lowering.shape(node))
    order = node.attributes.get("perm", list(range(rank))[::-1])
    if rank == IMAGE:
        order = [TO_NHWC.index(order[axis]) for axis in TO_NHWC]
    _give(lowering, node, lowering.transposed(lowering.input(node), tuple(order), node.output))


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
    if min(amounts) < 0 or mode != "constant" or value is not None and value.real.any():
        raise refusal(node, f"its mode is `{mode}`; only zeros around are in the set", "pad with zeros")
    _give(
        lowering, node, pad_image(lowering, lowering.input(node), [(amounts[2], amounts[6]), (amounts[3], amounts[7])])
    )


def _is_for_gemm(lowering: Lowering, node: Node) -> bool:
    users = [user for user in lowering.graph.nodes if node.output in user.inputs]
    return node.output not in lowering.graph.outputs and all(user.op in ("Gemm", "MatMul") for user in users)


def _give(lowering: Lowering, node: Node, tensor: int) -> None:
    """The result has its input's scale, and comes on the node's own."""
    lowering.tensors[node.output] = lowering.requantized(tensor, lowering.graph.quantization.get(node.output))
