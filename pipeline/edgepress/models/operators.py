"""Count the operators of a model file, and those that compute in float."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import onnx

from .onnx.packed_weights import stored

CONVERSIONS = ("QuantizeLinear", "DequantizeLinear", "QUANTIZE", "DEQUANTIZE")
INTEGER = ("QLinear", "QGemm", "MatMulInteger", "ConvInteger", "DynamicQuantize")
"""How ONNX operators begin that have integers inside."""


class Operators(NamedTuple):
    """By name, how many there are, those of them that compute in float, and pairs of conversions that are left."""

    every: dict[str, int]
    real: dict[str, int]


def operators(path: Path) -> Operators:
    """Count operators of an `.onnx` or `.tflite` file; integers of bookkeeping, such as shapes, do not count."""
    return _onnx(path) if path.suffix == ".onnx" else _tflite(path)


def _onnx(path: Path) -> Operators:
    """Count by QDQ form: an operator computes in integers where all its values come from a DequantizeLinear and go to a
    QuantizeLinear."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    kinds = {name: node.op_type for node in graph.node for name in node.output}
    users: dict[str, list[str]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node.op_type)
    floats = {
        v.name for v in [*graph.value_info, *graph.output] if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    every: Counter[str] = Counter()
    real: Counter[str] = Counter()
    unpacked = stored(graph)
    for node in graph.node:
        if node.op_type in CONVERSIONS or node.output[0] in unpacked:
            continue
        every[node.op_type] += 1
        values = [name for name in node.input if name in kinds]
        inside = all(kinds[name] == "DequantizeLinear" for name in values) and all(
            user == "QuantizeLinear" for name in node.output for user in users.get(name, ["out"])
        )
        if node.output[0] in floats and not inside and not node.op_type.startswith(INTEGER):
            real[node.op_type] += 1
    return Operators(dict(every), dict(real))


def _tflite(path: Path) -> Operators:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    tensors = {tensor["index"]: tensor["dtype"].__name__ for tensor in interpreter.get_tensor_details()}
    ops = [op for op in interpreter._get_ops_details() if op["op_name"] not in CONVERSIONS]
    real = Counter(op["op_name"] for op in ops if tensors.get(op["outputs"][0]) == "float32")
    return Operators(dict(Counter(op["op_name"] for op in ops)), dict(real))
