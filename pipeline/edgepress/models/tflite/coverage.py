"""Try every operator of an ONNX model: which convert, on integers or in float, and which stop the conversion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
import onnx

from ...core.errors import UserError
from ..onnx.unique_names import free_name
from .folding import folded
from .graph import Graph, Node
from .layout import channels_last
from .lowering import Lowering
from .operator_set import missing
from .ops.table import INTEGER, LAYOUTS, OPERATORS
from .reader import read, written

How = Literal["integers", "float", "merged", "stops"]
_QUANTIZING = ("DequantizeLinear", "QuantizeLinear")


class Tried(NamedTuple):
    """What becomes of a node: it computes on integers or in float, is merged into others, or stops the conversion.

    `op` has the domain in front where that is not ONNX's; `why` and `help` are of a node that stops.
    """

    op: str
    name: str
    how: How
    why: str = ""
    help: str = ""


def coverage(model: onnx.ModelProto) -> list[Tried]:
    """Return what becomes of every node of a model with fixed inputs, in the file's order.

    A node that stops counts as an input of the others, so that each one is tried.

    Raises:
        UserError: the model as a whole cannot be tried, such as for its operator set.
    """
    model = _named(folded(model))
    stops: dict[str, tuple[str, str]] = {}
    for node in model.graph.node:
        if why := missing(node):
            stops[node.name] = why
    rest = _without(model, stops)
    for node in (plain := written(rest)).nodes:
        if why := _refused(plain, node):
            stops[node.name] = why
    rest = _without(rest, stops)
    graph = read(rest, INTEGER)
    how: dict[str, How] = {}
    for node, why in _lowered(graph):
        integers = node.output in graph.quantization or node.op in _QUANTIZING
        how[node.name] = "integers" if integers and how.get(node.name) != "float" else "float"
        if why:
            stops[node.name] = why
    return [
        Tried(_op(node), node.name, "stops", *stops[node.name])
        if node.name in stops
        else Tried(_op(node), node.name, how.get(node.name, "merged"))
        for node in model.graph.node
        if node.op_type != "Constant"
    ]


def _op(node: onnx.NodeProto) -> str:
    return str(node.op_type) if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def _named(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with a name of its own for each node."""
    named = onnx.ModelProto()
    named.CopyFrom(model)
    taken = set[str]()
    for node in named.graph.node:
        node.name = free_name(node.name or next(iter(filter(None, node.output)), node.op_type), taken)
        taken.add(node.name)
    return named


def _without(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """Return the model without these nodes: what they gave is an input, or after a Q or DQ what that took."""
    names, cut = set(names), onnx.ModelProto()
    cut.CopyFrom(model)
    graph = cut.graph
    del graph.node[:]
    values = {value.name: value for value in (*graph.value_info, *graph.output)}
    taken = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    for node in model.graph.node:
        if node.name not in names:
            graph.node.append(node)
        elif node.op_type in _QUANTIZING:
            graph.node.append(onnx.helper.make_node("Identity", node.input[:1], node.output[:1], node.name))
        else:
            made = [values[name] for name in node.output if name in values and name not in taken]
            graph.input.extend(value for value in made if _is_fixed(value))
    return cut


def _is_fixed(value: onnx.ValueInfoProto) -> bool:
    kind = value.type.tensor_type
    return bool(kind.elem_type) and kind.HasField("shape") and all(side.dim_value > 0 for side in kind.shape.dim)


def _refused(graph: Graph, node: Node) -> tuple[str, str] | None:
    """Return why a node cannot even be read: a shape that is not fixed, or numbers that are no int8."""
    try:
        for name in filter(None, (*node.inputs, *node.outputs)):
            graph.shape(name)
        if node.op in _QUANTIZING:
            graph.parameters(node)
    except UserError as error:
        return error.problems[0].message, error.problems[0].help
    return None


def _lowered(graph: Graph) -> Iterable[tuple[Node, tuple[str, str] | None]]:
    """Lower node by node; yield each one, with why it cannot be."""
    lowering = Lowering(graph, channels_last(graph, LAYOUTS))
    for name, dtype in graph.inputs.items():
        _stand_in(lowering, name, dtype)
    for node in graph.nodes:
        try:
            OPERATORS[node.op].lower(lowering, node)
        except UserError as error:
            for name in filter(None, node.outputs):
                _stand_in(lowering, name, graph.type(name))
            yield node, (error.problems[0].message, error.problems[0].help)
        else:
            yield node, None


def _stand_in(lowering: Lowering, name: str, dtype: np.dtype) -> None:
    """Add a tensor that is given, in float where no kernel takes its type."""
    shape, scale = lowering.file_shape(name), lowering.graph.quantization.get(name)
    try:
        lowering.tensors[name] = lowering.file.tensor(name, shape, dtype, scale)
    except UserError:
        lowering.tensors[name] = lowering.file.tensor(name, shape)
