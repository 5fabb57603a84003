"""Hold the state of a lowering: its tensors, and shared helpers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ...core.errors import UserError
from .builder import INT8, Builder, Quantization, quantization
from .graph import Constant, Graph, Node, narrow
from .layout import TO_FIRST, TO_LAST
from .versions import version as version_of


def refusal(node: Node, why: str, help: str) -> UserError:
    return UserError(f"cannot convert {node}: {why}", help)


@dataclass
class Lowering:
    """One conversion under way.

    Attributes:
        last: the ONNX names whose tensors have channels last in the file; see `layout`.
        tensors: ONNX name → index in the file.
        flattened: tensors flattened with channels last → their ONNX shape before; whoever reads one permutes its
            weights.
    """

    graph: Graph
    last: set[str]
    file: Builder = field(default_factory=Builder)
    tensors: dict[str, int] = field(default_factory=dict)
    flattened: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _moved: dict[int, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    _reshaped: dict[int, int] = field(default_factory=dict)

    def is_integer(self, node: Node) -> bool:
        return node.output in self.graph.quantization

    def is_last(self, node: Node) -> bool:
        return node.output in self.last

    def axis(self, node: Node, axis: int) -> int:
        """Return the file's axis for an ONNX axis of the operator's result."""
        rank = len(self.output_shape(node))
        return TO_LAST[rank].index(axis % rank) if self.is_last(node) else axis % rank

    def shape(self, node: Node, position: int = 0) -> tuple[int, ...]:
        """Return the ONNX shape of an input."""
        return self.graph.shape(node.inputs[position])

    def output_shape(self, node: Node) -> tuple[int, ...]:
        return self.graph.shape(node.output)

    def file_shape(self, name: str) -> tuple[int, ...]:
        shape = self.graph.shape(name)
        return tuple(shape[axis] for axis in TO_LAST[len(shape)]) if name in self.last else shape

    def constant(self, node: Node, position: int) -> Constant:
        """Return an input that must be known when converting."""
        name = node.inputs[position]
        if name not in self.graph.constants:
            raise refusal(node, f"its input `{name}` is computed, and TFLite needs it as a constant", _SIMPLIFY)
        return self.graph.constants[name]

    def optional(self, node: Node, position: int) -> Constant | None:
        return self.constant(node, position) if len(node.inputs) > position and node.inputs[position] else None

    def integers(self, node: Node, position: int) -> list[int]:
        return [int(value) for value in self.constant(node, position).values.ravel()]

    def input(self, node: Node, position: int = 0, last: bool | None = None) -> int:
        """Return the tensor of a computed input: int8 for an integer operator, else float.

        Its channels are last when `last` says so; by default as in the operator's result.
        """
        name = node.inputs[position]
        if name in self.graph.constants:
            raise refusal(node, f"its input `{name}` is a constant where a computed tensor belongs", _SIMPLIFY)
        if name not in self.tensors:
            raise refusal(node, f"it reads `{name}`, an output of its operator that TFLite does not have", _SIMPLIFY)
        return self.ordered(name, self.is_last(node) if last is None else last)

    def integers_behind(self, name: str) -> str:
        """Return the name of the int8 tensor that a DequantizeLinear makes this one of by one scale, else its own.

        The order of its numbers is that of the real ones.
        """
        maker = self.graph.makers().get(name)
        if maker is None or maker.op != "DequantizeLinear":
            return name
        scale = self.graph.parameters(maker)
        return maker.inputs[0] if scale.type == INT8 and scale.scale.size == 1 else name

    def plain(self, node: Node, position: int) -> int:
        """Return an input in float, computed or constant, with its axes as in ONNX."""
        constant = self.graph.constants.get(node.inputs[position])
        if constant is None:
            return self.input(node, position, last=False)
        return self.file.constant(constant.name, constant.real.astype(np.float32))

    def ordered(self, name: str, last: bool) -> int:
        tensor, rank = self.tensors[name], len(self.graph.shape(name))
        if rank not in TO_LAST or last == (name in self.last):
            return tensor
        return self.transposed(tensor, (TO_LAST if last else TO_FIRST)[rank])

    def operand(self, node: Node, position: int) -> int:
        """Return an input, computed or constant, that is broadcast to the operator's result."""
        name, rank = node.inputs[position], len(self.output_shape(node))
        last = self.is_last(node)
        if name in self.graph.constants:
            return self._constant_operand(node, self.graph.constants[name])
        missing = rank - len(self.shape(node, position))
        if not last or not missing:
            return self.input(node, position, last)
        full = self.reshaped(self.input(node, position, last=False), (1,) * missing + self.shape(node, position))
        return self.transposed(full, TO_LAST[rank])

    def _constant_operand(self, node: Node, constant: Constant) -> int:
        values, scales = constant.values, constant.quantization
        if not self.is_integer(node):
            if constant.packed and not self.is_last(node):
                return self.unpacked(constant)
            values, scales = constant.real, None
        else:
            wanted = self.graph.quantization[node.output]
            if values.size == 1 and (scales is None or scales.type != wanted.type):
                value = constant.real
                scales = quantization(abs(float(value.item())) / wanted.limits[1] or 1.0, type=wanted.type)
                values = scales.quantize(value)
            elif scales is None or scales.type != wanted.type:
                largest = float(np.abs(constant.real).max()) / wanted.limits[1] or 1.0
                scales = wanted if wanted.type == INT8 else quantization(largest, type=wanted.type)
                values = scales.quantize(constant.real)
        if self.is_last(node):
            rank = len(self.output_shape(node))
            values = values.reshape((1,) * (rank - values.ndim) + values.shape).transpose(TO_LAST[rank])
        return self.file.constant(constant.name, values.astype(narrow(values.dtype)), scales)

    def emit(
        self,
        node: Node,
        code: str,
        inputs: list[int],
        options: Any = None,
        version: int = 0,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        """Append the operator that computes the node's output, by default in the version for its numbers' type.

        `shape` is that of the TFLite operator's result where it has other axes than the node's.
        """
        name, final = node.output, self.file_shape(node.output)
        scale = self.graph.quantization.get(name)
        shape = shape or final
        result = self.file.tensor(name if shape == final else code.lower(), shape, self.graph.type(name), scale)
        self.file.operator(code, version or version_of(code, scale), inputs, [result], options)
        self.tensors[name] = self.reshaped(result, final)

    def give(self, node: Node, tensor: int) -> None:
        """Make the tensor the node's output, brought to the output's scale if it has another, or none."""
        self.tensors[node.output] = self.requantized(tensor, self.graph.quantization.get(node.output))

    def requantized(self, tensor: int, quantization: Quantization | None) -> int:
        """Return the tensor as integers on a scale; itself when it is on it, or when no scale is wanted.

        By way of float32, which rounds once, as onnxruntime does: QUANTIZE from int8 to int8 multiplies with few bits
        in XNNPACK and is off by one in 2% of all numbers.
        """
        current = self.file.quantization(tensor)
        if quantization is None or quantization == current:
            return tensor
        source = self.real(tensor) if current else tensor
        result = self.file.tensor("integer", self.file.shape(tensor), quantization=quantization)
        self.file.operator(
            "QUANTIZE", version_of("QUANTIZE", quantization), [source], [result], schema.QuantizeOptionsT()
        )
        return result

    def real(self, tensor: int) -> int:
        """Return the integer tensor in float32."""
        result = self.file.tensor("real", self.file.shape(tensor))
        version = version_of("DEQUANTIZE", self.file.quantization(tensor))
        self.file.operator("DEQUANTIZE", version, [tensor], [result], schema.DequantizeOptionsT())
        return result

    def unpacked(self, constant: Constant) -> int:
        """Return a constant in float32; a packed one by a DEQUANTIZE, which runs once, when the file is loaded."""
        if not constant.packed:
            return self.file.constant(constant.name, constant.real)
        stored = self.file.constant(f"{constant.name}_packed", constant.values, constant.quantization)
        result = self.file.tensor(constant.name, constant.values.shape)
        version = 3
        if constant.quantization:
            version = 5 if constant.quantization.scale.size > 1 else 2
        self.file.operator("DEQUANTIZE", version, [stored], [result], schema.DequantizeOptionsT())
        return result

    def reshaped(self, tensor: int, shape: tuple[int, ...], name: str = "reshaped") -> int:
        """Return the tensor in another shape; itself, or its source before a reshape, when that has the shape."""
        if shape == self.file.shape(tensor):
            return tensor
        source = self._reshaped.get(tensor, tensor)
        if shape == self.file.shape(source):
            return source
        result = self.file.like(source, name, shape)
        options = schema.ReshapeOptionsT(newShape=np.array(shape, np.int32))
        self.file.operator("RESHAPE", 1, [source, self.indices(shape)], [result], options)
        self._reshaped[result] = source
        return result

    def transposed(self, tensor: int, order: tuple[int, ...], name: str = "transposed") -> int:
        """Return the tensor with its axes in another order; a plain reshape when only axes of size 1 move.

        One that was transposed before is taken from where it came, so that there and back is nothing at all.
        """
        source, before = self._moved.get(tensor, (tensor, tuple(range(len(order)))))
        order = tuple(before[axis] for axis in order)
        sizes = self.file.shape(source)
        if order == tuple(range(len(order))):
            return source
        shape = tuple(sizes[axis] for axis in order)
        moved = [axis for axis in order if sizes[axis] > 1]
        if moved == sorted(moved):
            result = self.reshaped(source, shape, name)
        else:
            result = self.file.like(source, name, shape)
            inputs = [source, self.indices(order)]
            version = version_of("TRANSPOSE", self.file.quantization(source))
            self.file.operator("TRANSPOSE", version, inputs, [result], schema.TransposeOptionsT())
        self._moved[result] = source, order
        return result

    def cut(self, tensor: int, starts: Any, shape: tuple[int, ...]) -> int:
        """Cut a part of that shape out of the tensor."""
        if shape == self.file.shape(tensor):
            return tensor
        result = self.file.like(tensor, "cut", shape)
        version = version_of("SLICE", self.file.quantization(tensor))
        inputs = [tensor, self.indices(starts), self.indices(shape)]
        self.file.operator("SLICE", version, inputs, [result], schema.SliceOptionsT())
        return result

    def taken(self, tensor: int, axis: int, chosen: Any) -> int:
        """Take slices along an axis of the file, by their numbers."""
        shape = self.file.shape(tensor)
        result = self.file.like(tensor, "taken", (*shape[:axis], len(chosen), *shape[axis + 1 :]))
        version = version_of("GATHER", self.file.quantization(tensor))
        options = schema.GatherOptionsT(axis=axis)
        self.file.operator("GATHER", version, [tensor, self.indices(chosen)], [result], options)
        return result

    def indices(self, values: Any) -> int:
        return self.file.constant("indices", np.asarray(values, np.int32))


_SIMPLIFY = "simplify the ONNX model first (`onnxsim`), so that everything constant is folded"
