"""What the lowering of an operator works with: the tensors made so far, and the few moves that many of them share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ..errors import UserError
from .builder import Builder, Quantization
from .graph import Constant, Graph, Node

TO_NHWC = (0, 2, 3, 1)
TO_NCHW = (0, 3, 1, 2)
IMAGE = 4
"""The rank whose tensors are NCHW in ONNX and NHWC in the file; all others keep their order."""


def nhwc(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(shape[axis] for axis in TO_NHWC) if len(shape) == IMAGE else shape


def refusal(node: Node, why: str, help: str) -> UserError:
    return UserError(f"cannot convert {node}: {why}", help)


@dataclass
class Lowering:
    """One conversion under way.

    Attributes:
        tensors: ONNX name → index in the file.
        flattened: tensors flattened in NHWC order → their NCHW shape before; whoever reads one permutes its weights.
    """

    graph: Graph
    file: Builder = field(default_factory=Builder)
    tensors: dict[str, int] = field(default_factory=dict)
    flattened: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def is_integer(self, node: Node) -> bool:
        return node.output in self.graph.quantization

    def shape(self, node: Node, position: int = 0) -> tuple[int, ...]:
        """The ONNX shape of an input."""
        return self.graph.shape(node.inputs[position])

    def output_shape(self, node: Node) -> tuple[int, ...]:
        return self.graph.shape(node.output)

    def constant(self, node: Node, position: int) -> Constant:
        """An input that must be known when converting."""
        name = node.inputs[position]
        if name not in self.graph.constants:
            raise refusal(node, f"its input `{name}` is computed, and TFLite needs it as a constant", _SIMPLIFY)
        return self.graph.constants[name]

    def optional(self, node: Node, position: int) -> Constant | None:
        return self.constant(node, position) if len(node.inputs) > position and node.inputs[position] else None

    def integers(self, node: Node, position: int) -> list[int]:
        return [int(value) for value in self.constant(node, position).values.ravel()]

    def input(self, node: Node, position: int = 0) -> int:
        """The tensor of a computed input: int8 for an integer operator, else float."""
        name = node.inputs[position]
        if name in self.graph.constants:
            raise refusal(node, f"its input `{name}` is a constant where a computed tensor belongs", _SIMPLIFY)
        if name not in self.tensors:
            raise refusal(node, f"it reads `{name}`, an output of its operator that TFLite does not have", _SIMPLIFY)
        return self.tensors[name]

    def output(self, node: Node) -> int:
        """The new tensor that the operator fills."""
        name, scale = node.output, self.graph.quantization.get(node.output)
        self.tensors[name] = self.file.tensor(name, nhwc(self.graph.shape(name)), quantization=scale)
        return self.tensors[name]

    def emit(self, node: Node, code: str, inputs: list[int], options: Any = None, version: int = 0) -> None:
        """Append the operator that computes the node's output. By default version 2 on integers, 1 in float."""
        self.file.operator(code, version or self.version(node), inputs, [self.output(node)], options)

    def version(self, node: Node) -> int:
        return 2 if self.is_integer(node) else 1

    def give(self, node: Node, tensor: int) -> None:
        """Let the tensor be the node's output, brought to the output's scale if it has another, or none."""
        self.tensors[node.output] = self.requantized(tensor, self.graph.quantization.get(node.output))

    def requantized(self, tensor: int, quantization: Quantization | None) -> int:
        """The tensor as int8 on a scale; itself when it is on it, or when no scale is wanted.

        By way of float32, which rounds once, as onnxruntime does: QUANTIZE from int8 to int8 multiplies with few bits
        in XNNPACK and is off by one in 2% of all numbers.
        """
        current = self.file.quantization(tensor)
        if quantization is None or quantization == current:
            return tensor
        source = self.real(tensor) if current else tensor
        result = self.file.tensor("integer", self.file.shape(tensor), quantization=quantization)
        self.file.operator("QUANTIZE", 1, [source], [result], schema.QuantizeOptionsT())
        return result

    def real(self, tensor: int) -> int:
        """The int8 tensor in float32."""
        result = self.file.tensor("real", self.file.shape(tensor))
        self.file.operator("DEQUANTIZE", 2, [tensor], [result], schema.DequantizeOptionsT())
        return result

    def reshaped(self, tensor: int, shape: tuple[int, ...], name: str = "reshaped") -> int:
        """The tensor in another shape; itself when it has that shape."""
        if shape == self.file.shape(tensor):
            return tensor
        result = self.file.tensor(name, shape, quantization=self.file.quantization(tensor))
        options = schema.ReshapeOptionsT(newShape=np.array(shape, np.int32))
        self.file.operator("RESHAPE", 1, [tensor, self.indices(shape)], [result], options)
        return result

    def transposed(self, tensor: int, order: tuple[int, ...], name: str = "transposed") -> int:
        """The tensor with its axes in another order; a plain reshape when only axes of size 1 move."""
        before = self.file.shape(tensor)
        shape = tuple(before[axis] for axis in order)
        moved = [axis for axis in order if before[axis] > 1]
        if moved == sorted(moved):
            return self.reshaped(tensor, shape, name)
        quantization = self.file.quantization(tensor)
        result = self.file.tensor(name, shape, quantization=quantization)
        version = 2 if quantization else 1
        self.file.operator("TRANSPOSE", version, [tensor, self.indices(order)], [result], schema.TransposeOptionsT())
        return result

    def indices(self, values: Any) -> int:
        return self.file.constant("indices", np.asarray(values, np.int32))


_SIMPLIFY = "simplify the ONNX model first (`onnxsim`), so that everything constant is folded"
