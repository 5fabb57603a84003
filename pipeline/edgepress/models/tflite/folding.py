"""Compute what follows from constants and fixed shapes alone, such as the sizes of a Resize and the ends of a Slice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from ...core.errors import UserError, first_line

_MOST = 4096
"""Numbers of a tensor that is computed beforehand: sizes, ends and indices have fewer, and weights more."""
_KEPT = ("QuantizeLinear", "DequantizeLinear")
_TYPES = (np.int64, np.int32, np.float32, np.bool_)
Shapes = Mapping[str, tuple[int, ...]]


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with such nodes as initializers and shapes inferred anew; itself where there are none.

    Raises:
        UserError: a node that cannot be computed, by name.
    """
    while _is_open(model):
        values = _values(model)
        if not values:
            break
        model = _with(model, values)
    return model


def _is_open(model: onnx.ModelProto) -> bool:
    """Return whether a node may follow from constants and shapes, without looking at their values."""
    fixed = {tensor.name for tensor in model.graph.initializer} | {""}
    for node in model.graph.node:
        if node.op_type in ("Shape", "Size") or _is_listed(node):
            return True
        if node.op_type == "Constant":
            fixed.update(node.output)
        elif node.op_type not in _KEPT and node.input and fixed.issuperset(node.input):
            return True
    return False


def _is_listed(node: onnx.NodeProto) -> bool:
    """Return whether it is a Constant of plain numbers in place of a tensor."""
    return node.op_type == "Constant" and node.attribute[0].name.startswith(("value_int", "value_float"))


def _values(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    """Return the tensors that can be computed, by name."""
    graph = model.graph
    shapes = _shapes(onnx.shape_inference.infer_shapes(model, data_prop=True).graph)
    tensors = list(graph.initializer)
    tensors += [node.attribute[0].t for node in graph.node if node.op_type == "Constant" and not _is_listed(node)]
    names = [tensor.name for tensor in graph.initializer]
    names += [node.output[0] for node in graph.node if node.op_type == "Constant" and not _is_listed(node)]
    known: dict[str, NDArray[Any]] = {}
    for name, tensor in zip(names, tensors, strict=True):
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        if math.prod(tensor.dims) <= _MOST and dtype in _TYPES:
            known[name] = numpy_helper.to_array(tensor)
    values: dict[str, NDArray[Any]] = {}
    for node in graph.node:
        made = [name for name in node.output if name]
        if node.op_type in ("Shape", "Size") and node.input[0] in shapes:
            found: Sequence[np.ndarray] = [_measured(node, shapes[node.input[0]])]
        elif _is_listed(node) or (
            node.op_type not in (*_KEPT, "Constant")
            and node.domain in ("", "ai.onnx")
            and any(node.input)
            and all(name in known for name in node.input if name)
            and all(math.prod(shapes.get(name, (_MOST + 1,))) <= _MOST for name in made)
            and not any(attribute.HasField("g") for attribute in node.attribute)
        ):
            found = _computed(model, node, known)
        else:
            continue
        values |= dict(zip(made, found, strict=True))
        known |= {name: value for name, value in values.items() if name in made}
    return values


def _measured(node: onnx.NodeProto, shape: tuple[int, ...]) -> NDArray[Any]:
    if node.op_type == "Size":
        return np.array(math.prod(shape))
    ends = {attribute.name: attribute.i for attribute in node.attribute}
    return np.array(shape[ends.get("start") : ends.get("end")], np.int64)


def _computed(
    model: onnx.ModelProto, node: onnx.NodeProto, known: Mapping[str, NDArray[Any]]
) -> Sequence[NDArray[Any]]:
    from onnx.reference import ReferenceEvaluator

    feed = {name: known[name] for name in node.input if name}
    inputs = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in feed.items()
    ]
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name]
    alone = onnx.helper.make_graph([node], "alone", inputs, outputs)
    try:
        run = ReferenceEvaluator(onnx.helper.make_model(alone, opset_imports=model.opset_import)).run
        return [np.asarray(value) for value in run(None, feed)]
    except Exception as error:  # the evaluator's errors have no common base
        name = node.name or node.output[0]
        raise UserError(
            f"cannot convert node `{name}` ({node.op_type}): its inputs are constants, with which it cannot be "
            f"computed: {first_line(error)}",
            "mend its inputs, and export the model anew",
        ) from error


def _with(model: onnx.ModelProto, values: Mapping[str, NDArray[Any]]) -> onnx.ModelProto:
    """Return the model with these tensors as initializers, and without the nodes that made them."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    nodes = [node for node in graph.node if not values.keys() & set(node.output)]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values.items())
    shapes = _shapes(graph)
    fixed = [value for value in graph.value_info if value.name in shapes]
    del graph.value_info[:]
    graph.value_info.extend(fixed)
    return onnx.shape_inference.infer_shapes(changed, data_prop=True)


def _shapes(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """Return the shapes whose every side is fixed, by name."""
    stated = {
        value.name: [size.dim_value if size.HasField("dim_value") else -1 for size in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.input, *graph.output)
        if value.type.tensor_type.HasField("shape")
    }
    stated |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    return {name: tuple(sides) for name, sides in stated.items() if all(side >= 0 for side in sides)}
