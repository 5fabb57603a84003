"""Lower operators without a TFLite counterpart as formulas, in float."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ..lowering import Lowering

_OPTIONS = {
    "ABS": schema.AbsOptionsT,
    "ADD": schema.AddOptionsT,
    "DIV": schema.DivOptionsT,
    "EXP": schema.ExpOptionsT,
    "GELU": schema.GeluOptionsT,
    "MAXIMUM": schema.MaximumMinimumOptionsT,
    "MINIMUM": schema.MaximumMinimumOptionsT,
    "MUL": schema.MulOptionsT,
    "NEG": schema.NegOptionsT,
    "SUB": schema.SubOptionsT,
}


def apply(
    lowering: Lowering,
    code: str,
    inputs: list[int],
    shape: tuple[int, ...] | None = None,
    options: Any = None,
    dtype: Any = np.float32,
) -> int:
    """Return an operator's result, in float unless `dtype` is set, of its inputs' broadcast shape unless `shape` is."""
    if shape is None:
        shape = np.broadcast_shapes(*(lowering.file.shape(operand) for operand in inputs))
    result = lowering.file.tensor(code.lower(), shape, dtype)
    lowering.file.operator(code, 1, inputs, [result], options or _OPTIONS.get(code, lambda: None)())
    return result


def number(lowering: Lowering, value: Any) -> int:
    return lowering.file.constant("number", np.asarray(value, np.float32))


def reduced(lowering: Lowering, code: str, tensor: int, axes: Iterable[int]) -> int:
    """Return a mean or sum over axes that stay, of size 1."""
    axes = set(axes)
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(lowering.file.shape(tensor)))
    options = schema.ReducerOptionsT(keepDims=True)
    return apply(lowering, code, [tensor, lowering.indices(sorted(axes))], shape, options)


def standardised(lowering: Lowering, tensor: int, axes: Iterable[int], epsilon: float) -> int:
    """Return (x − mean) / √(variance + epsilon) over the axes."""
    axes = list(axes)
    centred = apply(lowering, "SUB", [tensor, reduced(lowering, "MEAN", tensor, axes)])
    variance = reduced(lowering, "MEAN", apply(lowering, "MUL", [centred, centred]), axes)
    deviation = apply(lowering, "SQRT", [apply(lowering, "ADD", [variance, number(lowering, epsilon)])])
    return apply(lowering, "DIV", [centred, deviation])
