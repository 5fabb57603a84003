"""Correct biases for the mean error of rounded weights.

arXiv:1906.04721, section 4.2."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ...core.presets import PRESETS
from .layer_inputs import Seen, seen
from .qdq import Plan, written
from .sqnr import Evidence, asked

_EXAMPLES = 256


def corrected(plan: Plan, evidence: Evidence) -> Plan:
    """The plan with biases that make up for the mean error of the rounded weights.

    A convolution is linear: the mean of its outputs' errors is what the error of its weights makes of the mean input.
    """
    stored = {tensor.name: tensor for tensor in written(plan, PRESETS["xnnpack"]).graph.initializer}
    graph = onnx.ModelProto()
    graph.CopyFrom(plan.graph)
    tensors = {tensor.name: tensor for tensor in graph.graph.initializer}
    nodes = {node.name: node for node in graph.graph.node}
    for each in seen(plan, evidence, _EXAMPLES):
        name = each.node.input[1]
        if each.node.op_type == "MatMul" or f"{name}_quantized" not in stored:
            continue
        integers, scale = (numpy_helper.to_array(stored[f"{name}_{word}"]) for word in ("quantized", "scale"))
        error = each.weight - integers * _along(each, scale)
        moved = _outputs(each, error.astype(np.float32))
        node = nodes[each.node.name]
        before = numpy_helper.to_array(tensors[node.input[2]]) if len(node.input) > 2 and node.input[2] else 0
        bias = numpy_helper.from_array((before + moved).astype(np.float32), f"{node.name}_corrected")
        graph.graph.initializer.append(bias)
        del node.input[2:]
        node.input.append(bias.name)
    used = {name for node in graph.graph.node for name in node.input}
    kept = [tensor for tensor in graph.graph.initializer if tensor.name in used]
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)
    return replace(plan, graph=graph)


def _along(each: Seen, scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """The scales in the shape of the weight's output axis."""
    if scale.size == 1:
        return scale.reshape(())
    axis = each.weight.shape.index(scale.size) if each.node.op_type == "Gemm" and not _transposed(each) else 0
    axis = 1 if each.node.op_type == "ConvTranspose" else axis
    return scale.reshape([-1 if at == axis else 1 for at in range(each.weight.ndim)])


def _transposed(each: Seen) -> bool:
    return any(option.name == "transB" and option.i for option in each.node.attribute)


def _outputs(each: Seen, weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of what the node with this weight, and without a bias, makes of its mean input: (channels,)."""
    node = onnx.NodeProto()
    node.CopyFrom(each.node)
    del node.input[2:]
    node.input[0], node.input[1], node.output[0] = "x", "w", "y"
    mean = each.mean.mean(0, keepdims=True).astype(np.float32)  # rows may be the steps of a sequence
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, mean.shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "one", [x], [y], [numpy_helper.from_array(weight, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    flat = asked(model, (mean,))
    channels = weight.shape[1] if each.node.op_type == "Gemm" and not _transposed(each) else weight.shape[0]
    if each.node.op_type == "ConvTranspose":  # (inputs, outputs of a group, …)
        channels = weight.shape[1] * next((option.i for option in each.node.attribute if option.name == "group"), 1)
    return np.asarray(flat.reshape(channels, -1).mean(1), np.float32)
