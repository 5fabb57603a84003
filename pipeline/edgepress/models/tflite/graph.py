"""Read an ONNX graph for lowering.

Constants are read, activations fused, and DQ → operator → Q becomes one integer operator.

After `read`, an integer operator's tensors are the int8 ones, with their parameters in `Graph.quantization`; the
QuantizeLinear and DequantizeLinear nodes that are left stand where float and integer really meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from ...core.errors import UserError
from .builder import INT8, INT16, Quantization, quantization

_OPERATOR_SET = 13
FLOAT = np.dtype(np.float32)


@dataclass(frozen=True)
class Constant:
    """A tensor known when converting: its numbers, and how they are quantized if they are integers.

    `packed` is a weight in fewer bits (int8 or float16) of an operator that computes in float, see `weights`; the file
    keeps it so.
    """

    name: str
    values: NDArray[Any]
    quantization: Quantization | None = None
    packed: bool = False

    @property
    def real(self) -> NDArray[Any]:
        if self.quantization:
            return self.quantization.dequantize(self.values)
        return self.values.astype(FLOAT) if self.values.dtype.kind == "f" else self.values


@dataclass
class Node:
    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]
    activation: str = "NONE"

    @property
    def output(self) -> str:
        return self.outputs[0]

    def __str__(self) -> str:
        return f"node `{self.name or self.output}` ({self.op})"


@dataclass
class Graph:
    """`inputs` and `outputs` keep the file's order; shapes are ONNX's; int64 counts as int32, which TFLite's take.

    `dynamic` names the packed weights that meet activations quantized as they come; all others are unpacked.
    """

    nodes: list[Node]
    inputs: dict[str, np.dtype[Any]]
    outputs: list[str]
    constants: dict[str, Constant]
    shapes: dict[str, tuple[int, ...]]
    types: dict[str, np.dtype[Any]]
    quantization: dict[str, Quantization] = field(default_factory=dict)
    dynamic: set[str] = field(default_factory=set)

    def shape(self, name: str) -> tuple[int, ...]:
        if name in self.constants:
            return self.constants[name].values.shape
        shape = self.shapes.get(name, ())
        if name not in self.shapes or any(size <= 0 for size in shape):
            raise UserError(
                f"tensor `{name}` has no fixed shape",
                "a TFLite file has fixed shapes: export the model with a fixed input shape and batch 1",
            )
        return shape

    def type(self, name: str) -> np.dtype[Any]:
        return self.types.get(name, FLOAT)

    def users(self) -> dict[str, list[Node]]:
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                found.setdefault(name, []).append(node)
        return found

    def makers(self) -> dict[str, Node]:
        return {name: node for node in self.nodes for name in node.outputs}

    def limits(self, node: Node) -> tuple[float, float]:
        """The bounds of a Relu or Clip."""
        if node.op == "Relu":
            return 0.0, np.inf
        bounds = [-np.inf, np.inf]
        for position, name in enumerate(node.inputs[1:3]):
            if name:
                bounds[position] = float(self.constants[name].real)
        return bounds[0], bounds[1]

    def parameters(self, node: Node) -> Quantization:
        """What a QuantizeLinear or DequantizeLinear node says."""
        scale = self.constants[node.inputs[1]].values
        zero_point = self.constants[node.inputs[2]].values if len(node.inputs) > 2 else np.uint8(0)
        if zero_point.dtype not in (np.int8, np.int16, np.int32):
            raise UserError(
                f"cannot convert {node}: it quantizes to {zero_point.dtype}, and TFLite's kernels work on int8",
                "quantize with int8 activations and int8 weights (the preset `xnnpack`)",
            )
        if zero_point.dtype == INT16 and zero_point.any():
            raise UserError(
                f"cannot convert {node}: its int16 zero point is not 0, as TFLite's kernels have it",
                "quantize with `ActivationSymmetric`, as `quantize.int16` does",
            )
        kind = INT16 if zero_point.dtype == INT16 else INT8
        return quantization(scale, zero_point, node.attributes.get("axis", 0) if scale.size > 1 else 0, kind)


def read(model: onnx.ModelProto, integer: Mapping[str, Quantization | None], dynamic: bool = False) -> Graph:
    """The graph of a float or QDQ model.

    `integer` names the operators that become int8 ones, with the scale that the result must have, or None for any.
    `dynamic` lets all packed weights meet activations quantized as they come.
    """
    from . import integers, passes
    from .dynamic import fuse_dynamic
    from .lookup_tables import look_up

    version = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0)
    if version < _OPERATOR_SET:
        raise UserError(
            f"the model uses ONNX operator set {version}, and {_OPERATOR_SET} is the oldest that converts",
            "export it anew, or bring it up with `onnx.version_converter.convert_version`",
        )
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
    types = _types(proto)
    graph = Graph(
        nodes=[_node(node) for node in proto.node],
        inputs={value.name: types[value.name] for value in proto.input if value.name not in constants},
        outputs=[value.name for value in proto.output],
        constants=constants,
        shapes=shapes,
        types=types,
    )
    passes.fold_constants(graph)
    if dynamic:
        graph.dynamic |= {each.name for each in graph.constants.values() if each.packed and each.quantization}
    fuse_dynamic(graph)
    passes.drop_unused(graph)
    passes.split_into_slices(graph)
    passes.fuse_gelu(graph)
    look_up(graph)
    passes.fuse_activations(graph)
    integers.quantize_before_reshapes(graph)
    integers.make_integer(graph, integer)
    passes.drop_unused(graph)
    return graph


def constant(name: str, tensor: onnx.TensorProto) -> Constant:
    values = numpy_helper.to_array(tensor)
    return Constant(name, values.astype(FLOAT) if values.dtype == np.float64 else values)


def narrow(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type in the file: ids and indices are int32 there."""
    return np.dtype(np.int32) if dtype == np.int64 else dtype


def _shapes(proto: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """A size that is not fixed is 0."""
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
    attributes = {each.name: onnx.helper.get_attribute_value(each) for each in proto.attribute}
    return Node(proto.op_type, proto.name, list(proto.input), list(proto.output), attributes)
