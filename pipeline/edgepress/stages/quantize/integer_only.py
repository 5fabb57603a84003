"""Make a graph integer-only, for devices without floats."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto, numpy_helper

from ...core.errors import UserError
from ...models.metadata import embed, read_onnx

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


def to_integers(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the QDQ graph with int8 inputs and outputs; the metadata have the scale and zero point of each.

    Raises: UserError for an input that is not quantized first, and an output that is not dequantized last.
    """
    integer_model = onnx.ModelProto()
    integer_model.CopyFrom(model)
    graph, contract = integer_model.graph, read_onnx(integer_model)
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for value, entry in zip(graph.input, contract["inputs"], strict=True):
        readers = [node for node in graph.node if value.name in node.input]
        first = readers[0] if len(readers) == 1 else None
        if first is None or first.op_type != "QuantizeLinear":
            raise UserError(
                f"the input `{value.name}` is not quantized first, so it cannot be of integers",
                "leave the preset `integer-only` out, or export without `dtype: uint8`; what reads it may be in float, "
                "for a mask or a logarithm",
            )
        _typed(value)
        for node in graph.node:
            node.input[:] = [value.name if name == first.output[0] else name for name in node.input]
        graph.node.remove(first)
        entry |= {"dtype": "int8", "quantization": _scale(first, tensors)}
    for output, entry in zip(graph.output, contract["outputs"], strict=True):
        if output.type.tensor_type.elem_type not in _FLOATS:  # such as classes of an ArgMax: integers already
            continue
        last = next((node for node in graph.node if output.name in node.output), None)
        if last is None or last.op_type != "DequantizeLinear":
            made, help = (
                (f"made in float by {last.op_type}", "export without `embed: [softmax]`, or leave")
                if last
                else ("an input or a constant as it is", "choose others, `load` with `output: NAME`, or leave")
            )
            raise UserError(
                f"the output `{output.name}` is {made}, so it cannot be of integers",
                f"{help} the preset `integer-only` out",
            )
        real, integer = f"{output.name}_real", last.input[0]
        for node in graph.node:
            node.input[:] = [real if name == output.name else name for name in node.input]
        if any(real in node.input for node in graph.node):  # an output that other operators read as well
            last.output[0] = real
        else:
            graph.node.remove(last)
        for node in graph.node:
            node.output[:] = [output.name if name == integer else name for name in node.output]
            node.input[:] = [output.name if name == integer else name for name in node.input]
        _typed(output)
        entry |= {"dtype": "int8", "quantization": _scale(last, tensors)}
    embed(integer_model, contract)
    return integer_model


def _typed(value: onnx.ValueInfoProto) -> None:
    value.type.tensor_type.elem_type = TensorProto.INT8


def _scale(node: onnx.NodeProto, tensors: dict[str, onnx.TensorProto]) -> dict[str, Any]:
    scale, zero = (numpy_helper.to_array(tensors[name]) for name in node.input[1:3])
    return {"scale": float(scale), "zero_point": int(zero)}
