"""Rewrite int8 activations as uint8: the same numbers, 128 apart."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

WEIGHTED = ("Conv", "Gemm", "MatMul", "ConvTranspose")


def signed(model: onnx.ModelProto) -> bool:
    """Return whether a graph has activations of int8."""
    zeros = {node.input[2] for node in model.graph.node if node.op_type == "QuantizeLinear" and len(node.input) == 3}
    return any(tensor.name in zeros and tensor.data_type == onnx.TensorProto.INT8 for tensor in model.graph.initializer)


def is_signed_only(graph: onnx.GraphProto) -> bool:
    """Return whether all activations are of int8, so that the graph has an unsigned twin."""
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    conversions = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    allowed = {
        "QuantizeLinear": (onnx.TensorProto.INT8,),
        "DequantizeLinear": (onnx.TensorProto.INT8, onnx.TensorProto.INT32),
    }
    return all(len(node.input) == 3 and types.get(node.input[2]) in allowed[node.op_type] for node in conversions)


def unsigned(signed: onnx.ModelProto) -> onnx.ModelProto:
    """Return the same quantized graph with uint8 activations: zero points, and constants, plus 128.

    x86's 8-bit dot products multiply unsigned by signed, so weights stay signed.
    """
    model = onnx.ModelProto()
    model.CopyFrom(signed)
    graph = model.graph
    tensors = {t.name: t for t in graph.initializer}
    readers: dict[str, list[tuple[onnx.NodeProto, int]]] = {}
    for node in graph.node:
        for position, name in enumerate(node.input):
            readers.setdefault(name, []).append((node, position))

    def is_weight(dequantize: onnx.NodeProto) -> bool:
        return dequantize.input[0] in tensors and any(
            reader.op_type in WEIGHTED and position > 0 for reader, position in readers.get(dequantize.output[0], [])
        )

    shifted: dict[str, str] = {}

    def shift(name: str) -> str:
        """Return the name of the unsigned twin of an int8 initializer."""
        if name not in shifted:
            values = numpy_helper.to_array(tensors[name]).astype(np.int16) + 128
            twin = numpy_helper.from_array(values.astype(np.uint8), f"{name}_u8")
            graph.initializer.append(twin)
            shifted[name] = twin.name
        return shifted[name]

    for node in graph.node:
        if node.op_type == "DequantizeLinear" and is_weight(node):
            continue
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            if node.op_type == "DequantizeLinear" and node.input[0] in tensors:
                if tensors[node.input[0]].data_type != onnx.TensorProto.INT8:
                    continue  # a bias of int32, of an operator that is none of the weighted
                node.input[0] = shift(node.input[0])
            node.input[2] = shift(node.input[2])
    used = {name for node in graph.node for name in node.input}
    used_tensors = [t for t in graph.initializer if t.name in used]
    del graph.initializer[:]
    graph.initializer.extend(used_tensors)
    quantized_names = {node.output[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    for value in graph.value_info:
        if value.name in quantized_names:
            value.type.tensor_type.elem_type = onnx.TensorProto.UINT8
    return model
