"""Bring inputs of a file to the form of the data, by operators in front of the graph.

Files from TensorFlow take images with channels last and ids of 32 bits; others take float16 or float64. The graph gets
the inputs that metadata describe, channels first, and a Transpose, a Reshape or a Cast before the first operator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper

from .unique_names import free_name

if TYPE_CHECKING:
    from ...data.dataset import Input

_LAST = {3: (0, 2, 1), 4: (0, 2, 3, 1)}
"""Channels first → channels last."""
_INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
_FLOATS = ("float32", "float16", "float64", "bfloat16")


@dataclass(frozen=True)
class Form:
    """What a file's input takes, and how it is made of the data's: in another order, shape and type.

    `dtype` and `shape` are of the graph's new input, which the data fill; `order` is empty where axes stay.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    order: tuple[int, ...]
    takes: tuple[int, ...]
    takes_dtype: str

    @property
    def same(self) -> bool:
        return not self.order and self.shape == self.takes and self.dtype == self.takes_dtype

    def original(self, values: np.ndarray) -> np.ndarray:
        """Return values (1, *shape) of the data as the file's own input takes them."""
        ordered = values.transpose(self.order) if self.order else values
        kind = helper.tensor_dtype_to_np_dtype(getattr(onnx.TensorProto, _element(self.takes_dtype)))
        return ordered.reshape(self.takes).astype(kind, copy=False)


def fit(name: str, dtype: str, takes: list[int], input: Input) -> Form | None:
    """Return how `input` of the data fits an input of the file with that type and shape; None where it does not."""
    fed = _fed(dtype, input)
    shape = (1, *input.shape)
    if fed is None:
        return None
    order = _LAST.get(len(shape), ()) if input.kind in ("image", "series") else ()
    if tuple(takes) == shape:
        return Form(name, fed, shape, (), shape, dtype)
    if order and tuple(takes) == tuple(shape[axis] for axis in order):
        return Form(name, fed, shape, order, tuple(takes), dtype)
    narrow = [side for side in takes if side != 1] == [side for side in shape if side != 1]
    if narrow and math.prod(takes) == math.prod(shape):
        return Form(name, fed, shape, (), tuple(takes), dtype)
    return None


def _fed(dtype: str, input: Input) -> str | None:
    """Return the type of the graph's new input."""
    if dtype == input.dtype:
        return dtype
    if input.kind == "tokens":
        return input.dtype if dtype in (*_INTEGERS, *_FLOATS, "bool") else None
    if dtype in _FLOATS:
        return input.dtype
    return "uint8" if input.kind == "image" and dtype in _INTEGERS and dtype != "int8" else None


def put_in_front(model: onnx.ModelProto, forms: list[Form]) -> None:
    """Give the graph inputs as the data fill them, and the operators that make the file's own of them."""
    graph, taken = model.graph, {name for node in model.graph.node for name in (*node.input, *node.output)}
    nodes: list[onnx.NodeProto] = []
    for form in (form for form in forms if not form.same):
        value = next(value for value in graph.input if value.name == form.name)
        steps: list[tuple[str, dict[str, object]]] = []
        if form.dtype != form.takes_dtype:
            steps.append(("Cast", {"to": getattr(onnx.TensorProto, _element(form.takes_dtype))}))
        if form.order:
            steps.append(("Transpose", {"perm": list(form.order)}))
        elif form.shape != form.takes:
            free = free_name(f"{form.name}_shape", taken)
            taken.add(free)
            shape = onnx.numpy_helper.from_array(np.array(form.takes, np.int64), free)
            graph.initializer.append(shape)
            steps.append(("Reshape", {}))
        source = form.name
        for code, attributes in steps:
            target = free_name(f"{form.name}_{code.lower()}", taken)
            taken.add(target)
            inputs = [source, shape.name] if code == "Reshape" else [source]
            nodes.append(helper.make_node(code, inputs, [target], target, **attributes))
            source = target
        for node in graph.node:
            node.input[:] = [source if name == form.name else name for name in node.input]
        kind = getattr(onnx.TensorProto, _element(form.dtype))
        value.CopyFrom(helper.make_tensor_value_info(form.name, kind, form.shape))
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])


def in_float32(model: onnx.ModelProto) -> bool:
    """Let a graph that takes or gives float16 compute in float32, which quantizers and kernels do; whether it did not.

    Weights, casts and constants change; all numbers of float16 are numbers of float32.
    """
    half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    ends = [*model.graph.input, *model.graph.output]
    if not any(value.type.tensor_type.elem_type == half for value in ends):
        return False
    _widen(model.graph, half, single)
    return True


def _widen(graph: onnx.GraphProto, half: int, single: int) -> None:
    for tensor in graph.initializer:
        _widen_tensor(tensor, half)
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type == half:
            value.type.tensor_type.elem_type = single
    for node in graph.node:
        for entry in node.attribute:
            if entry.HasField("t"):
                _widen_tensor(entry.t, half)
            if entry.HasField("g"):
                _widen(entry.g, half, single)
            if entry.name in ("to", "dtype") and entry.i == half:
                entry.i = single


def _widen_tensor(tensor: onnx.TensorProto, half: int) -> None:
    if tensor.data_type == half:
        values = onnx.numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def _element(dtype: str) -> str:
    return {"float32": "FLOAT", "float64": "DOUBLE"}.get(dtype, dtype.upper())
