"""Quantize the biases of transposed convolutions of several groups.

The scales of such a weight run along axis 1, the outputs of one group, and every group has the same ones. onnxruntime's
quantizer takes them for those of all outputs, and fails at the bias.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper


def without_biases(graph: onnx.GraphProto) -> dict[str, str]:
    """Take the biases off transposed convolutions of several groups: node name → bias."""
    biases = {}
    for node in graph.node:
        groups = next((entry.i for entry in node.attribute if entry.name == "group"), 1)
        if node.op_type == "ConvTranspose" and groups > 1 and len(node.input) > 2 and node.input[2]:
            biases[node.name] = node.input[2]
            del node.input[2:]
    return biases


def with_biases(model: onnx.ModelProto, biases: dict[str, str], floats: onnx.GraphProto, quantize: bool) -> None:
    """Put them back, in steps of the input's scale times the weight's where the node computes in integers."""
    if not biases:
        return
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    real = {tensor.name: tensor for tensor in floats.initializer}
    makers = {node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}
    dequantized: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.name not in biases:
            continue
        name = biases[node.name]
        scales = [numpy_helper.to_array(tensors[makers[each].input[1]]) for each in node.input if each in makers]
        if quantize and name in real and len(scales) == 2:
            values = numpy_helper.to_array(real[name])
            steps = np.resize(np.prod(np.broadcast_arrays(*scales), axis=0), values.shape).astype(np.float32)
            most = np.iinfo(np.int32).max
            integers = np.clip(np.rint(values.astype(np.float64) / steps), -most, most).astype(np.int32)
            stored = {"bias_quantized": integers, "bias_scale": steps, "bias_zero_point": np.zeros_like(integers)}
            arrays = {f"{node.name}_{word}": array for word, array in stored.items()}
            model.graph.initializer.extend(numpy_helper.from_array(array, key) for key, array in arrays.items())
            name = f"{node.name}_bias"
            dequantized.append(helper.make_node("DequantizeLinear", list(arrays), [name], f"{name}_dequantize", axis=0))
        elif name in real and name not in tensors:
            model.graph.initializer.add().CopyFrom(real[name])
            tensors[name] = real[name]
        node.input.append(name)
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*dequantized, *rest])
