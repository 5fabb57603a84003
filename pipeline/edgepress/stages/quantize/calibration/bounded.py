"""Find the activations that only a Relu or Clip reads: they need no range of their own.

A quantizer drops the rounding between the two, or rounds to the range of the result: what lies beyond is cut off there
anyway. Half of a convolutional network's activations are such ones, and a runtime that need not show them fuses them.
"""

from __future__ import annotations

from collections import Counter

import onnx

from ..scalable import read_by

_BOUNDS = ("Relu", "Clip")


def bounded(graph: onnx.GraphProto) -> dict[str, str]:
    """Return the activations that only a Relu or Clip reads → its result; of several in a row, that of the last."""
    computed = {name for node in graph.node for name in node.output}
    reads = Counter(name for node in graph.node for name in {*read_by(node)})
    outputs = {value.name for value in graph.output}
    found: dict[str, str] = {}
    for node in reversed(graph.node):
        if node.op_type in _BOUNDS and node.input[0] in computed - outputs and reads[node.input[0]] == 1:
            found[node.input[0]] = found.get(node.output[0], node.output[0])
    return found
