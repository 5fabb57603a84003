"""Count the multiply-accumulates of an ONNX node, also behind operators of onnxruntime's own."""

from __future__ import annotations

import math
from collections.abc import Sequence

import onnx

_OWN = "com.microsoft"
_COUNTED = ("", "ai.onnx", _OWN)
"""Of com.microsoft.nchwc the weights are in blocks, filled up."""
_PLAIN = {
    "DequantizeLinear": ("DequantizeLinear", slice(3)),
    "FusedConv": ("Conv", slice(2)),
    "QGemm": ("Gemm", slice(0, 4, 3)),
    "QLinearAdd": ("Add", slice(0, 4, 3)),
    "QLinearAveragePool": ("AveragePool", slice(1)),
    "QLinearConcat": ("Concat", slice(2, None, 3)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", slice(1)),
    "QLinearLeakyRelu": ("Identity", slice(1)),
    "QLinearMul": ("Mul", slice(0, 4, 3)),
    "QLinearSigmoid": ("Identity", slice(1)),
    "QLinearSoftmax": ("Identity", slice(1)),
    "QuantizeLinear": ("QuantizeLinear", slice(3)),
}
"""onnxruntime's own operator → one of ONNX whose result has the same shape, and which of the inputs are its own."""


def multiplications(node: onnx.NodeProto, kernel: Sequence[int], result: Sequence[int] | None) -> int | None:
    """Return the multiply-accumulates of a node whose second value is a weight; None where they cannot be known.

    Each number of a result is as many as the weight has for it. An axis that is open has the size 0.
    """
    if _channels_last(node):
        return None
    if node.op_type in ("Conv", "ConvInteger", "QLinearConv", "FusedConv") and node.domain in _COUNTED:
        cells = None if result is None else result[2:]
        each = math.prod(kernel)
    elif node.op_type in ("Gemm", "MatMul", "MatMulInteger", "QGemm", "QLinearMatMul") and node.domain in _COUNTED:
        columns = any(entry.name == "transB" and entry.i for entry in node.attribute)
        cells, each = result, kernel[-1 if columns else -2] if len(kernel) > 1 else kernel[0]
    else:  # such as MatMulNBits
        foreign = node.domain not in ("", "ai.onnx") and node.op_type not in _PLAIN
        return None if foreign and len(kernel) > 1 else 0
    return None if cells is None or 0 in cells else math.prod(cells) * each


def _channels_last(node: onnx.NodeProto) -> bool:
    """Return whether it is an operator of onnxruntime's own in its other order of axes."""
    return any(entry.name == "channels_last" and entry.i for entry in node.attribute)


def inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with the shapes that follow, those behind some operators of onnxruntime's own among them."""
    odd = {
        place: node
        for place, node in enumerate(model.graph.node)
        if node.domain == _OWN and node.op_type in _PLAIN and not _channels_last(node)
    }
    if not odd:
        return onnx.shape_inference.infer_shapes(model)
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    for place, node in odd.items():
        op, inputs = _PLAIN[node.op_type]
        stand_in = plain.graph.node[place]
        stand_in.op_type, stand_in.domain = op, ""
        stand_in.input[:] = node.input[inputs]
    plain = onnx.shape_inference.infer_shapes(plain)
    for place, node in odd.items():
        plain.graph.node[place].CopyFrom(node)
    return plain
