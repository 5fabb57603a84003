"""Lower activations that stay float, and the norm of single images."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from ..graph import Node
from ..lowering import Lowering
from .formula import apply, number, standardised


def leaky_relu(lowering: Lowering, node: Node) -> None:
    options = schema.LeakyReluOptionsT(alpha=node.attributes.get("alpha", 0.01))
    lowering.emit(node, "LEAKY_RELU", [lowering.input(node)], options, version=1)


def prelu(lowering: Lowering, node: Node) -> None:
    lowering.emit(node, "PRELU", [lowering.input(node), lowering.operand(node, 1)], version=1)


def elu(lowering: Lowering, node: Node) -> None:
    """Lower Elu; TFLite's has an alpha of 1, any other is max(x, 0) + alpha · elu(min(x, 0))."""
    source, alpha = lowering.input(node), node.attributes.get("alpha", 1.0)
    if alpha == 1:
        lowering.emit(node, "ELU", [source], version=1)
        return
    below = apply(lowering, "ELU", [apply(lowering, "MINIMUM", [source, number(lowering, 0)])])
    above = apply(lowering, "MAXIMUM", [source, number(lowering, 0)])
    lowering.give(node, apply(lowering, "ADD", [above, apply(lowering, "MUL", [below, number(lowering, alpha)])]))


def softplus(lowering: Lowering, node: Node) -> None:
    lowering.give(node, _softplus(lowering, lowering.input(node)))


def mish(lowering: Lowering, node: Node) -> None:
    source = lowering.input(node)
    gate = apply(lowering, "TANH", [_softplus(lowering, source)])
    lowering.give(node, apply(lowering, "MUL", [source, gate]))


def _softplus(lowering: Lowering, source: int) -> int:
    """Compute log(1 + eˣ) as max(x, 0) − log(sigmoid(|x|)), in which nothing overflows."""
    tail = apply(lowering, "LOG", [apply(lowering, "LOGISTIC", [apply(lowering, "ABS", [source])])])
    return apply(lowering, "SUB", [apply(lowering, "MAXIMUM", [source, number(lowering, 0)]), tail])


def reciprocal(lowering: Lowering, node: Node) -> None:
    lowering.give(node, apply(lowering, "DIV", [number(lowering, 1), lowering.input(node)]))


def instance_norm(lowering: Lowering, node: Node) -> None:
    """Lower (x − mean) / √(variance + epsilon) · scale + shift of every channel of every example."""
    rank, channel = len(lowering.shape(node)), lowering.axis(node, 1)
    axes = [lowering.axis(node, axis) for axis in range(2, rank)]
    tensor = standardised(lowering, lowering.input(node), axes, node.attributes.get("epsilon", 1e-5))
    shape = [-1 if axis == channel else 1 for axis in range(rank)]
    scale, shift = (number(lowering, lowering.constant(node, place).real.reshape(shape)) for place in (1, 2))
    lowering.give(node, apply(lowering, "ADD", [apply(lowering, "MUL", [tensor, scale]), shift]))
