"""The operators in the set: adding one is a function and a row."""

from __future__ import annotations

from typing import NamedTuple

from ai_edge_litert import schema_py_generated as schema

from ..builder import Quantization, quantization
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
    softmax,
    unary,
)
from .pool import average_pool, global_average, max_pool, reduce_mean
from .shape import concat, pad, reshape, same, transpose


class Row(NamedTuple):
    """How an ONNX operator is lowered.

    `integer` tells whether DQ → operator → Q becomes one int8 operator; `scale` is the result's, where the kernel knows
    no other. Whatever does not fit is computed in float32 between DEQUANTIZE and QUANTIZE, exactly as QDQ means it.

    Two that TFLite has, or could have, on integers are computed in float on purpose. HARD_SWISH on int8 takes 38 times
    as long in ai-edge-litert 2.3 on x86 (0.81 against 0.02 ms for 112×112×16) and twice as long in tflite-runtime 2.14.
    HardSigmoid would be a convolution of ±127 and a shift, whose ½ falls midway between two int8 values.
    """

    lower: Lower
    integer: bool = True
    scale: Quantization | None = None


PROBABILITY = quantization(1 / 256, -128)


OPERATORS: dict[str, Row] = {
    "Add": Row(arithmetic("ADD", schema.AddOptionsT)),
    "AveragePool": Row(average_pool),
    "BatchNormalization": Row(batch_norm, integer=False),
    "Cast": Row(cast, integer=False),
    "Clip": Row(clip),
    "Concat": Row(concat),
    "Conv": Row(conv),
    "DequantizeLinear": Row(dequantize, integer=False),
    "Div": Row(arithmetic("DIV", schema.DivOptionsT), integer=False),
    "Dropout": Row(same, integer=False),
    "Flatten": Row(reshape),
    "Gemm": Row(gemm),
    "GlobalAveragePool": Row(global_average),
    "HardSigmoid": Row(hard_sigmoid, integer=False),
    "HardSwish": Row(unary("HARD_SWISH", schema.HardSwishOptionsT, version=1), integer=False),
    "Identity": Row(same, integer=False),
    "Log": Row(unary("LOG"), integer=False),
    "MatMul": Row(gemm),
    "MaxPool": Row(max_pool),
    "Mul": Row(arithmetic("MUL", schema.MulOptionsT)),
    "Pad": Row(pad),
    "QuantizeLinear": Row(quantize, integer=False),
    "ReduceMean": Row(reduce_mean),
    "Relu": Row(clip),
    "Reshape": Row(reshape),
    "Sigmoid": Row(unary("LOGISTIC"), scale=PROBABILITY),
    "Softmax": Row(softmax, scale=PROBABILITY),
    "Squeeze": Row(reshape),
    "Sub": Row(arithmetic("SUB", schema.SubOptionsT)),
    "Transpose": Row(transpose),
    "Unsqueeze": Row(reshape),
}
