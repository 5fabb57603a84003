"""Exclude operators from quantization that have no suitable integer form."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from ...models.onnx.uint8 import WEIGHTED


def unsuited(graph: onnx.GraphProto) -> frozenset[str]:
    """Return the names of the nodes around logarithms, computed divisors and GELUs."""
    return frozenset([*likelihoods(graph), *divisors(graph), *gelus(graph)])


def likelihoods(graph: onnx.GraphProto) -> list[str]:
    """Find the nodes between a softmax or sigmoid and the logarithm of its result.

    A step of an 8-bit probability is 1/256: everything less likely becomes 0, and its logarithm −∞.
    """
    logarithms = [node for node in graph.node if node.op_type == "Log"]
    return [node.name for node in _back(graph, logarithms) if node.op_type not in WEIGHTED]


def divisors(graph: onnx.GraphProto) -> list[str]:
    """Find every division by a computed tensor, and the nodes of the divisor back to a product.

    In 8 bits a small divisor is 0, as that of linear attention.
    """
    tensors = {tensor.name for tensor in graph.initializer}
    divisions = [node for node in graph.node if node.op_type == "Div" and node.input[1] not in tensors]
    makers = {name: node for node in graph.node for name in node.output}
    below = [makers[node.input[1]] for node in divisions if node.input[1] in makers]
    return [node.name for node in (*divisions, *_back(graph, below))]


def gelus(graph: onnx.GraphProto) -> list[str]:
    """Find the five operators of x · (1 + erf(x / √2)) / 2, which runtimes fuse into one in float."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    makers = {name: node for node in graph.node for name in node.output}
    names = []
    for node in graph.node:
        if node.op_type != "Erf":
            continue
        scaled, after = makers.get(node.input[0]), [node]
        while len(after) < 4 and len(following := readers.get(after[-1].output[0], [])) == 1:
            if following[0].op_type not in ("Add", "Mul"):
                break
            after.append(following[0])
        names += [part.name for part in ([scaled] if scaled and scaled.op_type in ("Div", "Mul") else []) + after]
        halves = (makers.get(name) for part in after[2:] for name in part.input)  # x / 2, where that is done apart
        names += [half.name for half in halves if half and half.op_type == "Mul" and half not in after]
    return names


def _back(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Yield the nodes and those before them, back to a softmax, a sigmoid or a product, those included."""
    makers = {name: node for node in graph.node for name in node.output}
    visited: set[str] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node.name in visited:
            continue
        visited.add(node.name)
        yield node
        if node.op_type not in ("Softmax", "Sigmoid", *WEIGHTED):
            waiting += [makers[name] for name in node.input if name in makers]
