"""Find fill values, such as those of an attention mask: outliers by design.

No 8 bits hold them beside useful values.

A step of a range from −10000 to 5 is 39: every score becomes 0. What carries such values is computed in float, from
what adds them to what they are for: a softmax makes exact zeros of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import onnx
from onnx import numpy_helper

from .calibration.histograms import LARGE
from .calibration.ranges import OPEN
from .qdq import Plan, Range, touching

_CONSTANT = {"Where": LARGE, "Add": 1e8, "Sub": 1e8, "Mul": 1e8, "Concat": 1e8, "Pad": 1e8}
"""Operators that bring constants among useful values, and the magnitude from which such a constant is a fill whatever
the examples show: one without a masked place does not show it."""
_PASSING = (
    *_CONSTANT, "Div", "Neg", "Identity", "Cast", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten",
    "Slice", "Split", "Gather", "Expand", "Tile", "Resize",
)  # fmt: skip
"""Operators that pass fills on."""
_WIDEST = 64.0
"""Range of a softmax's scores up to which they suit 8 bits: a step is then a quarter, and a probability off by a
seventh. Scores alone seldom span more; a mask of −100 does."""


def ranged(plan: Plan, ranges: Mapping[str, Range]) -> Plan:
    """Return the plan with these ranges; activations with fills are open and computed in float.

    So are floats that have no range, such as what no input decides and simplifying did not fold.
    """
    graph = plan.graph.graph
    fills = carrying(graph, ranges)
    reals = {value.name for value in graph.value_info if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    rangeless = {name for node in graph.node for name in node.output if name in reals and name not in ranges}
    floats = plan.floats | touching(graph, fills | rangeless)
    return replace(plan, ranges={**ranges, **dict.fromkeys(fills, OPEN)}, floats=floats)


def carrying(graph: onnx.GraphProto, ranges: Mapping[str, Range]) -> set[str]:
    """Find the activations with fills: by the values seen, by their constants, and those after them in the graph."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    fills = {name for name, bounds in ranges.items() if not np.isfinite(bounds).all()}
    fills |= {*_by_constant(graph, tensors), *_by_softmax(graph, ranges)} & ranges.keys()
    waiting = deque(fills)
    while waiting:
        for node in readers.get(waiting.popleft(), []):
            passes = node.op_type in _PASSING
            if node.op_type in ("Mul", "Div"):
                passes = any(name in tensors for name in node.input)
            new = {name for name in node.output if name in ranges} - fills if passes else set()
            fills |= new
            waiting.extend(new)
    return fills | ({*_by_factor(graph, tensors, fills)} & ranges.keys())


def _by_constant(graph: onnx.GraphProto, tensors: Mapping[str, onnx.TensorProto]) -> Iterator[str]:
    for node in graph.node:
        for name in node.input if node.op_type in _CONSTANT else ():
            if name in tensors and _largest(tensors[name]) >= _CONSTANT[node.op_type]:
                yield node.output[0]


def _by_factor(graph: onnx.GraphProto, tensors: Mapping[str, onnx.TensorProto], fills: set[str]) -> Iterator[str]:
    """Yield the factors of fills, as in (1 − open) · −1e9, and the tensors before them: their rounding error would be
    multiplied too."""
    makers = {name: node for node in graph.node for name in node.output}
    waiting = [
        name
        for node in graph.node
        if node.op_type == "Mul" and node.output[0] in fills
        for name, factor in zip(node.input, reversed(node.input), strict=True)
        if factor in tensors and _largest(tensors[factor]) >= LARGE
    ]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        yield name
        if name in makers and makers[name].op_type in _PASSING:
            waiting += makers[name].input


def _by_softmax(graph: onnx.GraphProto, ranges: Mapping[str, Range]) -> Iterator[str]:
    for node in graph.node:
        if node.op_type in ("Softmax", "LogSoftmax") and node.input[0] in ranges:
            low, high = ranges[node.input[0]]
            if high - low > _WIDEST:
                yield node.input[0]


def _largest(tensor: onnx.TensorProto) -> float:
    if tensor.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16):
        return 0.0
    return float(np.abs(numpy_helper.to_array(tensor)).max(initial=0.0))
