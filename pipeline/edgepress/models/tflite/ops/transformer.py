"""Lower formulas of transformers, in float.

onnxruntime's quantizer leaves them in float too.
"""

from __future__ import annotations

import math

from ai_edge_litert import schema_py_generated as schema

from ..graph import Node
from ..lowering import Lowering
from .formula import apply, number, standardised


def layer_norm(lowering: Lowering, node: Node) -> None:
    """Lower (x − mean) / √(variance + epsilon) · scale + shift, over the axes from `axis` on."""
    rank = len(lowering.shape(node))
    axes = range(node.attributes.get("axis", -1) % rank, rank)
    tensor = standardised(lowering, lowering.input(node), axes, node.attributes.get("epsilon", 1e-5))
    tensor = apply(lowering, "MUL", [tensor, number(lowering, lowering.constant(node, 1).real)])
    shift = lowering.optional(node, 2)
    lowering.give(node, tensor if shift is None else apply(lowering, "ADD", [tensor, number(lowering, shift.real)]))


def gelu(lowering: Lowering, node: Node) -> None:
    options = schema.GeluOptionsT(approximate=node.attributes.get("approximate", b"none") == b"tanh")
    lowering.emit(node, "GELU", [lowering.input(node)], options, version=1)


def erf(lowering: Lowering, node: Node) -> None:
    """Lower erf(x) as (gelu(y) + gelu(−y)) / y with y = √2·x; TFLite has no operator for it.

    The sum is 0 where y is 0, and a y that no other number is moved by keeps the quotient 0 there too.
    """
    source = lowering.input(node)
    halves = [apply(lowering, "MUL", [source, number(lowering, sign * math.sqrt(2))]) for sign in (1, -1)]
    sum_ = apply(lowering, "ADD", [apply(lowering, "GELU", [half]) for half in halves])
    divisor = apply(lowering, "ADD", [halves[0], number(lowering, 1e-30)])
    lowering.give(node, apply(lowering, "DIV", [sum_, divisor]))
