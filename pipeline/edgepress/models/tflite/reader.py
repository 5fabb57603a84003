"""Read an ONNX model into the graph that TFLite is written from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from ...core.errors import UserError
from ..onnx.standard_form import standardize
from .builder import Quantization
from .graph import Graph, Node, constant, narrow

_OPERATOR_SET = 13


def read(model: onnx.ModelProto, integer: Mapping[str, Quantization | None], dynamic: bool = False) -> Graph:
    """Return the graph of a float or QDQ model.

    `integer` names the operators that become int8 ones, with the scale that the result must have, or None for any.
    `dynamic` lets all packed weights meet activations quantized as they come.
    """
    from . import integers, passes
    from .dynamic import fuse_dynamic
    from .lookup_tables import look_up

    graph = written(model)
    passes.fold_constants(graph)
    if dynamic:
        graph.dynamic |= {entry.name for entry in graph.constants.values() if entry.packed and entry.quantization}
    fuse_dynamic(graph)
    passes.drop_unused(graph)
    passes.split_into_slices(graph)
    passes.split_clips(graph)
    passes.fuse_gelu(graph)
    look_up(graph)
    passes.fuse_activations(graph)
    integers.quantize_before_reshapes(graph)
    integers.make_integer(graph, integer)
    passes.drop_unused(graph)
    return graph


def written(model: onnx.ModelProto) -> Graph:
    """Return the graph as the model has it, with every shape that is known."""
    version = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    if version < _OPERATOR_SET:
        raise UserError(
            f"the model uses ONNX operator set {version}, and {_OPERATOR_SET} is the oldest that converts",
            "export it anew, or bring it up with `onnx.version_converter.convert_version`",
        )
    model = standardize(model)
    proto = model.graph
    shapes = _shapes(proto)
    if any(not all(shapes.get(name, (0,))) for node in proto.node for name in node.output if name):
        # Only when it is needed: it copies the whole model, and the simplifier has been through it before.
        proto = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        shapes = _shapes(proto)
    constants = {tensor.name: constant(tensor.name, tensor) for tensor in proto.initializer}
    for node in proto.node:  # ONNX knows no shapes behind com.microsoft's, which have int16 before operator set 21
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and node.input[0] in shapes:
            shapes.setdefault(node.output[0], shapes[node.input[0]])
    for node in reversed(proto.node):  # an output is rounded under another name, whose shape the quantizer leaves out
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and node.output[0] in shapes:
            shapes.setdefault(node.input[0], shapes[node.output[0]])
    types = _types(proto)
    return Graph(
        nodes=[_node(node) for node in proto.node],
        inputs={value.name: types[value.name] for value in proto.input if value.name not in constants},
        outputs=[value.name for value in proto.output],
        constants=constants,
        shapes=shapes,
        types=types,
    )


def _shapes(proto: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """Return shapes by name; a size that is not fixed is 0."""
    return {
        value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
        for value in (*proto.value_info, *proto.input, *proto.output)
        if value.type.tensor_type.HasField("shape")
    }


def _types(proto: onnx.GraphProto) -> dict[str, np.dtype[Any]]:
    return {
        value.name: narrow(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
        for value in (*proto.value_info, *proto.input, *proto.output)
        if value.type.tensor_type.elem_type
    }


def _node(proto: onnx.NodeProto) -> Node:
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in proto.attribute}
    return Node(proto.op_type, proto.name, list(proto.input), list(proto.output), attributes)
