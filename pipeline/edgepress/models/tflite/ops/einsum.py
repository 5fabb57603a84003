"""Lower einsum: sums of products of two tensors along named axes."""

from __future__ import annotations

import math

from ai_edge_litert import schema_py_generated as schema

from ..graph import Node
from ..lowering import Lowering, refusal
from .formula import apply


def einsum(lowering: Lowering, node: Node) -> None:
    """Lower as a product of batches of matrices: axes of both that stay, axes of one, and axes summed over."""
    equation = node.attributes["equation"].decode().replace(" ", "")
    terms, arrow, result = equation.partition("->")
    first, _, second = terms.partition(",")
    both = set(first) & set(second)
    if (
        not arrow
        or "," in second
        or len(node.inputs) != 2
        or not (first + second + result).isalpha()
        or any(len(set(term)) < len(term) for term in (first, second, result))
        or set(result) != (set(first) | set(second)) - (both - set(result))
    ):
        raise refusal(
            node,
            f"its equation is `{equation}`; in the set are two tensors, each axis named once, sums over axes of both",
            "spell it out with `matmul`, `transpose` and `sum`",
        )
    sizes = dict(zip(first + second, (*lowering.shape(node, 0), *lowering.shape(node, 1)), strict=True))
    batch = [axis for axis in result if axis in both]
    summed = [axis for axis in first if axis in both and axis not in result]
    rows, columns = ([axis for axis in result if axis in term and axis not in both] for term in (first, second))

    def matrices(position: int, term: str, *groups: list[str]) -> int:
        order = tuple(term.index(axis) for group in groups for axis in group)
        tensor = lowering.transposed(lowering.plain(node, position), order)
        return lowering.reshaped(tensor, tuple(size(group) for group in groups))

    def size(axes: list[str]) -> int:
        return math.prod(sizes[axis] for axis in axes)

    inputs = [matrices(0, first, batch, rows, summed), matrices(1, second, batch, summed, columns)]
    shape = (size(batch), size(rows), size(columns))
    product = apply(lowering, "BATCH_MATMUL", inputs, shape, schema.BatchMatMulOptionsT())
    order = [*batch, *rows, *columns]
    product = lowering.reshaped(product, tuple(sizes[axis] for axis in order))
    lowering.give(node, lowering.transposed(product, tuple(order.index(axis) for axis in result)))
