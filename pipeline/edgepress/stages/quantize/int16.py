"""Quantize activations to int16, around a zero point of 0."""

from __future__ import annotations

from collections import Counter

import onnx

from ...models.onnx.uint8 import WEIGHTED


def joined(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the rounding between a weighted operator, or a sum, and the Relu or Clip that alone reads it.

    onnxruntime's quantizer leaves it out itself where a zero point can stand for the bound.
    """
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    readers = Counter(name for node in graph.node for name in node.input)
    dropped = []
    for node in graph.node:
        back = makers.get(node.input[0]) if node.op_type in ("Relu", "Clip") else None
        rounding = makers.get(back.input[0]) if back and back.op_type == "DequantizeLinear" else None
        maker = makers.get(rounding.input[0]) if rounding and rounding.op_type == "QuantizeLinear" else None
        if not (back and rounding and maker and maker.op_type in (*WEIGHTED, "Add")):
            continue
        if {readers[name] for name in (rounding.input[0], rounding.output[0], back.output[0])} == {1}:
            node.input[0] = rounding.input[0]
            dropped += [rounding, back]
    for node in dropped:
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    used_tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(used_tensors)
    return model
