"""ONNX files whose operators get what they cannot bear, as constants and as values that exist at run time only."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.torture.campaigns import hostile_graphs
from tests.torture.campaigns.networks import real
from tests.torture.places import CLASSES, FEATURES, model

Case = tuple[list[onnx.NodeProto], dict[str, Any]]
node = helper.make_node
LOWEST = -(2**31)


def i32(*values: int) -> Any:
    return np.array(values if len(values) != 1 else values[0], np.int32)


def i64(*values: int) -> Any:
    return np.array(values, np.int64)


def f32(*values: float) -> Any:
    return np.array(values if len(values) != 1 else values[0], np.float32)


CASES: dict[str, Case] = {
    "divide lowest": ([node("Div", ["a", "b"], ["y"])], {"a": i32(LOWEST), "b": i32(-1)}),
    "divide lowest 64": ([node("Div", ["a", "b"], ["y"])], {"a": i64(-(2**63)), "b": i64(-1)}),
    "divide by zero": ([node("Div", ["a", "b"], ["y"])], {"a": i32(7), "b": i32(0)}),
    "modulo lowest": ([node("Mod", ["a", "b"], ["y"])], {"a": i32(LOWEST), "b": i32(-1)}),
    "modulo zero": ([node("Mod", ["a", "b"], ["y"])], {"a": i64(7), "b": i64(0)}),
    "power": ([node("Pow", ["a", "b"], ["y"])], {"a": i32(LOWEST), "b": i32(2**31 - 1)}),
    "shift": ([node("BitShift", ["a", "b"], ["y"], direction="LEFT")], {"a": np.array([1], np.uint64), "b": np.array([200], np.uint64)}),
    "constant of shape": ([node("ConstantOfShape", ["s"], ["y"])], {"s": i64(2**16, 2**15)}),
    "constant of shape overflow": ([node("ConstantOfShape", ["s"], ["y"])], {"s": i64(2**32, 2**32)}),
    "constant of negative shape": ([node("ConstantOfShape", ["s"], ["y"])], {"s": i64(-5, 3)}),
    "expand": ([node("Expand", ["a", "s"], ["y"])], {"a": f32(1), "s": i64(2**15, 2**15)}),
    "expand overflow": ([node("Expand", ["a", "s"], ["y"])], {"a": f32(1), "s": i64(2**31, 2**31, 4)}),
    "tile": ([node("Tile", ["a", "s"], ["y"])], {"a": f32(1, 2), "s": i64(2**29)}),
    "tile negative": ([node("Tile", ["a", "s"], ["y"])], {"a": f32(1, 2), "s": i64(-1)}),
    "range": ([node("Range", ["a", "b", "c"], ["y"])], {"a": np.int64(0), "b": np.int64(2**40), "c": np.int64(1)}),
    "range without step": ([node("Range", ["a", "b", "c"], ["y"])], {"a": np.int64(0), "b": np.int64(9), "c": np.int64(0)}),
    "range nan": ([node("Range", ["a", "b", "c"], ["y"])], {"a": f32(0), "b": f32(np.nan), "c": f32(1e-30)}),
    "resize": ([node("Resize", ["a", "", "s"], ["y"])], {"a": np.ones((1, 1, 4, 4), np.float32), "s": f32(1, 1, 1e4, 1e4)}),
    "resize negative": ([node("Resize", ["a", "", "s"], ["y"])], {"a": np.ones((1, 1, 4, 4), np.float32), "s": f32(1, 1, -1, np.nan)}),
    "resize to nothing": ([node("Resize", ["a", "", "", "s"], ["y"])], {"a": np.ones((1, 1, 4, 4), np.float32), "s": i64(1, 1, 0, -7)}),
    "pad": ([node("Pad", ["a", "p"], ["y"])], {"a": f32(1, 2), "p": i64(2**29, 2**29)}),
    "pad negative": ([node("Pad", ["a", "p"], ["y"])], {"a": f32(1, 2), "p": i64(-(2**62), 3)}),
    "pad reflect": ([node("Pad", ["a", "p"], ["y"], mode="reflect")], {"a": f32(1, 2), "p": i64(100, 2**20)}),
    "gather outside": ([node("Gather", ["a", "i"], ["y"])], {"a": f32(1, 2), "i": i64(2**40)}),
    "gather before": ([node("Gather", ["a", "i"], ["y"])], {"a": f32(1, 2), "i": i64(-(2**63))}),
    "gather elements": ([node("GatherElements", ["a", "i"], ["y"])], {"a": f32(1, 2), "i": i64(9)}),
    "gather nd": ([node("GatherND", ["a", "i"], ["y"])], {"a": np.ones((2, 2), np.float32), "i": np.array([[2**62, -9]])}),
    "scatter nd": ([node("ScatterND", ["a", "i", "u"], ["y"])], {"a": f32(1, 2), "i": np.array([[2**40]]), "u": f32(1, 1)[:1]}),
    "scatter elements": ([node("ScatterElements", ["a", "i", "u"], ["y"])], {"a": f32(1, 2), "i": i64(-99), "u": np.ones(1, np.float32)}),
    "one hot": ([node("OneHot", ["i", "d", "v"], ["y"])], {"i": i64(1), "d": np.int64(2**31), "v": f32(0, 1)}),
    "one hot negative": ([node("OneHot", ["i", "d", "v"], ["y"])], {"i": i64(1), "d": np.int64(-3), "v": f32(0, 1)}),
    "slice": ([node("Slice", ["a", "b", "c", "d", "e"], ["y"])], {"a": f32(1, 2), "b": i64(-(2**63)), "c": i64(2**63 - 1), "d": i64(0), "e": i64(-(2**63))}),
    "slice axis": ([node("Slice", ["a", "b", "c", "d"], ["y"])], {"a": f32(1, 2), "b": i64(0), "c": i64(1), "d": i64(2**40)}),
    "reshape": ([node("Reshape", ["a", "s"], ["y"])], {"a": f32(1, 2), "s": i64(2**62, 2**62, -1)}),
    "reshape minus two": ([node("Reshape", ["a", "s"], ["y"])], {"a": f32(1, 2), "s": i64(-2, -1)}),
    "split": ([node("Split", ["a", "s"], ["y", "z"])], {"a": f32(1, 2), "s": i64(-1, 3)}),
    "top k": ([node("TopK", ["a", "k"], ["y", "i"])], {"a": f32(1, 2), "k": i64(2**40)}),
    "top k negative": ([node("TopK", ["a", "k"], ["y", "i"])], {"a": f32(1, 2), "k": i64(-1)}),
    "cumulative sum": ([node("CumSum", ["a", "k"], ["y"])], {"a": f32(1, 2), "k": i32(99)}),
    "squeeze": ([node("Squeeze", ["a", "k"], ["y"])], {"a": f32(1, 2), "k": i64(-(2**62))}),
    "unsqueeze": ([node("Unsqueeze", ["a", "k"], ["y"])], {"a": f32(1, 2), "k": i64(2**40)}),
    "einsum": ([node("Einsum", ["a", "a"], ["y"], equation="...i,->....j")], {"a": f32(1, 2)}),
    "einsum letters": ([node("Einsum", ["a"], ["y"], equation="i" * 5000)], {"a": f32(1, 2)}),
    "convolution without stride": ([node("Conv", ["a", "k"], ["y"], strides=[0, 0])], {"a": np.ones((1, 1, 4, 4), np.float32), "k": np.ones((1, 1, 2, 2), np.float32)}),
    "convolution dilated": ([node("Conv", ["a", "k"], ["y"], dilations=[2**31, -1])], {"a": np.ones((1, 1, 4, 4), np.float32), "k": np.ones((1, 1, 2, 2), np.float32)}),
    "convolution of no group": ([node("Conv", ["a", "k"], ["y"], group=0)], {"a": np.ones((1, 1, 4, 4), np.float32), "k": np.ones((1, 1, 2, 2), np.float32)}),
    "convolution padded": ([node("Conv", ["a", "k"], ["y"], pads=[2**14] * 4)], {"a": np.ones((1, 1, 4, 4), np.float32), "k": np.ones((1, 1, 2, 2), np.float32)}),
    "transposed convolution": ([node("ConvTranspose", ["a", "k"], ["y"], strides=[2**20, 2**20])], {"a": np.ones((1, 1, 4, 4), np.float32), "k": np.ones((1, 1, 2, 2), np.float32)}),
    "pool of nothing": ([node("MaxPool", ["a"], ["y"], kernel_shape=[0, 0])], {"a": np.ones((1, 1, 4, 4), np.float32)}),
    "pool with pads": ([node("AveragePool", ["a"], ["y"], kernel_shape=[2, 2], pads=[-9, 2**31, 5, 5])], {"a": np.ones((1, 1, 4, 4), np.float32)}),
    "space to depth": ([node("DepthToSpace", ["a"], ["y"], blocksize=0)], {"a": np.ones((1, 4, 4, 4), np.float32)}),
    "empty product": ([node("MatMul", ["a", "b"], ["y"])], {"a": np.ones((2, 0), np.float32), "b": np.ones((0, 3), np.float32)}),
    "huge product": ([node("MatMul", ["a", "b"], ["y"])], {"a": np.ones((40000, 1), np.float32), "b": np.ones((1, 40000), np.float32)}),
    "batch norm": ([node("BatchNormalization", ["a", "b", "b", "b", "b"], ["y"])], {"a": np.ones((1, 3, 2, 2), np.float32), "b": f32(1, 2)}),
    "lstm": ([node("LSTM", ["a", "b", "b"], ["y"], hidden_size=0)], {"a": np.ones((1, 1, 4), np.float32), "b": np.ones((1, 16, 4), np.float32)}),
    "gru": ([node("GRU", ["a", "b", "b"], ["y"], hidden_size=2**31)], {"a": np.ones((1, 1, 4), np.float32), "b": np.ones((1, 12, 4), np.float32)}),
    "quantize by nothing": ([node("QuantizeLinear", ["a", "s"], ["q"]), node("DequantizeLinear", ["q", "s"], ["y"])], {"a": f32(1, 2), "s": f32(0)}),
    "quantize by nan": ([node("QuantizeLinear", ["a", "s"], ["q"]), node("DequantizeLinear", ["q", "s"], ["y"])], {"a": f32(1, 2), "s": f32(np.nan)}),
    "clip": ([node("Clip", ["a", "b", "c"], ["y"])], {"a": f32(1, 2), "b": f32(np.inf), "c": f32(-np.inf)}),
    "not a number": ([node("Add", ["a", "b"], ["y"])], {"a": f32(np.nan), "b": f32(np.inf)}),
    "overflow": ([node("Mul", ["a", "a"], ["y"])], {"a": f32(3e38)}),
    "cast to nothing": ([node("Cast", ["a"], ["y"], to=99)], {"a": f32(1)}),
    "cast nan": ([node("Cast", ["a"], ["y"], to=TensorProto.INT32)], {"a": f32(np.nan, 1e30)}),
    "cast to text": ([node("Cast", ["a"], ["t"], to=TensorProto.STRING), node("Cast", ["t"], ["y"], to=1)], {"a": f32(np.nan)}),
    "trilu": ([node("Trilu", ["a", "k"], ["y"])], {"a": np.ones((2, 2), np.float32), "k": np.int64(-(2**63))}),
    "eye": ([node("EyeLike", ["a"], ["y"], k=-(2**62))], {"a": np.ones((2, 2), np.float32)}),
    "hann": ([node("HannWindow", ["a"], ["y"])], {"a": np.int64(-5)}),
    "dft": ([node("DFT", ["a", "n"], ["y"])], {"a": np.ones((1, 4, 1), np.float32), "n": np.int64(2**40)}),
    "roi": ([node("RoiAlign", ["a", "r", "i"], ["y"], output_height=2**20, output_width=2**12)], {"a": np.ones((1, 1, 4, 4), np.float32), "r": np.full((1, 4), 1e30, np.float32), "i": i64(2**40)}),
    "grid": ([node("GridSample", ["a", "g"], ["y"])], {"a": np.ones((1, 1, 4, 4), np.float32), "g": np.full((1, 2, 2, 2), np.nan, np.float32)}),
    "suppression": ([node("NonMaxSuppression", ["b", "s", "n"], ["y"])], {"b": np.full((1, 2, 4), np.nan, np.float32), "s": np.ones((1, 1, 2), np.float32), "n": i64(2**62)}),
    "random": ([node("RandomNormal", [], ["y"], shape=[2**15, 2**15])], {}),
    "multinomial": ([node("Multinomial", ["a"], ["y"], sample_size=2**31 - 1)], {"a": np.full((1, 4), np.nan, np.float32)}),
    "unknown operator": ([node("Nothing\x1b[31m", ["h"], ["y"])], {}),
    "attention without heads": ([node("Attention", ["a", "w2", "b2"], ["y"], domain="com.microsoft", num_heads=0)], {"a": np.ones((1, 2, 4), np.float32), "w2": np.ones((4, 12), np.float32), "b2": np.ones(12, np.float32)}),
    "tree that is a circle": ([node("TreeEnsembleRegressor", ["input"], ["y"], domain="ai.onnx.ml", nodes_treeids=[0, 0], nodes_nodeids=[0, 1], nodes_featureids=[0, 0], nodes_modes=["BRANCH_LEQ", "LEAF"], nodes_values=[0.0, 0.0], nodes_truenodeids=[0, 0], nodes_falsenodeids=[0, 0], target_treeids=[0], target_nodeids=[1], target_ids=[0], target_weights=[1.0], n_targets=1)], {}),
}  # fmt: skip


def of_case(nodes: list[onnx.NodeProto], values: dict[str, Any], late: bool) -> onnx.ModelProto:
    """Return a classifier to whose result the sum of `y` is added. `late`: what `y` is made of depends on the input."""
    constants, delays = [], []
    for name, value in values.items():
        array = np.asarray(value)
        stored = f"{name}_fixed" if late else name
        constants.append(numpy_helper.from_array(array, stored))
        if late:
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            delays += [node("Cast", ["nothing"], [f"{name}_0"], to=kind), node("Add", [stored, f"{name}_0"], [name])]
    first = [node("MatMul", ["input", "w"], ["h"])]
    if late:
        first += [node("Mul", ["h", "zero"], ["zeros"]), node("ReduceSum", ["zeros"], ["nothing"], keepdims=0)]
    last = [
        node("Cast", ["y"], ["real"], to=1),
        node("ReduceSum", ["real"], ["sum"], keepdims=0),
        node("Add", ["h", "sum"], ["output"]),
    ]
    constants += [real("w", FEATURES, CLASSES), numpy_helper.from_array(np.float32(0).reshape(()), "zero")]
    domains = {each.domain for each in nodes if each.domain}
    found = model([*first, *delays, *nodes, *last], constants)
    found.opset_import.extend(helper.make_opsetid(domain, 3 if domain == "ai.onnx.ml" else 1) for domain in domains)
    return found


def _case(name: str, late: bool) -> Callable[[Random], bytes]:
    return lambda random: of_case(*CASES[name], late).SerializeToString()


TABLE: dict[str, Callable[[Random], bytes]] = {
    **{f"{name}{', late' if late else ''}": _case(name, late) for name in CASES for late in (False, True)},
    **hostile_graphs.TABLE,
}
