"""Replace GELU of a QDQ graph by a table of 256 numbers.

onnxruntime's quantizer rounds after every step of x · ½ · (1 + erf(x / √2)). Where erf fills its range, erf + 1 falls
midway between two int8 values; kernels round that up and ONNX to even, so that most numbers are off by one. A table
holds ONNX's own, and takes the place of a dozen operators.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from .builder import INT8
from .graph import FLOAT, Graph, Node
from .passes import drop_unused

_FORMULAS: dict[str, Callable[..., NDArray[Any]]] = {
    "Add": np.add,
    "Div": np.divide,
    "Erf": lambda x: erf(x.astype(np.float64)),
    "Mul": np.multiply,
    "Pow": np.power,
    "Sub": np.subtract,
    "Tanh": np.tanh,
}
_CURVES = ("Erf", "Tanh")
_STEPS_BACK = 24
"""From a curve to where its numbers come from: those of GELU by tanh, with a Q and DQ after each."""


def look_up(graph: Graph) -> None:
    """Read each int8 tensor that follows from one other by a curve, number by number, from a table."""
    users = graph.users()
    tables: dict[str, Node] = {}
    for curve in [node for node in graph.nodes if node.op in _CURVES]:
        for source in _sources(graph, curve):
            values = _following(graph, source)
            if curve.output not in values:
                continue
            bent = {curve.output}
            for node in graph.nodes:
                if node.output not in values or not bent.intersection(node.inputs):
                    continue
                bent.add(node.output)
                if node.op == "QuantizeLinear" and _leaves(graph, users, node.output, values):
                    table = {"values": values[node.output]}
                    tables[node.output] = Node("Table", node.name, [source], [node.output], table)
                    graph.quantization[node.output] = graph.parameters(node)
                    graph.shapes[node.output] = graph.shapes.get(node.inputs[0], ())
            break
    graph.nodes = [tables.get(node.output, node) for node in graph.nodes]
    drop_unused(graph)


def _sources(graph: Graph, curve: Node) -> list[str]:
    """Return the int8 tensors that the curve may follow from, the farthest first."""
    makers, sources, waiting = graph.makers(), list[str](), [curve.inputs[0]]
    for _ in range(_STEPS_BACK):
        maker = makers.get(waiting.pop(0)) if waiting else None
        if maker is None:
            continue
        if maker.op == "DequantizeLinear":
            sources.append(maker.inputs[0])
        if maker.op in ("DequantizeLinear", "QuantizeLinear", *_FORMULAS):
            waiting.extend(name for name in maker.inputs if name not in graph.constants)
    return sources[::-1]


def _following(graph: Graph, source: str) -> dict[str, NDArray[Any]]:
    """Compute each tensor that follows from `source` and constants alone, for each of the 256 numbers of `source`."""
    values: dict[str, NDArray[Any]] = {source: np.arange(-128, 128, dtype=np.int8)}
    for node in graph.nodes:
        if node.op in ("DequantizeLinear", "QuantizeLinear"):
            if node.inputs[0] in values and (steps := graph.parameters(node)).scale.size == 1 and steps.type == INT8:
                convert = steps.quantize if node.op == "QuantizeLinear" else steps.dequantize
                values[node.output] = convert(values[node.inputs[0]])
        elif node.op in _FORMULAS and node.activation == "NONE":
            arguments = [_argument(graph, name, values) for name in node.inputs]
            if any(name in values for name in node.inputs) and all(argument is not None for argument in arguments):
                with np.errstate(all="ignore"):
                    values[node.output] = np.asarray(_FORMULAS[node.op](*arguments), FLOAT)
    return values


def _argument(graph: Graph, name: str, values: dict[str, NDArray[Any]]) -> NDArray[Any] | None:
    if (constant := graph.constants.get(name)) is not None:
        return constant.real.reshape(()) if constant.values.size == 1 else None
    return values.get(name)


def _leaves(graph: Graph, users: dict[str, list[Node]], name: str, values: dict[str, NDArray[Any]]) -> bool:
    """Return whether the int8 tensor also goes to an operator that does not follow from the source."""
    backs = [back.output for back in users.get(name, [])]
    return bool({name, *backs}.intersection(graph.outputs)) or any(
        user.output not in values for back in backs for user in users.get(back, [])
    )
