"""Small ONNX graphs made by hand, whose size is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
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
