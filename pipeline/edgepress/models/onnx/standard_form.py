"""Write Gemm in the one form that quantizers and converters take.

A Gemm gets factors of 1, rows that are not transposed, and one bias for each output; what does not fit in it becomes
an operator of its own. A graph in that form comes back as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from .unique_names import free_name


def standardize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with every Gemm in its plain form; shapes have been inferred where a weight is computed."""
    if not any(_is_odd(node, _initializers(model.graph)) for node in model.graph.node if node.op_type == "Gemm"):
        return model
    standard = onnx.ModelProto()
    standard.CopyFrom(model)
    graph = _Graph(standard.graph)
    nodes = list(standard.graph.node)
    del standard.graph.node[:]
    for node in nodes:
        odd = node.op_type == "Gemm" and _is_odd(node, graph.tensors)
        standard.graph.node.extend(graph.plain(node) if odd else [node])
    _drop_unused(standard.graph)
    return standard


def _initializers(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    return {tensor.name: tensor for tensor in graph.initializer}


def _attributes(node: onnx.NodeProto) -> tuple[float, float, int, int]:
    values: dict[str, Any] = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    return values.get("alpha", 1.0), values.get("beta", 1.0), values.get("transA", 0), values.get("transB", 0)


def _is_odd(node: onnx.NodeProto, tensors: dict[str, onnx.TensorProto]) -> bool:
    alpha, beta, rows, columns = _attributes(node)
    bias = node.input[2] if len(node.input) > 2 else ""
    if alpha != 1 or rows or (bias and beta != 1):
        return True
    if bias not in tensors or node.input[1] not in tensors:
        return False  # of a QDQ graph they come out of a DequantizeLinear
    outputs = tensors[node.input[1]].dims[0 if columns else 1]
    return list(tensors[bias].dims) != [outputs]


class _Graph:
    """The weights and names of a graph that gets new nodes."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.tensors = _initializers(graph)
        self.makers = {name: node for node in graph.node for name in node.output}
        self.names = {*self.tensors, *self.makers, *(value.name for value in graph.input)}

    def plain(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Return the nodes that compute the Gemm."""
        alpha, beta, rows, columns = _attributes(node)
        before: list[onnx.NodeProto] = []
        after: list[tuple[str, str]] = []
        source, weight, bias = node.input[0], node.input[1], node.input[2] if len(node.input) > 2 else ""
        if rows:
            before.append(helper.make_node("Transpose", [source], [self.name(source, "rows")], perm=[1, 0]))
            source = before[-1].output[0]
        if alpha != 1:
            if scaled := self.changed(weight, "alpha", before, lambda values: values * np.float32(alpha)):
                weight = scaled
            else:
                after.append(("Mul", self.constant(f"{node.output[0]}_alpha", np.float32(alpha))))
        if bias and not self.fits(bias, weight, columns, bool(after)):
            if beta != 1:
                scaled = self.changed(bias, "beta", before, lambda values: values * np.float32(beta))
                if scaled is None:
                    factor = self.constant(f"{node.output[0]}_beta", np.float32(beta))
                    before.append(helper.make_node("Mul", [bias, factor], [self.name(bias, "beta")]))
                    scaled = before[-1].output[0]
                bias = scaled
            after.append(("Add", bias))
            bias = ""
        elif bias:
            outputs = self.tensors[weight].dims[0 if columns else 1] if weight in self.tensors else 0
            bias = self.changed(
                bias, "bias", before,
                lambda values: (np.resize(values, outputs) if outputs else values) * np.float32(beta),
                copy=beta != 1 or (bias in self.tensors and list(self.tensors[bias].dims) != [outputs]),
            ) or bias  # fmt: skip
        result = node.output[0]
        steps = [self.name(result, "product") for _ in after] + [result]
        inputs = [source, weight, bias] if bias else [source, weight]
        gemm = helper.make_node("Gemm", inputs, [steps[0]], node.name, transB=columns)
        chain = [
            helper.make_node(code, [steps[place], other], [steps[place + 1]], f"{node.name or result}_{code}")
            for place, (code, other) in enumerate(after)
        ]
        return [*before, gemm, *chain]

    def fits(self, bias: str, weight: str, columns: int, scaled: bool) -> bool:
        """Return whether the bias is one number for each output, or for all of them, and is added to the product."""
        if scaled:
            return False
        if bias in self.tensors and weight in self.tensors:
            outputs = self.tensors[weight].dims[0 if columns else 1]
            return bool(np.prod(self.tensors[bias].dims[:-1], dtype=int) == 1) and (
                not self.tensors[bias].dims or self.tensors[bias].dims[-1] in (1, outputs)
            )
        return self.dequantized(bias) is not None

    def changed(
        self, name: str, word: str, before: list[onnx.NodeProto],
        change: Callable[[NDArray[Any]], NDArray[Any]], copy: bool = True,
    ) -> str | None:  # fmt: skip
        """Return the name of the constant with `change` made to it; None where it is computed.

        Of an integer constant its scale is changed.
        """
        if not copy:
            return name
        if name in self.tensors:
            values = numpy_helper.to_array(self.tensors[name])
            return self.constant(f"{name}_{word}", change(values).astype(values.dtype))
        maker = self.dequantized(name)
        if maker is None:
            return None
        scale = numpy_helper.to_array(self.tensors[maker.input[1]])
        scaled = change(scale).reshape(scale.shape).astype(scale.dtype)
        if not (scaled > 0).all():
            return None
        new = self.constant(f"{maker.input[1]}_{word}", scaled)
        node = onnx.NodeProto()
        node.CopyFrom(maker)
        node.input[1], node.output[0], node.name = new, self.name(name, word), f"{maker.name or name}_{word}"
        before.append(node)
        return node.output[0]

    def dequantized(self, name: str) -> onnx.NodeProto | None:
        """Return the DequantizeLinear of a constant that makes it."""
        maker = self.makers.get(name)
        stored = maker is not None and maker.op_type == "DequantizeLinear"
        return maker if stored and maker and set(maker.input[:2]) <= self.tensors.keys() else None

    def constant(self, name: str, values: Any) -> str:
        tensor = numpy_helper.from_array(np.asarray(values), self.name(name))
        self.graph.initializer.append(tensor)
        self.tensors[tensor.name] = tensor
        return str(tensor.name)

    def name(self, base: str, word: str = "") -> str:
        """Return a name that is not in use, and take it."""
        new = free_name(f"{base}_{word}" if word else base, self.names)
        self.names.add(new)
        return new


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(tensors)
