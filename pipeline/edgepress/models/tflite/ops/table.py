"""List the supported operators: adding one is a function and a row."""

from __future__ import annotations

from typing import NamedTuple

from ai_edge_litert import schema_py_generated as schema

from ..builder import Quantization, quantization
from ..layout import Layout
from .activation import elu, instance_norm, leaky_relu, mish, prelu, reciprocal, softplus
from .dense import conv, gemm, matmul, unmatched
from .einsum import einsum
from .elementwise import (
    Lower,
    arithmetic,
    batch_norm,
    cast,
    chain,
    clip,
    dequantize,
    elementwise,
    hard_sigmoid,
    power,
    quantize,
    softmax,
    unary,
)
from .gathering import gather, gather_elements, gather_nd, scatter_elements, scatter_nd
from .pool import average_pool, global_average, global_max, max_pool, reduce, reduce_l2, reduce_mean
from .recurrent import gru, lstm, rnn
from .resample import conv_transpose, depth_to_space, resize, space_to_depth
from .selection import arg, cumulative_sum, one_hot, top_k
from .shape import concat, pad, reshape, same, slice_, table, tile, transpose
from .transformer import erf, gelu, layer_norm


class Row(NamedTuple):
    """How an ONNX operator is lowered.

    `layout` is what it asks of the order of axes. `integer` tells whether DQ → operator → Q becomes one int8 operator;
    `scale` is the result's, where the kernel knows no other. Whatever does not fit is computed in float32 between
    DEQUANTIZE and QUANTIZE, exactly as QDQ means it.

    Two that TFLite has, or could have, on integers are computed in float on purpose. HARD_SWISH on int8 takes 38 times
    as long in ai-edge-litert 2.3 on x86 (0.81 against 0.02 ms for 112×112×16) and twice as long in tflite-runtime 2.14.
    HardSigmoid would be a convolution of ±127 and a shift, whose ½ falls midway between two int8 values.
    """

    lower: Lower
    layout: Layout = Layout.FOLLOW
    integer: bool = True
    scale: Quantization | None = None


PROBABILITY = quantization(1 / 256, -128)
LOGARITHM = quantization(16 / 256, 127)
CHANNELS, MOVE, PLAIN = Layout.CHANNELS, Layout.MOVE, Layout.PLAIN


OPERATORS: dict[str, Row] = {
    "Abs": Row(unary("ABS", version=1), integer=False),
    "Add": Row(arithmetic("ADD", schema.AddOptionsT)),
    "And": Row(elementwise("LOGICAL_AND", schema.LogicalAndOptionsT), integer=False),
    "ArgMax": Row(arg("ARG_MAX", schema.ArgMaxOptionsT), integer=False),
    "ArgMin": Row(arg("ARG_MIN", schema.ArgMinOptionsT), integer=False),
    "AveragePool": Row(average_pool, CHANNELS),
    "BatchNormalization": Row(batch_norm, CHANNELS, integer=False),
    "Cast": Row(cast, integer=False),
    "Ceil": Row(unary("CEIL", version=1), integer=False),
    "Clip": Row(clip),
    "Concat": Row(concat),
    "Conv": Row(conv, CHANNELS),
    "ConvTranspose": Row(conv_transpose, CHANNELS),
    "Cos": Row(unary("COS", schema.CosOptionsT, version=1), integer=False),
    "CumSum": Row(cumulative_sum, integer=False),
    "DepthToSpace": Row(depth_to_space, CHANNELS),
    "DequantizeLinear": Row(dequantize, integer=False),
    "Div": Row(arithmetic("DIV", schema.DivOptionsT), integer=False),
    "Dropout": Row(same, integer=False),
    "DynamicQuantizeLinear": Row(unmatched, integer=False),
    "Einsum": Row(einsum, PLAIN, integer=False),
    "Elu": Row(elu, integer=False),
    "Equal": Row(elementwise("EQUAL", schema.EqualOptionsT), integer=False),
    "Erf": Row(erf, integer=False),
    "Exp": Row(unary("EXP", schema.ExpOptionsT, version=1), integer=False),
    "Expand": Row(tile),
    "Flatten": Row(reshape, MOVE),
    "Floor": Row(unary("FLOOR", version=1), integer=False),
    "GRU": Row(gru, PLAIN, integer=False),
    "Gather": Row(gather, PLAIN),
    "GatherElements": Row(gather_elements, PLAIN),
    "GatherND": Row(gather_nd, PLAIN),
    "Gelu": Row(gelu, integer=False),
    "Gemm": Row(gemm, PLAIN),
    "GlobalAveragePool": Row(global_average, CHANNELS),
    "GlobalMaxPool": Row(global_max, CHANNELS, integer=False),
    "Greater": Row(elementwise("GREATER", schema.GreaterOptionsT), integer=False),
    "GreaterOrEqual": Row(elementwise("GREATER_EQUAL", schema.GreaterEqualOptionsT), integer=False),
    "HardSigmoid": Row(hard_sigmoid, integer=False),
    "HardSwish": Row(unary("HARD_SWISH", schema.HardSwishOptionsT, version=1), integer=False),
    "Identity": Row(same, integer=False),
    "InstanceNormalization": Row(instance_norm, integer=False),
    "LSTM": Row(lstm, PLAIN, integer=False),
    "LayerNormalization": Row(layer_norm, PLAIN, integer=False),
    "LeakyRelu": Row(leaky_relu, integer=False),
    "Less": Row(elementwise("LESS", schema.LessOptionsT), integer=False),
    "LessOrEqual": Row(elementwise("LESS_EQUAL", schema.LessEqualOptionsT), integer=False),
    "Log": Row(unary("LOG"), integer=False),
    "LogSoftmax": Row(softmax("LOG_SOFTMAX", schema.LogSoftmaxOptionsT), scale=LOGARITHM),
    "MatMul": Row(matmul, PLAIN),
    "MatMulInteger": Row(unmatched, integer=False),
    "Max": Row(chain("MAXIMUM"), integer=False),
    "MaxPool": Row(max_pool, CHANNELS),
    "Min": Row(chain("MINIMUM"), integer=False),
    "Mish": Row(mish, integer=False),
    "Mul": Row(arithmetic("MUL", schema.MulOptionsT)),
    "Neg": Row(unary("NEG", schema.NegOptionsT, version=1), integer=False),
    "Not": Row(unary("LOGICAL_NOT", schema.LogicalNotOptionsT, version=1), integer=False),
    "OneHot": Row(one_hot, PLAIN, integer=False),
    "Or": Row(elementwise("LOGICAL_OR", schema.LogicalOrOptionsT), integer=False),
    "PRelu": Row(prelu, integer=False),
    "Pad": Row(pad),
    "Pow": Row(power, integer=False),
    "QuantizeLinear": Row(quantize, integer=False),
    "RNN": Row(rnn, PLAIN, integer=False),
    "Reciprocal": Row(reciprocal, integer=False),
    "ReduceL2": Row(reduce_l2, integer=False),
    "ReduceMax": Row(reduce("REDUCE_MAX"), integer=False),
    "ReduceMean": Row(reduce_mean),
    "ReduceMin": Row(reduce("REDUCE_MIN"), integer=False),
    "ReduceSum": Row(reduce("SUM"), integer=False),
    "Relu": Row(clip),
    "Reshape": Row(reshape, MOVE),
    "Resize": Row(resize, CHANNELS),
    "Round": Row(unary("ROUND", version=1), integer=False),
    "ScatterElements": Row(scatter_elements, PLAIN),
    "ScatterND": Row(scatter_nd, PLAIN),
    "Sigmoid": Row(unary("LOGISTIC"), scale=PROBABILITY),
    "Sin": Row(unary("SIN", version=1), integer=False),
    "Slice": Row(slice_),
    "Softmax": Row(softmax("SOFTMAX", lambda: schema.SoftmaxOptionsT(beta=1.0)), scale=PROBABILITY),
    "Softplus": Row(softplus, integer=False),
    "SpaceToDepth": Row(space_to_depth, CHANNELS),
    "Split": Row(slice_),
    "Sqrt": Row(unary("SQRT", version=1), integer=False),
    "Squeeze": Row(reshape, MOVE),
    "Sub": Row(arithmetic("SUB", schema.SubOptionsT)),
    "Sum": Row(chain("ADD"), integer=False),
    "Table": Row(table, integer=False),
    "Tanh": Row(unary("TANH", version=1), integer=False),
    "Tile": Row(tile),
    "TopK": Row(top_k, PLAIN),
    "Transpose": Row(transpose, MOVE),
    "Unsqueeze": Row(reshape, MOVE),
    "Where": Row(elementwise("SELECT_V2", schema.SelectV2OptionsT), integer=False),
}
LAYOUTS = {name: row.layout for name, row in OPERATORS.items()}
INTEGER = {name: row.scale for name, row in OPERATORS.items() if row.integer}
