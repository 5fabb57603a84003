"""Formulas of transformers that a TFLite file spells out; in float, as onnxruntime's quantizer leaves them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ..graph import Node
from ..lowering import Lowering


def layer_norm(lowering: Lowering, node: Node) -> None:
    """(x − mean) / √(variance + epsilon) · scale + shift, over the axes from `axis` on."""
    tensor, shape = lowering.input(node), lowering.shape(node)
    first = node.attributes.get("axis", -1) % len(shape)
    axes, one = lowering.indices(range(first, len(shape))), (*shape[:first], *[1] * (len(shape) - first))
    mean, epsilon = schema.ReducerOptionsT(keepDims=True), node.attributes.get("epsilon", 1e-5)

    centred = _made(lowering, "SUB", [tensor, _made(lowering, "MEAN", [tensor, axes], one, mean)], shape)
    squares = _made(lowering, "MUL", [centred, centred], shape)
    variance = _made(lowering, "MEAN", [squares, axes], one, mean)
    deviation = _made(lowering, "SQRT", [_made(lowering, "ADD", [variance, _number(lowering, epsilon)], one)], one)
    tensor = _made(lowering, "DIV", [centred, deviation], shape)
    tensor = _made(lowering, "MUL", [tensor, _number(lowering, lowering.constant(node, 1).real)], shape)
    shift = lowering.optional(node, 2)
    lowering.give(
        node, tensor if shift is None else _made(lowering, "ADD", [tensor, _number(lowering, shift.real)], shape)
    )


def gelu(lowering: Lowering, node: Node) -> None:
    options = schema.GeluOptionsT(approximate=node.attributes.get("approximate", b"none") == b"tanh")
    lowering.emit(node, "GELU", [lowering.input(node)], options, version=1)


def erf(lowering: Lowering, node: Node) -> None:
    """(gelu(y) + gelu(−y)) / y with y = √2·x, which is erf(x); TFLite has no operator for it.

    The sum is 0 where y is 0, and a y that no other number is moved by keeps the quotient 0 there too.
    """
    source = lowering.input(node)
    shape = lowering.file.shape(source)
    halves = []
    for sign in (1, -1):
        halves.append(_made(lowering, "MUL", [source, _number(lowering, sign * math.sqrt(2))], shape))
    sum_ = _made(lowering, "ADD", [_made(lowering, "GELU", [each], shape) for each in halves], shape)
    divisor = _made(lowering, "ADD", [halves[0], _number(lowering, 1e-30)], shape)
    lowering.give(node, _made(lowering, "DIV", [sum_, divisor], shape))


_OPTIONS = {
    "ADD": schema.AddOptionsT,
    "DIV": schema.DivOptionsT,
    "GELU": schema.GeluOptionsT,
    "MUL": schema.MulOptionsT,
    "SUB": schema.SubOptionsT,
}


def _made(lowering: Lowering, code: str, inputs: list[int], shape: tuple[int, ...], options: Any = None) -> int:
    result = lowering.file.tensor(code.lower(), shape)
    lowering.file.operator(code, 1, inputs, [result], options or _OPTIONS.get(code, lambda: None)())
    return result


def _number(lowering: Lowering, value: Any) -> int:
    return lowering.file.constant("number", np.asarray(value, np.float32))
