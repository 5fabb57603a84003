"""Lower operators that work on each number by itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from ..builder import INT16, Quantization
from ..graph import Node, narrow
from ..layout import IMAGE
from ..lowering import Lowering, refusal
from ..passes import FUSED
from ..versions import version as version_of
from .dense import activation
from .formula import apply

Lower = Callable[[Lowering, Node], None]
_STEEP = 2**8
"""Steps of the result in one of an input, or of a product, from which XNNPACK leaves an operator to TFLite."""


def arithmetic(code: str, options: type[Any]) -> Lower:
    """Lower Add, Mul, Sub, Div of two tensors, either of which may be a constant."""

    def lower(lowering: Lowering, node: Node) -> None:
        inputs = [lowering.operand(node, position) for position in range(2)]
        arguments = options(fusedActivationFunction=activation(node))
        scale = lowering.graph.quantization.get(node.output)
        if scale and _is_steep(lowering, code, inputs, scale):
            result = lowering.file.tensor(node.output, lowering.file_shape(node.output))
            lowering.file.operator(code, 1, [lowering.real(tensor) for tensor in inputs], [result], arguments)
            lowering.give(node, _within(lowering, result, scale))
            return
        if scale and scale.type == INT16 and code in ("ADD", "SUB"):
            arguments.potScaleInt16 = False
        lowering.emit(node, code, inputs, arguments)

    return lower


def _is_steep(lowering: Lowering, code: str, inputs: list[int], result: Quantization) -> bool:
    """Whether a step of an input, or of a product, is so many of the result that integer kernels end or overflow.

    TFLite's own abort at 2^19 (ADD, int16: 2^14) and overflow at 2^15 (MUL).
    """
    scales = [float(found.scale.max()) for tensor in inputs if (found := lowering.file.quantization(tensor))]
    most = math.prod(scales) if code == "MUL" else max(scales, default=0.0)
    return most >= _STEEP * float(result.scale.min())


def _within(lowering: Lowering, tensor: int, result: Quantization) -> int:
    """Return the float tensor, cut where the integers end: QUANTIZE would overflow from 2^31 steps on."""
    for code, end in zip(("MAXIMUM", "MINIMUM"), result.limits, strict=True):
        bound = lowering.file.constant(code.lower(), ((end - result.zero_point) * result.scale).astype(np.float32))
        cut = lowering.file.like(tensor, code.lower())
        lowering.file.operator(code, 1, [tensor, bound], [cut], schema.MaximumMinimumOptionsT())
        tensor = cut
    return tensor


def elementwise(code: str, options: type[Any] | None = None, version: int = 1) -> Lower:
    """Lower to the operator of the same name and inputs, broadcast to the result; in float or on truth values."""

    def lower(lowering: Lowering, node: Node) -> None:
        inputs = [lowering.operand(node, position) for position in range(len(node.inputs))]
        lowering.emit(node, code, inputs, options() if options else None, version)

    return lower


def power(lowering: Lowering, node: Node) -> None:
    """Lower Pow; TFLite's takes two numbers of one type, ONNX's an exponent of any since operator set 12."""
    (base, exponent), wanted = node.inputs, lowering.graph.type(node.output)
    constant = lowering.graph.constants.get(exponent)
    given = narrow(constant.real.dtype) if constant else lowering.graph.type(exponent)
    # Cut to whole numbers, a power of ½ would be one of 0.
    if wanted.kind != "f" and given.kind == "f" and (constant is None or (constant.real % 1).any()):
        raise refusal(node, f"it raises {wanted} to a power that is no integer", "cast to float32 before it")
    if constant and given != wanted:
        name = f"{exponent}_as_{wanted}"
        lowering.graph.constants[name] = replace(
            constant, name=name, values=constant.real.astype(wanted), quantization=None, packed=False
        )
        node = replace(node, inputs=[base, name])
    operands = [lowering.operand(node, position) for position in range(2)]
    if given != wanted and not constant:
        operands[1] = apply(lowering, "CAST", [operands[1]], None, schema.CastOptionsT(), wanted)
    lowering.emit(node, "POW", operands, schema.PowOptionsT(), 1)


def chain(code: str) -> Lower:
    """Lower Max, Min and Sum, two tensors at a time."""
    options = schema.AddOptionsT if code == "ADD" else schema.MaximumMinimumOptionsT

    def lower(lowering: Lowering, node: Node) -> None:
        tensor, *rest = [lowering.operand(node, position) for position in range(len(node.inputs))]
        for position, operand in enumerate(rest):
            if position == len(rest) - 1:
                lowering.emit(node, code, [tensor, operand], options())
                return
            shape = np.broadcast_shapes(lowering.file.shape(tensor), lowering.file.shape(operand))
            result = lowering.file.like(tensor, code.lower(), shape)
            lowering.file.operator(code, 1, [tensor, operand], [result], options())
            tensor = result
        lowering.give(node, tensor)

    return lower


def unary(code: str, options: type[Any] | None = None, version: int = 0) -> Lower:
    def lower(lowering: Lowering, node: Node) -> None:
        lowering.emit(node, code, [lowering.input(node)], options() if options else None, version)

    return lower


def softmax(code: str, options: Callable[[], Any]) -> Lower:
    """Lower Softmax or LogSoftmax; TFLite's run over the last axis, any other is brought there and back."""

    def lower(lowering: Lowering, node: Node) -> None:
        tensor, axis = lowering.input(node), lowering.axis(node, node.attributes.get("axis", -1))
        rank = len(lowering.shape(node))
        if axis == rank - 1:
            lowering.emit(node, code, [tensor], options())
            return
        order = (*(place for place in range(rank) if place != axis), axis)
        source = lowering.transposed(tensor, order)
        scale = lowering.graph.quantization.get(node.output)
        result = lowering.file.tensor(code.lower(), lowering.file.shape(source), quantization=scale)
        lowering.file.operator(code, version_of(code, scale), [source], [result], options())
        lowering.give(node, lowering.transposed(result, tuple(int(place) for place in np.argsort(order))))

    return lower


def clip(lowering: Lowering, node: Node) -> None:
    """Lower Relu and Clip that stand alone. On integers they come after the rounding, which keeps the order."""
    wanted = lowering.graph.quantization.get(node.output)
    if lowering.graph.type(node.output).kind != "f" and not wanted:
        raise refusal(node, f"it clips {lowering.graph.type(node.output)}", "cast to float32 before it")
    tensor = lowering.requantized(lowering.input(node), wanted)
    low, high = lowering.graph.limits(node)
    if wanted is None and (low, high) in FUSED:
        lowering.emit(node, FUSED[low, high], [tensor])
        return
    ends = wanted.limits if wanted else (0, 0)
    for code, bound, end in (("MAXIMUM", low, ends[0]), ("MINIMUM", high, ends[1])):
        if np.isfinite(bound) and not (wanted and wanted.quantize(np.array(bound)) == end):
            tensor = _with(lowering, tensor, code, np.array([bound]), schema.MaximumMinimumOptionsT())
    lowering.tensors[node.output] = tensor


def hard_sigmoid(lowering: Lowering, node: Node) -> None:
    """Lower max(0, min(1, alpha·x + beta)) as Relu6(6·alpha·x + 6·beta) / 6; TFLite has no operator for it."""
    alpha, beta = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    tensor = lowering.input(node)
    if abs(6 * alpha - 1) > 1e-6:
        tensor = _with(lowering, tensor, "MUL", np.array([6 * alpha]), schema.MulOptionsT())
    relu6 = schema.AddOptionsT(fusedActivationFunction=schema.ActivationFunctionType.RELU6)
    tensor = _with(lowering, tensor, "ADD", np.array([6 * beta]), relu6)
    lowering.tensors[node.output] = _with(lowering, tensor, "MUL", np.array([1 / 6]), schema.MulOptionsT())


def batch_norm(lowering: Lowering, node: Node) -> None:
    """Lower x·scale + shift per channel, where the simplifier has no convolution to fold it into."""
    if len(lowering.shape(node)) > IMAGE:
        # The file keeps ONNX's order of such axes, whose last is not the channels.
        raise refusal(
            node, f"its input has the shape {list(lowering.shape(node))}, and 4 axes are the most that are in the set",
            "write a 3-D network as a 2-D one",
        )  # fmt: skip
    gamma, beta, mean, variance = (lowering.constant(node, position).real for position in range(1, 5))
    scale = gamma / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    tensor = _with(lowering, lowering.input(node), "MUL", scale, schema.MulOptionsT())
    lowering.tensors[node.output] = _with(lowering, tensor, "ADD", beta - mean * scale, schema.AddOptionsT())


def quantize(lowering: Lowering, node: Node) -> None:
    lowering.emit(node, "QUANTIZE", [lowering.input(node)], schema.QuantizeOptionsT())


def dequantize(lowering: Lowering, node: Node) -> None:
    source = lowering.input(node)
    version = version_of("DEQUANTIZE", lowering.file.quantization(source))
    lowering.emit(node, "DEQUANTIZE", [source], schema.DequantizeOptionsT(), version)


def cast(lowering: Lowering, node: Node) -> None:
    """Lower casts between float32, int32 (for int64 too), uint8 and truth values."""
    wanted = narrow(onnx.helper.tensor_dtype_to_np_dtype(node.attributes["to"]))
    if wanted not in (np.float32, np.int32, np.uint8, np.bool_):
        raise refusal(node, f"it casts to {wanted}, which is not in the set", "keep the network in float32")
    if wanted == lowering.graph.type(node.inputs[0]):
        lowering.give(node, lowering.input(node))
    else:
        lowering.emit(node, "CAST", [lowering.input(node)], schema.CastOptionsT(), version=1)


def _with(lowering: Lowering, tensor: int, code: str, values: NDArray[Any], options: Any) -> int:
    """Apply an operator to the tensor and numbers along its last axis; the result is on the same scale."""
    scale = lowering.file.quantization(tensor)
    stored = scale.quantize(values) if scale else values.astype(np.float32)
    constant = lowering.file.constant(f"{code.lower()}_by", stored, scale)
    result = lowering.file.like(tensor, code.lower())
    lowering.file.operator(code, version_of(code, scale), [tensor, constant], [result], options)
    return result
