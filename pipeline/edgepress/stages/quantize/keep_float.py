"""Keep operators in float that onnxruntime would compute in integers."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

LOWEST = "edgepress_lowest"
"""The name of the number that no result is below, with which a maximum changes nothing."""
_REQUANTIZED = ("Conv", "ConvTranspose", "Gemm")
"""onnxruntime rounds their float weights to integers of its own when it loads the file (its WeightBiasQuantization)."""
_BOUNDED = ("Relu", "Clip")
"""It looks through these to the QuantizeLinear."""


def in_float(model: onnx.ModelProto) -> onnx.ModelProto:
    """Put a maximum that changes nothing before the QuantizeLinear of operators that stay float.

    A Softmax becomes QLinearSoftmax without it, which differs from the graph and from TFLite by a step now and then,
    and is slower where rows are long. A convolution or matrix product that was left in float
    for its accuracy becomes an integer one again, or unpacks rounded weights at every inference.
    `convert.tflite` and `quantize.aware` see through the maximum.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)

    def last(node: onnx.NodeProto) -> onnx.NodeProto | None:
        """Return the operator before the QuantizeLinear, of those that stay float."""
        if node.op_type in _REQUANTIZED:
            (source, weight), made_by = (makers.get(name) for name in node.input[:2]), "DequantizeLinear"
            if source is None or source.op_type != made_by or (weight is not None and weight.op_type == made_by):
                return None
            following = readers.get(node.output[0], [])
            if len(following) == 1 and following[0].op_type in _BOUNDED:
                node = following[0]
        elif node.op_type != "Softmax":
            return None
        following = readers.get(node.output[0], [])
        return node if following and all(reader.op_type == "QuantizeLinear" for reader in following) else None

    ends = {end.output[0] for node in model.graph.node if (end := last(node))}
    nodes = []
    for node in model.graph.node:
        nodes.append(node)
        name = node.output[0]
        if name in ends:
            node.output[0] = f"{name}_in_float"
            nodes.append(helper.make_node("Max", [node.output[0], LOWEST], [name], f"{node.name}_in_float"))
    if ends:
        model.graph.initializer.append(numpy_helper.from_array(np.float32(np.finfo(np.float32).min), LOWEST))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
