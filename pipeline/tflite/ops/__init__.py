"""The operators in the set: adding one is a function and a row."""

from __future__ import annotations

from typing import NamedTuple

from ai_edge_litert import schema_py_generated as schema

from .dense import conv, gemm
from .elementwise import (
    Lower,
    arithmetic,
    batch_norm,
    cast,
    clip,
    dequantize,
    hard_sigmoid,
    quantize,
    sigmoid,
    softmax,
    unary,
)
from .pool import average_pool, global_average, max_pool, reduce_mean
from .shape import concat, pad, reshape, transpose


class Row(NamedTuple):
    """How an ONNX operator is lowered; `integer` tells whether DQ → operator → Q may become one int8 operator."""

    lower: Lower
    integer: bool = True


OPERATORS: dict[str, Row] = {
    "Add": Row(arithmetic("ADD", schema.AddOptionsT)),
    "AveragePool": Row(average_pool),
    "BatchNormalization": Row(batch_norm),
    "Cast": Row(cast, integer=False),
    "Clip": Row(clip),
    "Concat": Row(concat),
    "Conv": Row(conv),
    "DequantizeLinear": Row(dequantize, integer=False),
    "Div": Row(arithmetic("DIV", schema.DivOptionsT), integer=False),
    "Flatten": Row(reshape),
    "Gemm": Row(gemm),
    "GlobalAveragePool": Row(global_average),
    "HardSigmoid": Row(hard_sigmoid),
    "HardSwish": Row(unary("HARD_SWISH", schema.HardSwishOptionsT, version=1)),
    "Log": Row(unary("LOG"), integer=False),
    "MatMul": Row(gemm),
    "MaxPool": Row(max_pool),
    "Mul": Row(arithmetic("MUL", schema.MulOptionsT)),
    "Pad": Row(pad),
    "QuantizeLinear": Row(quantize, integer=False),
    "ReduceMean": Row(reduce_mean),
    "Relu": Row(clip),
    "Reshape": Row(reshape),
    "Sigmoid": Row(sigmoid),
    "Softmax": Row(softmax),
    "Squeeze": Row(reshape),
    "Sub": Row(arithmetic("SUB", schema.SubOptionsT)),
    "Transpose": Row(transpose),
    "Unsqueeze": Row(reshape),
}
