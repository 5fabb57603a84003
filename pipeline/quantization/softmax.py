"""Softmax between integers, in float."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

_LOWEST = "edgepress_lowest"
"""The name of the number that no probability is below, with which a maximum changes nothing."""


def in_float(model: onnx.ModelProto) -> onnx.ModelProto:
    """The QDQ graph with a maximum after each Softmax, which keeps onnxruntime from merging it into QLinearSoftmax.

    Its table of sums answers otherwise than the graph says, by a step in some hundred numbers, and takes twice as long
    as float32 where rows are long. `convert.tflite` sees through the maximum.
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
            nodes.append(helper.make_node("Max", [node.output[0], _LOWEST], [name], f"{node.name}_in_float"))
    if len(nodes) > len(model.graph.node):
        model.graph.initializer.append(numpy_helper.from_array(np.float32(np.finfo(np.float32).min), _LOWEST))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
