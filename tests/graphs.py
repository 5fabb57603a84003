"""Small ONNX graphs made by hand, whose size is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from edgepress.data.dataset import Dataset
from onnx import TensorProto, helper, numpy_helper

CONV, GROUPED, FC = (4, 1, 3, 3), (8, 1, 3, 3), (10, 8)
PARAMETERS = 36 + 4 + 72 + 8 + 80 + 10
"""Kernel and bias of each layer."""
MACS = 8 * 8 * 36 + 4 * 4 * 72 + 80
"""A convolution does its kernel at each of the output's cells: 8 × 8, and 4 × 4 after stride 2."""


def small(
    shape: tuple[Any, ...] = (1, 1, 8, 8),
    out: tuple[Any, ...] | None = None,
    dtype: int = TensorProto.FLOAT,
    spoilt: bool = False,
) -> onnx.ModelProto:
    """Conv, Clip, grouped Conv of stride 2, ReduceMean, Gemm: from `shape` to `out`, by default (`shape[0]`, 10)."""
    random = np.random.default_rng(0)
    real = helper.tensor_dtype_to_np_dtype(dtype)

    def weight(name: str, *dims: int) -> TensorProto:
        return numpy_helper.from_array(random.normal(0, 0.5, dims).astype(real), name)

    weights = [
        weight("k1", CONV[0], shape[1] if isinstance(shape[1], int) else 1, 3, 3), weight("b1", 4),
        weight("k2", *GROUPED), weight("b2", 8),
        weight("w", *FC), weight("b", 10),
        numpy_helper.from_array(np.array(0, real), "low"), numpy_helper.from_array(np.array(6, real), "high"),
        numpy_helper.from_array(np.array([2, 3], np.int64), "axes"),
    ]  # fmt: skip
    if spoilt:
        weights[0] = numpy_helper.from_array(np.full(CONV, np.nan, np.float32), "k1")
    nodes = [
        helper.make_node("Conv", ["x", "k1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["c1", "low", "high"], ["r1"]),
        helper.make_node("Conv", ["r1", "k2", "b2"], ["c2"], pads=[1, 1, 1, 1], strides=[2, 2], group=4),
        helper.make_node("ReduceMean", ["c2", "axes"], ["m"], keepdims=0),
        helper.make_node("Gemm", ["m", "w", "b"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", dtype, (shape[0], 10) if out is None else out)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def wrapping(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` with its input rounded to 16-bit fixed point by hand: through uint16, read back as int16.

    What a negative float becomes there is open in C++: x86 wraps it, and the value survives; arm64 makes it 0.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    name = graph.input[0].name
    for node in graph.node:
        node.input[:] = ["fixed" if each == name else each for each in node.input]
    nodes = [
        helper.make_node("Mul", [name, "fixed_scale"], ["fixed_256"]),
        helper.make_node("Cast", ["fixed_256"], ["fixed_u"], to=TensorProto.UINT16),
        helper.make_node("Cast", ["fixed_u"], ["fixed_i"], to=TensorProto.INT16),
        helper.make_node("Cast", ["fixed_i"], ["fixed_f"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["fixed_f", "fixed_scale"], ["fixed"]),
    ]
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    graph.initializer.append(numpy_helper.from_array(np.float32(256), "fixed_scale"))
    onnx.checker.check_model(made)
    return made


def of_means(data: Dataset) -> onnx.ModelProto:
    """A classifier of `data` by the nearest mean of a class, in pixels: one matrix product."""
    x, y = data.input.to_model_inputs(data["train"].x), data["train"].y
    means = np.stack([x[y == label].reshape(-1, x[0].size).mean(0) for label in range(len(data.labels))])
    weights = [
        numpy_helper.from_array(means.astype(np.float32), "w"),
        numpy_helper.from_array((-0.5 * (means**2).sum(1)).astype(np.float32), "b"),
    ]
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, *x.shape[1:]))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, len(data.labels)))],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9)
