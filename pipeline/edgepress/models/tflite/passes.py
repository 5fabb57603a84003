"""Rewrite a graph before it is lowered, float and QDQ alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import TensorProto

from .builder import quantization
from .graph import Constant, Graph, Node, constant

FUSING = ("Conv", "Gemm", "MatMul", "Add", "Sub", "Mul", "Div")
FUSED = {(0.0, np.inf): "RELU", (0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1"}
_ALIASES = ("Identity", "Dropout")


def fold_constants(graph: Graph) -> None:
    """Read Constant nodes, quantized initializers and packed weights; see through Identity, and an idle Max."""
    alias: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        node.inputs = [alias.get(name, name) for name in node.inputs]
        if node.op == "Constant" and "value" in node.attributes:
            graph.constants[node.output] = constant(node.output, node.attributes["value"])
        elif node.op == "DequantizeLinear" and node.inputs[0] in graph.constants:
            integers = graph.constants[node.inputs[0]].values
            graph.constants[node.output] = Constant(node.inputs[0], integers, graph.parameters(node))
        elif weight := _packed(graph, node):
            graph.constants[node.output] = weight
        elif node.op in _ALIASES and node.inputs[0] in graph.constants:  # an output may be such a one
            graph.constants[node.output] = graph.constants[node.inputs[0]]
        elif (node.op in _ALIASES or _idle(graph, node)) and node.output not in graph.outputs:
            alias[node.output] = node.inputs[0]
        else:
            nodes.append(node)
    graph.nodes = nodes


def _idle(graph: Graph, node: Node) -> bool:
    """Return whether it is the Max that keeps an operator between integers float in onnxruntime (`keep_float`)."""
    floor = graph.constants.get(node.inputs[-1]) if node.op == "Max" and len(node.inputs) == 2 else None
    return floor is not None and bool((floor.real <= np.finfo(np.float32).min).all())


def _packed(graph: Graph, node: Node) -> Constant | None:
    """Return the weight that Cast, or Mul after it, makes of one stored as float16, or as int8 with scales."""
    source, *rest = [graph.constants.get(name) for name in node.inputs] or [None]
    if source is None:
        return None
    if (
        node.op == "Cast"
        and node.attributes["to"] == TensorProto.FLOAT
        and source.values.dtype in (np.int8, np.float16)
    ):
        steps = quantization(1.0) if source.values.dtype == np.int8 else None
        return Constant(node.output, source.values, steps, packed=True)
    if node.op != "Mul" or not source.packed or source.quantization is None or rest[0] is None:
        return None
    scale = rest[0].real
    along = [axis for axis, size in enumerate(scale.shape) if size > 1]
    if len(along) > 1 or (along and scale.ndim != source.values.ndim):
        return Constant(node.output, source.real * scale)
    return replace(source, name=node.output, quantization=quantization(scale.ravel(), axis=sum(along)))


def split_into_slices(graph: Graph) -> None:
    """Replace a Split by as many Slices, each with one output, as every other operator of the set."""
    for node in list(graph.nodes):
        if node.op != "Split":
            continue
        axis, start, slices = node.attributes.get("axis", 0), 0, []
        for output in node.outputs:
            end = start + graph.shape(output)[axis]
            bounds = [f"{output}_{word}" for word in ("start", "end", "axis")]
            for name, value in zip(bounds, (start, end, axis), strict=True):
                graph.constants[name] = Constant(name, np.array([value]))
            slices.append(Node("Slice", node.name, [node.inputs[0], *bounds], [output], {}))
            start = end
        position = graph.nodes.index(node)
        graph.nodes[position : position + 1] = slices


def split_clips(graph: Graph) -> None:
    """Replace a Clip whose bounds are computed by Max and Min."""
    for node in list(graph.nodes):
        if node.op != "Clip" or all(name in graph.constants for name in node.inputs[1:] if name):
            continue
        bounds = [(op, name) for op, name in zip(("Max", "Min"), node.inputs[1:], strict=False) if name]
        tensor, parts = node.inputs[0], []
        for op, name in bounds:
            made = node.output if (op, name) == bounds[-1] else f"{node.output}_raised"
            parts.append(Node(op, node.name, [tensor, name], [made], {}))
            graph.shapes[made] = graph.shape(node.output)
            tensor = made
        position = graph.nodes.index(node)
        graph.nodes[position : position + 1] = parts


def fuse_gelu(graph: Graph) -> None:
    """Fuse x · (1 + erf(x / √2)) · ½, its factors in any order, as operator sets before 20 write it, to Gelu."""
    users, makers = graph.users(), graph.makers()

    def number(node: Node) -> float | None:
        """Return the one constant number of a binary operator."""
        numbers = [graph.constants[name].real for name in node.inputs if name in graph.constants]
        return float(numbers[0].item()) if len(numbers) == 1 and numbers[0].size == 1 else None

    def only_user(node: Node, op: str) -> Node | None:
        after = users.get(node.output, [])
        return after[0] if len(after) == 1 and after[0].op == op and node.output not in graph.outputs else None

    def reals(node: Node) -> list[str]:
        return [name for name in node.inputs if name not in graph.constants]

    for erf in [node for node in graph.nodes if node.op == "Erf"]:
        scaled, shifted = makers.get(erf.inputs[0]), only_user(erf, "Add")
        if not scaled or scaled.op not in ("Div", "Mul") or not shifted or number(shifted) != 1:
            continue
        factor = number(scaled) or 0.0
        if not np.isclose(factor, np.sqrt(2) if scaled.op == "Div" else np.sqrt(0.5), rtol=1e-5):
            continue
        if scaled.op == "Div" and scaled.inputs[0] in graph.constants:
            continue
        source, last, missing = reals(scaled)[0], shifted, {"half", "source"}
        while missing and (after := only_user(last, "Mul")):
            half_of_source = [
                maker
                for name in reals(after)
                if (maker := makers.get(name)) and maker.op == "Mul" and number(maker) == 0.5 and source in maker.inputs
            ]
            if number(after) == 0.5 and "half" in missing:
                missing.remove("half")
            elif source in after.inputs and "source" in missing:
                missing.remove("source")
            elif half_of_source and len(missing) == 2:
                missing.clear()
            else:
                break
            last = after
        if not missing:
            gelu = Node("Gelu", erf.name, [source], last.outputs, {})
            graph.nodes[graph.nodes.index(last)] = gelu
    drop_unused(graph)


def fuse_activations(graph: Graph) -> None:
    """Fuse Relu, Relu6 and the clip to ±1 into the one operator before them."""
    users, makers = graph.users(), graph.makers()
    for node in list(graph.nodes):
        if node.op not in ("Relu", "Clip"):
            continue
        maker = makers.get(node.inputs[0])
        kind = FUSED.get(graph.limits(node))
        alone = len(users[node.inputs[0]]) == 1 and node.inputs[0] not in graph.outputs
        if not (maker and kind and alone and maker.op in FUSING and maker.activation == "NONE"):
            continue
        if maker.op == "MatMul" and not is_dense(graph, maker):
            continue
        maker.activation, maker.outputs = kind, node.outputs
        makers[node.output] = maker
        graph.nodes.remove(node)


def is_dense(graph: Graph, node: Node) -> bool:
    """Return whether a MatMul has one constant matrix for weights; any other is a product of two batches."""
    return node.inputs[1] in graph.constants and graph.constants[node.inputs[1]].values.ndim == 2


def drop_unused(graph: Graph) -> None:
    wanted = set(graph.outputs)
    nodes = []
    for node in reversed(graph.nodes):
        if wanted.intersection(node.outputs):
            nodes.append(node)
            wanted.update(node.inputs)
    graph.nodes = nodes[::-1]
