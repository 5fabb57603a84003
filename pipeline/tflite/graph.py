"""An ONNX graph as the lowerings want it: constants read, activations fused, DQ → operator → Q one integer operator.

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

from ..errors import UserError
from .builder import Quantization, quantization

_FUSING = ("Conv", "Gemm", "MatMul", "Add", "Sub", "Mul", "Div")
FUSED = {(0.0, np.inf): "RELU", (0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1"}
_SHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose")
_OPERATOR_SET = 13
_ALIASES = ("Identity", "Dropout")


@dataclass(frozen=True)
class Constant:
    """A tensor known when converting: its numbers, and how they are quantized if they are integers."""

    name: str
    values: NDArray[Any]
    quantization: Quantization | None = None

    @property
    def real(self) -> NDArray[Any]:
        return self.quantization.dequantize(self.values) if self.quantization else self.values


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
    """`inputs` and `outputs` keep the file's order; shapes are ONNX's (NCHW)."""

    nodes: list[Node]
    inputs: dict[str, np.dtype[Any]]
    outputs: list[str]
    constants: dict[str, Constant]
    shapes: dict[str, tuple[int, ...]]
    quantization: dict[str, Quantization] = field(default_factory=dict)

    def shape(self, name: str) -> tuple[int, ...]:
        shape = self.shapes.get(name, ())
        if name not in self.shapes or any(size <= 0 for size in shape):
            raise UserError(
                f"tensor `{name}` has no fixed shape",
                "a TFLite file has fixed shapes: export the model with a fixed input shape and batch 1",
            )
        return shape

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


def read(model: onnx.ModelProto, integer: Mapping[str, Quantization | None]) -> Graph:
    """The graph of a float or QDQ model.

    `integer` names the operators that become int8 ones, with the scale that the result must have, or None for any.
    """
    version = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0)
    if version < _OPERATOR_SET:
        raise UserError(
            f"the model uses ONNX operator set {version}, and {_OPERATOR_SET} is the oldest that converts",
            "export it anew, or bring it up with `onnx.version_converter.convert_version`",
        )
    proto = model.graph
    shapes = _shapes(proto)
    if any(not all(shapes.get(name, (0,))) for node in proto.node for name in node.output):
        # Only when it is needed: it copies the whole model, and the simplifier has been through it before.
        proto = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        shapes = _shapes(proto)
    constants = {tensor.name: _constant(tensor.name, tensor) for tensor in proto.initializer}
    graph = Graph(
        nodes=[_node(node) for node in proto.node],
        inputs={
            value.name: onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            for value in proto.input
            if value.name not in constants
        },
        outputs=[value.name for value in proto.output],
        constants=constants,
        shapes=shapes,
    )
    _fold_constants(graph)
    _fuse_activations(graph)
    _quantize_before_reshapes(graph)
    _make_integer(graph, integer)
    _drop_unused(graph)
    return graph


def _shapes(proto: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """A size that is not fixed is 0."""
    return {
        value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
        for value in (*proto.value_info, *proto.input, *proto.output)
        if value.type.tensor_type.HasField("shape")
    }


def _constant(name: str, tensor: onnx.TensorProto) -> Constant:
    values = numpy_helper.to_array(tensor)
    return Constant(name, values.astype(np.float32) if values.dtype.kind == "f" else values)


def _node(proto: onnx.NodeProto) -> Node:
    attributes = {each.name: onnx.helper.get_attribute_value(each) for each in proto.attribute}
    return Node(proto.op_type, proto.name, list(proto.input), list(proto.output), attributes)


def _fold_constants(graph: Graph) -> None:
    """Read Constant nodes and quantized initializers; see through Identity."""
    alias: dict[str, str] = {}
    kept = []
    for node in graph.nodes:
        node.inputs = [alias.get(name, name) for name in node.inputs]
        if node.op == "Constant" and "value" in node.attributes:
            graph.constants[node.output] = _constant(node.output, node.attributes["value"])
        elif node.op == "DequantizeLinear" and node.inputs[0] in graph.constants:
            integers = graph.constants[node.inputs[0]].values
            graph.constants[node.output] = Constant(node.inputs[0], integers, parameters(graph, node))
        elif node.op in _ALIASES and node.output not in graph.outputs:
            alias[node.output] = node.inputs[0]
        else:
            kept.append(node)
    graph.nodes = kept


def parameters(graph: Graph, node: Node) -> Quantization:
    """What a QuantizeLinear or DequantizeLinear node says."""
    scale = graph.constants[node.inputs[1]].values
    zero_point = graph.constants[node.inputs[2]].values if len(node.inputs) > 2 else np.uint8(0)
    if zero_point.dtype not in (np.int8, np.int32):
        raise UserError(
            f"cannot convert {node}: it quantizes to {zero_point.dtype}, and TFLite's kernels work on int8",
            "quantize with int8 activations and int8 weights (the preset `s8s8`)",
        )
    return quantization(scale, zero_point, node.attributes.get("axis", 0) if scale.size > 1 else 0)


def _fuse_activations(graph: Graph) -> None:
    """Relu, Relu6 and the clip to ±1 become part of the one operator before them."""
    users, makers = graph.users(), graph.makers()
    for node in list(graph.nodes):
        if node.op not in ("Relu", "Clip"):
            continue
        maker = makers.get(node.inputs[0])
        kind = FUSED.get(graph.limits(node))
        alone = len(users[node.inputs[0]]) == 1 and node.inputs[0] not in graph.outputs
        if maker and kind and alone and maker.op in _FUSING and maker.activation == "NONE":
            maker.activation, maker.outputs = kind, node.outputs
            makers[node.output] = maker
            graph.nodes.remove(node)


def _quantize_before_reshapes(graph: Graph) -> None:
    """Float → reshape → Q is float → Q → DQ → reshape → Q; so the operator before can become an integer one."""
    users, makers = graph.users(), graph.makers()
    for node in reversed(list(graph.nodes)):
        maker = makers.get(node.inputs[0]) if node.inputs else None
        after = users.get(node.output, [])
        if node.op not in _SHAPING or not maker or maker.op == "DequantizeLinear" or len(users[maker.output]) > 1:
            continue
        if [user.op for user in after] != ["QuantizeLinear"] or {node.output, maker.output} & set(graph.outputs):
            continue
        real = node.inputs[0]
        integer, back = f"{real}_quantized", f"{real}_dequantized"
        arguments, attributes = after[0].inputs[1:], after[0].attributes
        pair = [
            Node("QuantizeLinear", integer, [real, *arguments], [integer], attributes),
            Node("DequantizeLinear", back, [integer, *arguments], [back], attributes),
        ]
        node.inputs[0] = back
        users[real] = pair[:1]
        graph.shapes[back] = graph.shapes.get(real, ())
        position = graph.nodes.index(node)
        graph.nodes[position:position] = pair


def _make_integer(graph: Graph, integer: Mapping[str, Quantization | None]) -> None:
    """Merge DQ → operator → Q where TFLite has the operator on integers; anything else stays in float, as ONNX says."""
    users, makers = graph.users(), graph.makers()
    for node in graph.nodes:
        if node.op in ("QuantizeLinear", "DequantizeLinear"):
            real, stored = node.inputs[0], node.output
            if node.op == "DequantizeLinear":
                real, stored = stored, real
            graph.quantization[stored] = parameters(graph, node)
            graph.shapes[stored] = graph.shapes.get(real, ())
    for node in list(graph.nodes):
        after = users.get(node.output, [])
        if node.op not in integer or [user.op for user in after] != ["QuantizeLinear"] or node.output in graph.outputs:
            continue
        dynamic = {name for name in node.inputs if name and name not in graph.constants}
        if any(name not in makers or makers[name].op != "DequantizeLinear" for name in dynamic):
            continue
        if node.op in _FUSING and any(_is_float_array(graph, name) for name in node.inputs[:2]):
            continue
        if integer[node.op] not in (None, graph.quantization[after[0].output]):
            continue
        node.inputs = [makers[name].inputs[0] if name in dynamic else name for name in node.inputs]
        node.outputs = after[0].outputs
        graph.nodes.remove(after[0])


def _is_float_array(graph: Graph, name: str) -> bool:
    """Left in float by the quantizer; a single number is exact in int8, with itself as the scale."""
    return (
        name in graph.constants and graph.constants[name].quantization is None and graph.constants[name].values.size > 1
    )


def _drop_unused(graph: Graph) -> None:
    wanted = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        if wanted.intersection(node.outputs):
            kept.append(node)
            wanted.update(node.inputs)
    graph.nodes = kept[::-1]
