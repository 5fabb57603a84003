"""Find the channels that may be scaled, and the weights that absorb it.

A channel is scaled exactly where every operator that writes it can divide by the factor, every operator that reads it
can multiply by it, and those between are homogeneous: f(s·x) = s·f(x) for positive s. Concat, Split, Slice, pools and
Relu pass factors on, a sum wants one factor for both terms, and whatever else reads a channel holds it where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .channels import Array, Channels, Part
from .weight_layout import Layout

_HOMOGENEOUS = (
    "Relu", "LeakyRelu", "Identity", "Dropout", "Abs", "Neg", "MaxPool", "AveragePool", "GlobalAveragePool",
    "GlobalMaxPool", "Resize", "Upsample",
)  # fmt: skip
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_JOINS = ("Concat", "Split", "Slice")


def find(graph: onnx.GraphProto, tensors: dict[str, Array]) -> Channels:
    """Number the channels of a float graph with shapes; `tensors` are its initializers."""
    return _Reading(graph, tensors).channels.settle()


def joins(model: onnx.ModelProto) -> bool:
    """Whether a Concat, Split or Slice lies between weights that may be scaled: part of the cache key."""
    if not {node.op_type for node in model.graph.node} & {*_JOINS}:
        return False
    graph = onnx.shape_inference.infer_shapes(model).graph
    channels = find(graph, {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer})
    held = channels.held()
    names = {name for node in graph.node if node.op_type in _JOINS for name in (*node.input, *node.output)}
    return any({*channels.roots(channels.of[name][1]).tolist()} - held for name in names & channels.of.keys())


class _Reading:
    """One pass over the nodes, in their order."""

    def __init__(self, graph: onnx.GraphProto, tensors: dict[str, Array]) -> None:
        self.tensors, self.channels = tensors, Channels()
        self.readers: dict[str, int] = {}
        for node in graph.node:
            for name in read_by(node):
                self.readers[name] = self.readers.get(name, 0) + 1
        self.shapes = {
            value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim]
            for value in (*graph.value_info, *graph.input, *graph.output)
        }
        for node in graph.node:
            scaled = self._read(node)
            unlike = [name for name in node.output if not self._fits(name)]
            if not scaled or unlike:
                for name in read_by(node):
                    self.channels.hold(name)
        for value in graph.output:
            self.channels.hold(value.name)

    def _read(self, node: onnx.NodeProto) -> bool:
        """Whether the operator's inputs may be scaled; where they may, its outputs are numbered."""
        options = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if node.op_type in _WEIGHTED:
            return self._weighted(node, options)
        if node.op_type in ("Add", "Sub", "Mul"):
            return self._binary(node)
        if node.op_type == "Concat":
            return self._concat(node, options)
        source = self.channels.of.get(node.input[0]) if node.input else None
        if source is None:
            return False
        axis, numbers = source
        shape = self.shapes.get(node.output[0], [])
        passes = node.op_type in _HOMOGENEOUS or self._pads_zeros(node, options) or self._reduces(node, options)
        if passes and shape[axis : axis + 1] == [len(numbers)]:
            self.channels.of[node.output[0]] = source
        elif node.op_type in ("Flatten", "Reshape", "Squeeze") and axis == 1 and len(shape) == 2 and shape[0] == 1:
            self.channels.of[node.output[0]] = 1, numbers.repeat(shape[1] // len(numbers))
        elif node.op_type in ("Split", "Slice"):
            return self._divided(node, options, axis, numbers)
        else:
            return False
        return True

    def _fits(self, name: str) -> bool:
        """Whether the numbers are as many as the channels of the tensor; it is not numbered where they are not."""
        axis, numbers = self.channels.of.get(name, (0, np.zeros(0)))
        fits = name not in self.channels.of or self.shapes.get(name, [])[axis : axis + 1] == [len(numbers)]
        if not fits:
            self.channels.hold(name)
            del self.channels.of[name]
        return fits

    def _own(self, node: onnx.NodeProto) -> bool:
        """Whether the constants of a node are read by it alone."""
        names = [name for name in node.input[1:] if name]
        return all(name in self.tensors and self.readers[name] == 1 for name in names)

    def _weighted(self, node: onnx.NodeProto, options: dict[str, Any]) -> bool:
        plain = options.get("alpha", 1.0) == options.get("beta", 1.0) == 1.0 and not options.get("transA")
        weight = self.tensors.get(node.input[1])
        if not self._own(node) or not plain or weight is None or (node.op_type == "MatMul" and weight.ndim != 2):
            return False
        shape = self.shapes.get(node.output[0], [])
        if len(shape) < 2:
            return False
        axis = len(shape) - 1 if node.op_type in ("MatMul", "Gemm") else 1
        layout = Layout(node.op_type, weight.shape, options.get("group", 1), bool(options.get("transB")))
        source = self.channels.of.get(node.input[0])
        fits = source is not None and len(source[1]) == layout.inputs and source[0] == axis
        if source is not None and fits:
            largest = None if layout.depthwise else layout.largest
            self.channels.parts.append(Part(node, 1, source[1], False, layout.by_input, largest))
        numbers = self.channels.new(layout.outputs)
        self.channels.of[node.output[0]] = axis, numbers
        self.channels.parts.append(Part(node, 1, numbers, True, layout.by_output))
        if len(node.input) > 2 and node.input[2]:
            bias = self.tensors[node.input[2]].shape
            if np.prod(bias) != layout.outputs:  # one number for all
                self.channels.hold(node.output[0])
            else:
                self.channels.parts.append(Part(node, 2, numbers, True, lambda factors: factors.reshape(bias)))
        return fits or source is None

    def _binary(self, node: onnx.NodeProto) -> bool:
        first, second = node.input
        constant = next((name for name in (first, second) if name in self.tensors), None)
        if constant is None:
            return self._both(node, first, second)
        position = [first, second].index(constant)
        other, output = node.input[1 - position], node.output[0]
        shape, value = self.shapes.get(output, []), self.tensors[constant]
        source = self.channels.of.get(other)
        if self.readers[constant] > 1 or len(shape) < 2:
            return False
        if node.op_type == "Mul":
            axis = source[0] if source else 1
            single = value.size == 1
            numbers = self.channels.new(1 if single else shape[axis])
            if not single and not _along(value, axis - len(shape), shape[axis]):
                return False
            spread: Callable[[Array], Array] = lambda factors: factors.reshape(value.shape)  # noqa: E731
            whole = numbers.repeat(shape[axis]) if single else numbers
            self.channels.of[output] = axis, whole
            self.channels.parts.append(Part(node, position, numbers, True, spread))
            if source is not None and not single:
                part = Part(node, position, source[1], False, spread, lambda value: np.abs(value).reshape(-1))
                self.channels.parts.append(part)
            return not single
        if source is None or not _along(value, source[0] - len(shape), len(source[1])):
            return False
        self.channels.of[output] = source
        self.channels.parts.append(Part(node, position, source[1], True, lambda factors: factors.reshape(value.shape)))
        return True

    def _both(self, node: onnx.NodeProto, first: str, second: str) -> bool:
        """A sum scales both terms alike; a product passes on the factors of one where the other has none."""
        one, two = self.channels.of.get(first), self.channels.of.get(second)
        ranks = {len(self.shapes.get(name, [])) for name in (first, second, node.output[0])}
        if node.op_type == "Mul":
            source = one or two
            if source is None or (one and two) or len(ranks) > 1:
                return False
            self.channels.of[node.output[0]] = source
            return True
        if one is None or two is None or one[0] != two[0] or len(one[1]) != len(two[1]) or len(ranks) > 1:
            return False
        self.channels.join(one[1], two[1])
        self.channels.of[node.output[0]] = one
        return True

    def _concat(self, node: onnx.NodeProto, options: dict[str, Any]) -> bool:
        shapes = [self.shapes.get(name, []) for name in node.input]
        sources = [self.channels.of.get(name) for name in node.input]
        axes = {source[0] for source in sources if source}
        if len(axes) != 1 or options["axis"] % max(len(shapes[0]), 1) not in axes:
            return False
        (axis,) = axes
        numbers = []
        for shape, source in zip(shapes, sources, strict=True):
            numbers.append(source[1] if source else self.channels.new(shape[axis]))
            if source is None:
                self.channels._held.update(numbers[-1].tolist())
        self.channels.of[node.output[0]] = axis, np.concatenate(numbers)
        return True

    def _divided(self, node: onnx.NodeProto, options: dict[str, Any], axis: int, numbers: Array) -> bool:
        """Split, or Slice with constant bounds."""
        if node.op_type == "Split":
            along = options.get("axis", 0) % max(len(self.shapes.get(node.input[0], [])), 1)
            start = 0
            for name in node.output:
                size = self.shapes.get(name, [0] * 9)[axis]
                self.channels.of[name] = axis, (numbers[start : start + size] if along == axis else numbers)
                start += size
            return True
        bounds = [self.tensors.get(name) for name in node.input[1:]]
        if any(bound is None for bound in bounds):
            return False
        starts, ends = (bound.tolist() for bound in bounds[:2] if bound is not None)
        axes = bounds[2].tolist() if len(bounds) > 2 and bounds[2] is not None else list(range(len(starts)))
        steps = bounds[3].tolist() if len(bounds) > 3 and bounds[3] is not None else [1] * len(starts)
        rank = len(self.shapes.get(node.input[0], []))
        for start, end, along, step in zip(starts, ends, axes, steps, strict=True):
            if along % rank == axis:
                numbers = numbers[slice(start, end if step > 0 or end >= -len(numbers) else None, step)]
        self.channels.of[node.output[0]] = axis, numbers
        return True

    def _pads_zeros(self, node: onnx.NodeProto, options: dict[str, Any]) -> bool:
        """Whether it is a Pad of zeros, or of the values at the edge; sides are compared by the caller."""
        value = self.tensors.get(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
        constant = options.get("mode", b"constant") == b"constant"
        return node.op_type == "Pad" and (not constant or (value is not None and not value.any()))

    def _reduces(self, node: onnx.NodeProto, options: dict[str, Any]) -> bool:
        """Whether it is a mean or maximum over places, not channels."""
        axes = self.tensors.get(node.input[1]) if len(node.input) > 1 else np.array(options.get("axes", [1]))
        return (
            node.op_type in ("ReduceMean", "ReduceMax") and axes is not None and all(a in (2, 3, -1, -2) for a in axes)
        )


def read_by(node: onnx.NodeProto) -> list[str]:
    """List the tensors that a node reads, those that its subgraphs read from outside among them."""
    inner = [part for attribute in node.attribute for part in attribute.g.node]
    return [*node.input, *(name for part in inner for name in read_by(part))]


def _along(value: Array, axis: int, count: int) -> bool:
    """Whether a constant has a number for each of `count` channels on an axis, counted from the last."""
    return value.ndim >= -axis and value.size == value.shape[axis] == count
