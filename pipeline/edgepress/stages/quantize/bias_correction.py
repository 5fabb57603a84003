"""Correct biases for the mean error of rounded weights.

arXiv:1906.04721, section 4.2."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from .layer_inputs import LayerInputs
from .qdq import Plan, Rounded


def corrected(plan: Plan, quantized: onnx.ModelProto, layers: list[LayerInputs]) -> Plan:
    """Return the plan with biases that make up for the mean error of the rounded weights.

    `quantized` is its QDQ graph, and `layers` are the statistics of its graph.
    A layer is linear: the mean error of its outputs is the product of the mean input with the weights' error.
    """
    stored = {tensor.name: tensor for tensor in quantized.graph.initializer}
    graph, known = onnx.ModelProto(), dict(plan.integers)
    graph.CopyFrom(plan.graph)
    tensors = {tensor.name: tensor for tensor in graph.graph.initializer}
    nodes = {node.name: node for node in graph.graph.node}
    for layer in layers:
        name = layer.node.input[1]
        if layer.mean is None or f"{name}_quantized" not in stored:
            continue
        integers, scale = (numpy_helper.to_array(stored[f"{name}_{word}"]) for word in ("quantized", "scale"))
        error = layer.weight - integers * (steps := _along(layer, scale))
        if scale.size > 1:  # with one scale for all channels, those that float nodes store are much nearer
            known[name] = Rounded(integers, steps)
        moved = _mean_outputs(layer, layer.mean, error.astype(np.float32))
        node = nodes[layer.node.name]
        before = numpy_helper.to_array(tensors[node.input[2]]) if len(node.input) > 2 and node.input[2] else 0
        bias = numpy_helper.from_array((before + moved).astype(np.float32), f"{node.name}_corrected")
        graph.graph.initializer.append(bias)
        del node.input[2:]
        node.input.append(bias.name)
    used = {name for node in graph.graph.node for name in node.input}
    used_tensors = [tensor for tensor in graph.graph.initializer if tensor.name in used]
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(used_tensors)
    return replace(plan, graph=graph, integers=known)


def _along(layer: LayerInputs, scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shape the scales to go with the weight's output axis."""
    if scale.size == 1:
        return scale.reshape(())
    axis = layer.weight.shape.index(scale.size) if layer.node.op_type == "Gemm" and not _transposed(layer) else 0
    axis = 1 if layer.node.op_type == "ConvTranspose" else axis
    return scale.reshape([-1 if at == axis else 1 for at in range(layer.weight.ndim)])


def _transposed(layer: LayerInputs) -> bool:
    return any(option.name == "transB" and option.i for option in layer.node.attribute)


def _mean_outputs(layer: LayerInputs, mean: NDArray[Any], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean output (channels,) of the node with this weight, without a bias."""
    if layer.node.op_type == "Gemm":
        return np.asarray(weight @ mean if _transposed(layer) else mean @ weight, np.float32)
    groups = layer.groups
    if layer.node.op_type == "Conv":  # (outputs, inputs of a group, …)
        outputs = weight.reshape(groups, -1, mean.size // groups) @ mean.reshape(groups, -1, 1)
    else:  # (inputs, outputs of a group, …)
        products = weight.reshape(groups, -1, *weight.shape[1:]) * mean.reshape(groups, -1, 1, *mean.shape[1:])
        outputs = products.sum((1, *range(3, products.ndim)))
    return np.asarray(outputs.reshape(-1), np.float32)
