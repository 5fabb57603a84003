"""Cut a quantized graph and its float graph at the same tensors, and put a part of one into the other.

An operator has its own error: that of its integer weights, and of the rounding of its output. The rounding of its
inputs counts for the operators that make them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import onnx
from onnx import helper

CONVERSIONS = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True)
class Graph:
    """A graph by its tensors; none of its nodes holds a graph of its own."""

    model: onnx.ModelProto

    @cached_property
    def makers(self) -> dict[str, onnx.NodeProto]:
        return {name: node for node in self.model.graph.node for name in node.output if name}

    @cached_property
    def readers(self) -> dict[str, list[onnx.NodeProto]]:
        found: dict[str, list[onnx.NodeProto]] = {}
        for node in self.model.graph.node:
            for name in dict.fromkeys(node.input):
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def constants(self) -> dict[str, onnx.TensorProto]:
        return {tensor.name: tensor for tensor in self.model.graph.initializer}

    @cached_property
    def inputs(self) -> list[str]:
        return [value.name for value in self.model.graph.input if value.name not in self.constants]

    @cached_property
    def computed(self) -> set[str]:
        """The tensors that depend on an input of the graph; all others are constants."""
        found = set(self.inputs)
        for node in self.model.graph.node:
            if any(name in found for name in node.input):
                found |= set(node.output)
        return found

    def seen(self, name: str) -> str:
        """Return the tensor as others take it: `name`, or where it is quantized and back again, what that gives."""
        for node in self.readers.get(name, []):
            if node.op_type == "QuantizeLinear" and node.input[0] == name:
                for back in self.readers.get(node.output[0], []):
                    if back.op_type == "DequantizeLinear":
                        return back.output[0]
        return name

    def stored(self, name: str) -> str:
        """Return the integers that a tensor is made from, as `seen` gives it; `name` where it is not rounded."""
        maker = self.makers.get(name)
        return maker.input[0] if maker is not None and maker.op_type == "DequantizeLinear" else name

    def cone(self, target: str, cut: Collection[str]) -> list[onnx.NodeProto]:
        """Return the nodes that compute `target` from the tensors of `cut`, in the graph's order."""
        wanted, waiting, visited = set[int](), [target], set[str]()
        while waiting:
            name = waiting.pop()
            if name in visited or (name in cut and name != target) or (node := self.makers.get(name)) is None:
                continue
            visited.add(name)
            wanted.add(id(node))
            waiting += node.input
        return [node for node in self.model.graph.node if id(node) in wanted]


@dataclass(frozen=True)
class Pair:
    """An operator that both graphs have: the integer graph's node, and its output in each of them."""

    node: onnx.NodeProto
    number: int
    whole: str
    """In the float graph."""
    rounded: str
    """In the integer graph, as others take it."""


def pairs(integers: Graph, floats: Graph) -> list[Pair]:
    """Return the operators with a rounded output, or a rounded weight, whose output the float graph has by its name."""
    found = []
    for number, node in enumerate(integers.model.graph.node):
        name = next(iter(node.output), "")
        if node.op_type in CONVERSIONS or name not in integers.computed:
            continue
        following = integers.readers.get(name, [])
        if len(following) == 1 and following[0].name.endswith("_in_float"):
            name = following[0].output[0]  # the maximum of `keep_float.in_float`, which changes nothing
        seen = integers.seen(name)
        # An output of the graph has its name behind the rounding, and another one before it.
        whole = name if name in floats.computed else seen
        weighed = any(_is_rounded_constant(integers, own) for own in node.input)
        if whole in floats.computed and whole in floats.makers and (seen != name or weighed):
            found.append(Pair(node, number, whole if seen == name else _activated(floats, integers, whole), seen))
    return found


def _activated(floats: Graph, integers: Graph, name: str) -> str:
    """Return what the activation behind `name` gives, where the integers' range has taken its place.

    onnxruntime drops a Relu or Clip whose bounds are those of the integers behind it.
    """
    readers = floats.readers.get(name, [])
    if len(readers) != 1 or readers[0].op_type not in ("Relu", "Clip"):
        return name
    behind: str = readers[0].output[0]
    return name if behind in integers.makers else behind


def _is_rounded_constant(graph: Graph, name: str) -> bool:
    node = graph.makers.get(name)
    return name not in graph.computed and node is not None and node.op_type == "DequantizeLinear"


def replaced(into: Graph, of: Graph, target: tuple[str, str], same: Mapping[str, str]) -> onnx.ModelProto:
    """Return the graph `into` whose tensor `target[0]` is computed as `of` computes `target[1]`.

    `same` maps tensors of `of` to those of `into` that stand for them. What is put in is called `other/NAME`; the
    replaced tensor is still computed, and nothing takes it.
    """
    part = of.cone(target[1], same)
    made = onnx.ModelProto()
    made.CopyFrom(into.model)
    names = {name: f"other/{name}" for node in part for name in (*node.input, *node.output) if name}
    names |= {name: own for name, own in same.items() if name != target[1]}
    for node in made.graph.node:
        node.input[:] = [names[target[1]] if name == target[0] else name for name in node.input]
    for output in made.graph.output:
        if output.name == target[0]:
            output.name = names[target[1]]
    for node in part:
        copy = made.graph.node.add()
        copy.CopyFrom(node)
        copy.name = f"other/{node.name}"
        copy.input[:] = [names.get(name, name) for name in node.input]
        copy.output[:] = [names.get(name, name) for name in node.output]
    constants = {name for node in part for name in node.input if name in of.constants}
    for name in sorted(constants):
        tensor = made.graph.initializer.add()
        tensor.CopyFrom(of.constants[name])
        tensor.name = names[name]
    return with_outputs(made, [])


def with_outputs(model: onnx.ModelProto, names: Sequence[str], *, only: bool = False) -> onnx.ModelProto:
    """Return the model with more outputs, or with `only` these, each node behind those that it needs."""
    from onnxruntime.quantization.onnx_model import ONNXModel

    made = onnx.ModelProto()
    made.CopyFrom(model)
    if only:
        del made.graph.output[:]
    made.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    del made.graph.value_info[:]
    ordered = ONNXModel(made)
    ordered.topological_sort()
    result: onnx.ModelProto = ordered.model
    return result
