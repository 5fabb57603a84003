"""Store weights in fewer bits than the network computes with.

Every weight is an initializer → Cast → Mul, or Cast alone, which onnxruntime works out when it loads the file: the
kernels are the float ones, at their speed. DequantizeLinear would say the same, but onnxruntime 1.32 keeps it, for the
sake of its integer kernels, and unpacks the weights anew at every inference.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ...core.errors import UserError

_LEAST = 256
"""Bytes that storing a weight otherwise must save: the two nodes and their names take about as many."""
_HIGHEST = 127
_MASKING = ("Add", "Concat", "Max", "Min", "Mul", "Pad", "Sub", "Where")
"""Operators that bring masks among numbers."""
_NEVER = 1e8
"""Magnitude from which a number in a mask is no number to compute with."""
_AXES = {"Conv": (0,), "ConvTranspose": (1,), "Gather": (0,), "GRU": (0, 1), "LSTM": (0, 1), "RNN": (0, 1)}
"""Operators with weights and the axes of those that run over outputs; see `_axes` for matrix products."""


Integers = NDArray[np.int8]
Scale = NDArray[np.float32]


def weights_only(
    model: onnx.ModelProto,
    nodes: Collection[str] | None = None,
    half: float = 0.0,
    known: Mapping[str, tuple[Integers, Scale]] = MappingProxyType({}),
) -> onnx.ModelProto:
    """Return the graph with symmetric int8 weights, one scale for each output channel: a quarter of the bytes.

    Weights of Conv, ConvTranspose, Gemm, MatMul, Gather, GRU, LSTM and RNN; with `nodes`, of those so named. Biases
    and weights too small to gain stay as they are, and so does all that the graph computes. Who else reads a stored
    weight reads the same rounded numbers. A graph without such weights comes back unchanged.

    `known` has weights that are rounded already, by name: int8 and the scale that brings them back, which broadcasts.
    `half` leaves the smallest weights, and the biases, in float16, as long as it takes no more than this share of bytes
    on top: what rounding a weight does to the answers has little to do with how many numbers it has.
    """
    copy, graph = _copied(model)
    axes: dict[str, tuple[int, ...]] = {}
    read: set[str] = set()
    for node in graph.node:
        if nodes is None or node.name in nodes:
            weights = {name: along for i, name in enumerate(node.input) if (along := _axes(node, i))}
            axes = weights | axes
            read |= set(node.input) if weights else set()
    floats = [tensor for tensor in _floats(graph) if tensor.name in read]
    rounded: list[tuple[onnx.TensorProto, Integers, Scale]] = []
    for tensor in floats:
        real = numpy_helper.to_array(tensor)
        if tensor.name not in axes or real.ndim < 2 or not np.isfinite(real).all():
            continue
        spared = {axis % real.ndim for axis in axes[tensor.name]}
        integers, scale = known.get(tensor.name) or _rounded(real, tuple(set(range(real.ndim)) - spared))
        if real.nbytes - integers.nbytes - scale.nbytes >= _LEAST:
            rounded.append((tensor, integers, scale))
        elif tensor.name in known:
            tensor.CopyFrom(numpy_helper.from_array((integers * scale).astype(np.float32), tensor.name))
    unpacking: list[onnx.NodeProto] = []
    saved = half * sum(integers.nbytes + scale.nbytes for _, integers, scale in rounded)
    for tensor, integers, scale in sorted(rounded, key=lambda entry: entry[1].size):
        saved -= integers.nbytes - scale.nbytes
        if half and saved >= 0:
            continue
        name, cast, by = (f"{tensor.name}_{word}" for word in ("int8", "cast", "scale"))
        unpacking.append(helper.make_node("Cast", [name], [cast], cast, to=TensorProto.FLOAT))
        unpacking.append(helper.make_node("Mul", [cast, by], [tensor.name], f"{tensor.name}_real"))
        graph.initializer.append(numpy_helper.from_array(scale, by))
        tensor.CopyFrom(numpy_helper.from_array(integers, name))
    if half:
        unpacking += _halved([tensor for tensor in floats if tensor.data_type == TensorProto.FLOAT])
    return _begun_with(copy, unpacking)


def float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with its float32 constants as float16, half of the bytes; it computes in float32 as before.

    Constants too small to gain stay as they are, and those with numbers beyond ±65504, which float16 does not have.
    """
    copy, graph = _copied(model)
    return _begun_with(copy, _halved(_floats(graph)))


def _halved(tensors: list[onnx.TensorProto]) -> list[onnx.NodeProto]:
    """Make initializers float16 where it gains and fits; return the nodes that bring them back."""
    casts = []
    for tensor in tensors:
        real = numpy_helper.to_array(tensor)
        if real.nbytes // 2 < _LEAST or not _fits(real):
            continue
        name = f"{tensor.name}_float16"
        casts.append(helper.make_node("Cast", [name], [tensor.name], f"{tensor.name}_real", to=TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(real.astype(np.float16), name))
    return casts


def whole_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph computed in float16, by onnxruntime's converter; inputs and outputs keep their types.

    Raises:
        UserError: a weight holds numbers beyond ±65504, which float16 does not have.
    """
    from onnxruntime.quantization.onnx_model import ONNXModel
    from onnxruntime.transformers.float16 import convert_float_to_float16

    copy, graph = _copied(model)
    masks = {name for node in graph.node if node.op_type in _MASKING for name in node.input}
    for tensor in _floats(graph):
        if tensor.name in masks:
            _bound(tensor)
        # A single number is a bound, as of a Clip: the converter brings it to the last number there is.
        if tensor.dims and not _fits(numpy_helper.to_array(tensor)):
            raise UserError(
                f"`{tensor.name}` holds numbers beyond ±65504, which float16 does not have", "write `compute: float32`"
            )
    converted = ONNXModel(convert_float_to_float16(copy, keep_io_types=True))
    converted.topological_sort()  # it puts the casts of inputs last
    half: onnx.ModelProto = converted.model
    return half


def _bound(tensor: onnx.TensorProto) -> None:
    """Clip what stands for "never" in a mask, as −1e9, to float16's end, of which a softmax makes the same zero."""
    real, end = numpy_helper.to_array(tensor), float(np.finfo(np.float16).max)
    never = np.abs(real) >= _NEVER
    if never.any() and _fits(real[~never]):
        bounded = np.where(never, real.clip(-end, end), real).astype(real.dtype)  # a single number became float64
        tensor.CopyFrom(numpy_helper.from_array(bounded, tensor.name))


def held_in(graph: onnx.GraphProto) -> set[str]:
    """Return how weights are stored, of `float32`, `float16` and `weights` (int8 that is unpacked when loading)."""
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    packed = set(stored(graph).values())
    names = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16"}
    formats = {names[kind] for kind in types.values() if kind in names}
    return formats | {"weights" for name in packed if types[name] == TensorProto.INT8}


def stored(graph: onnx.GraphProto) -> dict[str, str]:
    """Map results of Cast, or Cast and Mul, of initializers, computed when the file is loaded, to the initializer."""
    initializers = {tensor.name for tensor in graph.initializer}
    sources: dict[str, str] = {}
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in initializers:
            sources[node.output[0]] = node.input[0]
        elif node.op_type == "Mul" and node.input[0] in sources and node.input[1] in initializers:
            sources[node.output[0]] = sources[node.input[0]]
    return sources


def unpacked(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes that compute at each inference: those that bring stored weights back do when it is loaded."""
    weights = stored(graph).keys()
    return [node for node in graph.node if node.output[0] not in weights]


def _axes(node: onnx.NodeProto, position: int) -> tuple[int, ...]:
    """Return the axes of an input that run over outputs; none where the input is not a weight."""
    if node.op_type == "MatMul" and position < 2:
        return (-2,) if position == 0 else (-1,)
    if node.op_type == "Gemm" and position == 1:
        return (0,) if any(attribute.name == "transB" and attribute.i for attribute in node.attribute) else (1,)
    weights = {"Gather": (0,), "Conv": (1,), "ConvTranspose": (1,)}.get(node.op_type, (1, 2))
    return _AXES.get(node.op_type, ()) if position in weights else ()


def _rounded(real: NDArray[np.float32], over: tuple[int, ...]) -> tuple[Integers, Scale]:
    """Return int8 and the scales that bring it back, which broadcast; `over` are the axes that share a scale."""
    largest = np.abs(real).max(axis=over, keepdims=True)
    scale = np.maximum(largest / _HIGHEST, np.finfo(np.float32).tiny).astype(np.float32)
    integers: Integers = np.clip(np.rint(real / scale), -_HIGHEST, _HIGHEST).astype(np.int8)
    return integers, scale


def _fits(real: NDArray[np.float32]) -> bool:
    """Return whether float16 has all these numbers, but for a rounding."""
    return bool(np.abs(real).max(initial=0) <= np.finfo(np.float16).max)


def _copied(model: onnx.ModelProto) -> tuple[onnx.ModelProto, onnx.GraphProto]:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy, copy.graph


def _floats(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    """Return the float32 initializers; one that is an input as well may be given anew at each run."""
    inputs = {value.name for value in graph.input}
    return [
        tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT and tensor.name not in inputs
    ]


def _begun_with(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    return model
