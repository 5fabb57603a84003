"""Softmax between integers, in float."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

LOWEST = "edgepress_lowest"
"""The name of the number that no probability is below, with which a maximum changes nothing."""


def in_float(model: onnx.ModelProto) -> onnx.ModelProto:
    """The QDQ graph with a maximum after each Softmax, which keeps onnxruntime from merging it into QLinearSoftmax.

    That one answers otherwise than the graph says and than TFLite now and then, by a step, and is the slower one where
    rows are long. `convert.tflite` and `quantize.aware` see through the maximum.
    """
    readers: dict[str, set[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    nodes = []
    for node in model.graph.node:
        nodes.append(node)
        if node.op_type == "Softmax" and readers.get(node.output[0]) == {"QuantizeLinear"}:
            name = node.output[0]
            node.output[0] = f"{name}_in_float"
            nodes.append(helper.make_node("Max", [node.output[0], LOWEST], [name], f"{node.name}_in_float"))
    if len(nodes) > len(model.graph.node):
        model.graph.initializer.append(numpy_helper.from_array(np.float32(np.finfo(np.float32).min), LOWEST))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
