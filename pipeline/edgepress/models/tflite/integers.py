"""Select the operators of a QDQ graph that become integer ones."""

from __future__ import annotations

from collections.abc import Mapping

from .builder import INT16, Quantization
from .graph import Graph, Node
from .passes import FUSING

_WIDE = (
    "Add", "AveragePool", "Clip", "Concat", "Conv", "Flatten", "Gather", "Gemm", "GlobalAveragePool", "MatMul",
    "MaxPool", "Mul", "Pad", "ReduceMean", "Relu", "Reshape", "Slice", "Squeeze", "Sub", "Transpose", "Unsqueeze",
)  # fmt: skip
"""Operators whose kernels work on int16 too."""
_OF_TWO = ("Add", "Sub", "Mul", "Div")
_SHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose")


def quantize_before_reshapes(graph: Graph) -> None:
    """Write float → reshape → Q as float → Q → DQ → reshape → Q, so that the operator before can be an integer one."""
    users, makers = graph.users(), graph.makers()
    for node in reversed(list(graph.nodes)):
        maker = makers.get(node.inputs[0]) if node.inputs else None
        after = users.get(node.output, [])
        if node.op not in _SHAPING or not maker or maker.op == "DequantizeLinear" or len(users[node.inputs[0]]) > 1:
            continue
        if [user.op for user in after] != ["QuantizeLinear"] or {node.output, node.inputs[0]} & set(graph.outputs):
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


def make_integer(graph: Graph, integer: Mapping[str, Quantization | None]) -> None:
    """Merge DQ → operator → Q where TFLite has the operator on integers; all else stays in float, as in ONNX."""
    users, makers = graph.users(), graph.makers()
    for node in graph.nodes:
        if node.op in ("QuantizeLinear", "DequantizeLinear"):
            real, stored = node.inputs[0], node.output
            if node.op == "DequantizeLinear":
                real, stored = stored, real
            graph.quantization[stored] = graph.parameters(node)
            graph.shapes[stored] = graph.shapes.get(real, ())
    for node in list(graph.nodes):
        after = users.get(node.output, [])
        if node.op not in integer or [user.op for user in after] != ["QuantizeLinear"] or node.output in graph.outputs:
            continue
        dynamic = {
            name for name in node.inputs if name not in graph.constants and graph.type(name).kind == "f" and name
        }
        if any(name not in makers or makers[name].op != "DequantizeLinear" for name in dynamic):
            continue
        kinds = {
            graph.quantization[name].type
            for name in (after[0].output, *(makers[source].inputs[0] for source in dynamic))
        }
        if len(kinds) > 1 or (INT16 in kinds and node.op not in _WIDE):
            continue
        if node.op in (*FUSING, "ConvTranspose") and any(_is_float(graph, node, name) for name in node.inputs[:2]):
            continue
        if integer[node.op] not in (None, graph.quantization[after[0].output]):
            continue
        node.inputs = [makers[name].inputs[0] if name in dynamic else name for name in node.inputs]
        node.outputs = [*after[0].outputs, *node.outputs[1:]]
        graph.nodes.remove(after[0])


def _is_float(graph: Graph, node: Node, name: str) -> bool:
    """Return whether the quantizer left it in float; a number that is added or multiplied by is exact in int8."""
    constant = graph.constants.get(name)
    if constant is None or (constant.values.size == 1 and node.op in _OF_TWO):
        return False
    return constant.quantization is None or constant.packed
