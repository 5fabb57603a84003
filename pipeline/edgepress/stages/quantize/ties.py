"""Keep the likeliest class of many apart from the next one.

Of 1,000 classes the two likeliest of an image in 40 have the same 8-bit integer, in logits as in probabilities, and the
first of them is predicted. The last dense layer is a small part of such a network: in float it ties none.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from ...core.columns import flat
from .qdq import Plan
from .sqnr import Evidence

MANY = 100
"""Classes from which 8 bits may be too few for the largest output."""
WORTH = 0.01
"""Share of held-out examples that integers tie from which it is worth mending."""
_SHAPING = ("Identity", "Reshape", "Flatten", "Squeeze")
_DENSE = ("Gemm", "MatMul", "Conv")


def many_classes(graph: onnx.GraphProto) -> bool:
    """Whether the graph has one output, of many classes."""
    sizes = [math.prod(axis.dim_value for axis in value.type.tensor_type.shape.dim) for value in graph.output]
    return len(sizes) == 1 and sizes[0] >= MANY


def end(graph: onnx.GraphProto) -> tuple[str, ...]:
    """Return the names of the nodes from the last dense layer to the output; none where something else is between."""
    makers = {name: node for node in graph.node for name in node.output}
    name, names = graph.output[0].name, list[str]()
    while (node := makers.get(name)) is not None and node.op_type in (*_SHAPING, "Softmax", "Add", *_DENSE):
        names.append(node.name)
        if node.op_type in _DENSE:
            return tuple(names[::-1])
        computed = [source for source in node.input if source in makers]
        if len(computed) != 1:
            break
        name = computed[0]
    return ()


def count(outputs: np.ndarray, expected: np.ndarray) -> int:
    """Count the examples with one largest output in `expected`, and several alike in `outputs` (n, classes)."""
    several, one = ((array == array.max(1, keepdims=True)).sum(1) for array in (outputs, expected))
    return int(((several > 1) & (one == 1)).sum())


def untied(plan: Plan, evidence: Evidence) -> tuple[Plan, dict[str, Any] | None]:
    """Return the plan with the end of the graph in float where integers tie, and the note; else the plan, and None."""
    graph, expected = plan.graph.graph, evidence.expected
    dense = end(graph) if many_classes(graph) else ()
    before = _ties(plan, evidence) if {*dense} - plan.floats else 0
    if before < max(WORTH * len(expected), 1):
        return plan, None
    apart = replace(plan, floats=plan.floats | {*dense})
    types = {node.name: node.op_type for node in graph.node}
    note = {"node": dense[0], "operator": types[dense[0]], "before": before, "after": _ties(apart, evidence)}
    return apart, note | {"examples": len(expected)}


def _ties(plan: Plan, evidence: Evidence) -> int:
    return count(flat(evidence.outputs(plan)), flat(evidence.expected))


def warning(outputs: np.ndarray, expected: np.ndarray, preset: str) -> str | None:
    """Return a warning where integers of many classes still tie."""
    outputs, expected = flat(outputs), flat(expected)
    ties = count(outputs, expected)
    if outputs.shape[1] < MANY or ties < WORTH * len(outputs):
        return None
    return (
        f"in {preset} {ties} of {len(outputs)} held-out examples have the same largest output for two classes or more, "
        "of which the first is predicted: 8 bits are few for so many classes. A target whose `preset:` is another "
        "computes the last layer in float, which ties none"
    )
