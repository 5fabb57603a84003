"""Read an ONNX graph for lowering.

Constants are read, activations fused, and DQ → operator → Q becomes one integer operator.

After `read`, an integer operator's tensors are the int8 ones, with their parameters in `Graph.quantization`; the
QuantizeLinear and DequantizeLinear nodes that are left stand where float and integer really meet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from ...core.errors import UserError
from .builder import INT8, INT16, Quantization, quantization

FLOAT = np.dtype(np.float32)


@dataclass(frozen=True)
class Constant:
    """A tensor known when converting: its numbers, and how they are quantized if they are integers.

    `packed` is a weight in fewer bits (int8 or float16) of an operator that computes in float, see `weights`; the file
    keeps it so.
    """

    name: str
    values: NDArray[Any]
    quantization: Quantization | None = None
    packed: bool = False

    @property
    def real(self) -> NDArray[Any]:
        if self.quantization:
            return self.quantization.dequantize(self.values)
        return self.values.astype(FLOAT) if self.values.dtype.kind == "f" else self.values


@dataclass
class Node:
    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]
    activation: str = "NONE"

    @property
    def output(self) -> str:
        """Return the first output; those that nobody asks for have no name."""
        return next((name for name in self.outputs if name), "")

    def __str__(self) -> str:
        return f"node `{self.name or self.output}` ({self.op})"


@dataclass
class Graph:
    """`inputs` and `outputs` keep the file's order; shapes are ONNX's; int64 counts as int32, which TFLite's take.

    `dynamic` names the packed weights that meet activations quantized as they come; all others are unpacked.
    """

    nodes: list[Node]
    inputs: dict[str, np.dtype[Any]]
    outputs: list[str]
    constants: dict[str, Constant]
    shapes: dict[str, tuple[int, ...]]
    types: dict[str, np.dtype[Any]]
    quantization: dict[str, Quantization] = field(default_factory=dict)
    dynamic: set[str] = field(default_factory=set)

    def shape(self, name: str) -> tuple[int, ...]:
        if name in self.constants:
            return self.constants[name].values.shape
        shape = self.shapes.get(name, ())
        if name not in self.shapes or any(size <= 0 for size in shape):
            raise UserError(
                f"tensor `{name}` has no fixed shape",
                "a TFLite file has fixed shapes: export the model with a fixed input shape and batch 1",
            )
        return shape

    def type(self, name: str) -> np.dtype[Any]:
        return self.types.get(name, FLOAT)

    def users(self) -> dict[str, list[Node]]:
        readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                readers.setdefault(name, []).append(node)
        return readers

    def makers(self) -> dict[str, Node]:
        return {name: node for node in self.nodes for name in node.outputs}

    def limits(self, node: Node) -> tuple[float, float]:
        """Return the bounds of a Relu or Clip."""
        if node.op == "Relu":
            return 0.0, np.inf
        bounds = [-np.inf, np.inf]
        for position, name in enumerate(node.inputs[1:3]):
            if name:
                bounds[position] = float(self.constants[name].real)
        return bounds[0], bounds[1]

    def parameters(self, node: Node) -> Quantization:
        """Return scale and zero point of a QuantizeLinear or DequantizeLinear node."""
        for name in filter(None, node.inputs[1:]):
            if name not in self.constants:
                raise UserError(
                    f"cannot convert {node}: its scale or zero point `{name}` is computed",
                    "quantize with constant scales, as `quantize.static` does",
                )
        scale = self.constants[node.inputs[1]].values
        zero_point = self._zero_point(node)
        if zero_point.dtype not in (np.int8, np.int16, np.int32):
            raise UserError(
                f"cannot convert {node}: it quantizes to {zero_point.dtype}, and TFLite's kernels work on int8",
                "quantize with int8 activations and int8 weights (the preset `xnnpack`)",
            )
        if zero_point.dtype == INT16 and zero_point.any():
            raise UserError(
                f"cannot convert {node}: its int16 zero point is not 0, as TFLite's kernels have it",
                "quantize with `ActivationSymmetric`, as `quantize.int16` does",
            )
        if node.attributes.get("block_size", 0):
            raise UserError(
                f"cannot convert {node}: it has a scale for each block of {node.attributes['block_size']} numbers, and "
                "TFLite's kernels have one for each channel",
                "quantize by channel, without `block_size`",
            )
        kind = INT16 if zero_point.dtype == INT16 else INT8
        axis = node.attributes.get("axis", 1) % len(self.shape(node.inputs[0])) if scale.size > 1 else 0
        return quantization(scale, zero_point, axis, kind)

    def _zero_point(self, node: Node) -> NDArray[Any]:
        """Return the zero point of a QuantizeLinear or DequantizeLinear; one that is left out is 0, of its integers."""
        source, stated = node.inputs[0], node.inputs[2] if len(node.inputs) > 2 else ""
        if stated in self.constants:
            return self.constants[stated].values
        dtype = self.types.get(source, np.dtype(np.uint8))
        quantizers = [each for each in self.nodes if each.op == "QuantizeLinear" and source in each.outputs]
        if node.op == "QuantizeLinear":
            kind = node.attributes.get("output_dtype", TensorProto.UINT8)
            dtype = onnx.helper.tensor_dtype_to_np_dtype(kind or TensorProto.UINT8)
        elif source in self.constants:
            dtype = self.constants[source].values.dtype
        elif source in self.quantization:  # of an integer operator, which has taken the place of its QuantizeLinear
            dtype = self.quantization[source].type
        elif quantizers:
            dtype = self._zero_point(quantizers[0]).dtype
        return np.zeros((), dtype)


def constant(name: str, tensor: onnx.TensorProto) -> Constant:
    values = numpy_helper.to_array(tensor)
    return Constant(name, values.astype(FLOAT) if values.dtype == np.float64 else values)


def narrow(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in the file: ids and indices are int32 there, and numbers float32."""
    return {np.dtype(np.int64): np.dtype(np.int32), np.dtype(np.float64): FLOAT}.get(dtype, dtype)
