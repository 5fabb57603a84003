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

node = helper.make_node
LOWEST, LOWEST64, HIGHEST64 = -(2**31), -(2**63), 2**63 - 1


def i32(*values: int) -> Any:
    return np.array(values if len(values) != 1 else values[0], np.int32)


def i64(*values: int) -> Any:
    return np.array(values, np.int64)


def f32(*values: float) -> Any:
    return np.array(values if len(values) != 1 else values[0], np.float32)


def ones(*shape: int) -> Any:
    return np.ones(shape, np.float32)


PAIR, SQUARE, IMAGE, KERNEL = f32(1, 2), ones(2, 2), ones(1, 1, 4, 4), ones(1, 1, 2, 2)
TREE: dict[str, Any] = {
    **{f"nodes_{name}": [0, 0] for name in ("treeids", "featureids", "truenodeids", "falsenodeids")},
    **{f"target_{name}": [value] for name, value in (("treeids", 0), ("nodeids", 1), ("ids", 0), ("weights", 1.0))},
    "nodes_nodeids": [0, 1],
    "nodes_values": [0.0, 0.0],
    "nodes_modes": ["BRANCH_LEQ", "LEAF"],
    "n_targets": 1,
}
"""Its first node is its own child."""
CASES: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    "divide lowest": ("Div", [i32(LOWEST), i32(-1)], {}),
    "divide lowest 64": ("Div", [i64(LOWEST64), i64(-1)], {}),
    "divide by zero": ("Div", [i32(7), i32(0)], {}),
    "modulo lowest": ("Mod", [i32(LOWEST), i32(-1)], {}),
    "modulo zero": ("Mod", [i64(7), i64(0)], {}),
    "power": ("Pow", [i32(LOWEST), i32(2**31 - 1)], {}),
    "shift": ("BitShift", [np.array([1], np.uint64), np.array([200], np.uint64)], {"direction": "LEFT"}),
    "constant of shape": ("ConstantOfShape", [i64(2**16, 2**15)], {}),
    "constant of shape overflow": ("ConstantOfShape", [i64(2**32, 2**32)], {}),
    "constant of negative shape": ("ConstantOfShape", [i64(-5, 3)], {}),
    "expand": ("Expand", [f32(1), i64(2**15, 2**15)], {}),
    "expand overflow": ("Expand", [f32(1), i64(2**31, 2**31, 4)], {}),
    "tile": ("Tile", [PAIR, i64(2**29)], {}),
    "tile negative": ("Tile", [PAIR, i64(-1)], {}),
    "range": ("Range", [np.int64(0), np.int64(2**40), np.int64(1)], {}),
    "range without step": ("Range", [np.int64(0), np.int64(9), np.int64(0)], {}),
    "range nan": ("Range", [f32(0), f32(np.nan), f32(1e-30)], {}),
    "resize": ("Resize", [IMAGE, None, f32(1, 1, 1e4, 1e4)], {}),
    "resize negative": ("Resize", [IMAGE, None, f32(1, 1, -1, np.nan)], {}),
    "resize to nothing": ("Resize", [IMAGE, None, None, i64(1, 1, 0, -7)], {}),
    "pad": ("Pad", [PAIR, i64(2**29, 2**29)], {}),
    "pad negative": ("Pad", [PAIR, i64(-(2**62), 3)], {}),
    "pad reflect": ("Pad", [PAIR, i64(100, 2**20)], {"mode": "reflect"}),
    "gather outside": ("Gather", [PAIR, i64(2**40)], {}),
    "gather before": ("Gather", [PAIR, i64(LOWEST64)], {}),
    "gather elements": ("GatherElements", [PAIR, i64(9)], {}),
    "gather nd": ("GatherND", [SQUARE, np.array([[2**62, -9]])], {}),
    "scatter nd": ("ScatterND", [PAIR, np.array([[2**40]]), ones(1)], {}),
    "scatter elements": ("ScatterElements", [PAIR, i64(-99), ones(1)], {}),
    "one hot": ("OneHot", [i64(1), np.int64(2**31), f32(0, 1)], {}),
    "one hot negative": ("OneHot", [i64(1), np.int64(-3), f32(0, 1)], {}),
    "slice": ("Slice", [PAIR, i64(LOWEST64), i64(HIGHEST64), i64(0), i64(LOWEST64)], {}),
    "slice axis": ("Slice", [PAIR, i64(0), i64(1), i64(2**40)], {}),
    "reshape": ("Reshape", [PAIR, i64(2**62, 2**62, -1)], {}),
    "reshape minus two": ("Reshape", [PAIR, i64(-2, -1)], {}),
    "split": ("Split", [PAIR, i64(-1, 3)], {}),
    "top k": ("TopK", [PAIR, i64(2**40)], {}),
    "top k negative": ("TopK", [PAIR, i64(-1)], {}),
    "cumulative sum": ("CumSum", [PAIR, i32(99)], {}),
    "squeeze": ("Squeeze", [PAIR, i64(-(2**62))], {}),
    "unsqueeze": ("Unsqueeze", [PAIR, i64(2**40)], {}),
    "einsum": ("Einsum", [PAIR, PAIR], {"equation": "...i,->....j"}),
    "einsum letters": ("Einsum", [PAIR], {"equation": "i" * 5000}),
    "convolution without stride": ("Conv", [IMAGE, KERNEL], {"strides": [0, 0]}),
    "convolution dilated": ("Conv", [IMAGE, KERNEL], {"dilations": [2**31, -1]}),
    "convolution of no group": ("Conv", [IMAGE, KERNEL], {"group": 0}),
    "convolution padded": ("Conv", [IMAGE, KERNEL], {"pads": [2**14] * 4}),
    "transposed convolution": ("ConvTranspose", [IMAGE, KERNEL], {"strides": [2**20, 2**20]}),
    "pool of nothing": ("MaxPool", [IMAGE], {"kernel_shape": [0, 0]}),
    "pool with pads": ("AveragePool", [IMAGE], {"kernel_shape": [2, 2], "pads": [-9, 2**31, 5, 5]}),
    "depth to space": ("DepthToSpace", [ones(1, 4, 4, 4)], {"blocksize": 0}),
    "empty product": ("MatMul", [ones(2, 0), ones(0, 3)], {}),
    "huge product": ("MatMul", [ones(40000, 1), ones(1, 40000)], {}),
    "batch norm": ("BatchNormalization", [ones(1, 3, 2, 2), PAIR, PAIR, PAIR, PAIR], {}),
    "lstm": ("LSTM", [ones(1, 1, 4), ones(1, 16, 4), ones(1, 16, 4)], {"hidden_size": 0}),
    "gru": ("GRU", [ones(1, 1, 4), ones(1, 12, 4), ones(1, 12, 4)], {"hidden_size": 2**31}),
    "quantize by zero": ("QuantizeLinear", [PAIR, f32(0)], {}),
    "quantize by nan": ("QuantizeLinear", [PAIR, f32(np.nan)], {}),
    "clip": ("Clip", [PAIR, f32(np.inf), f32(-np.inf)], {}),
    "not a number": ("Add", [f32(np.nan), f32(np.inf)], {}),
    "overflow": ("Mul", [f32(3e38), f32(3e38)], {}),
    "cast to nothing": ("Cast", [f32(1)], {"to": 99}),
    "cast nan": ("Cast", [f32(np.nan, 1e30)], {"to": TensorProto.INT32}),
    "cast to text": ("Cast", [f32(np.nan)], {"to": TensorProto.STRING}),
    "trilu": ("Trilu", [SQUARE, np.int64(LOWEST64)], {}),
    "eye": ("EyeLike", [SQUARE], {"k": -(2**62)}),
    "window": ("HannWindow", [np.int64(-5)], {}),
    "dft": ("DFT", [ones(1, 4, 1), np.int64(2**40)], {}),
    "roi": ("RoiAlign", [IMAGE, ones(1, 4) * 1e30, i64(2**40)], {"output_height": 2**20, "output_width": 2**12}),
    "grid": ("GridSample", [IMAGE, ones(1, 2, 2, 2) * np.nan], {}),
    "suppression": ("NonMaxSuppression", [ones(1, 2, 4) * np.nan, ones(1, 1, 2), i64(2**62)], {}),
    "random": ("RandomNormal", [], {"shape": [2**15, 2**15]}),
    "multinomial": ("Multinomial", [ones(1, 4) * np.nan], {"sample_size": 2**31 - 1}),
    "unknown operator": ("Nothing\x1b[31m", [PAIR], {}),
    "attention of no head": ("com.microsoft Attention", [ones(1, 2, 4), ones(4, 12), ones(12)], {"num_heads": 0}),
    "circular tree": ("ai.onnx.ml TreeEnsembleRegressor", [ones(1, 4)], TREE),
}


def of_case(name: str, late: bool) -> onnx.ModelProto:
    """Return a classifier that adds the case's result. `late`: what the operator takes is known at run time only."""
    words, values, attributes = CASES[name]
    domain, _, op = words.rpartition(" ")
    constants, delays, inputs = [], [], []
    for index, value in enumerate(values):
        if value is None:
            inputs.append("")
            continue
        inputs.append(f"v{index}")
        constants.append(numpy_helper.from_array(np.asarray(value), f"c{index}" if late else f"v{index}"))
        kind = constants[-1].data_type
        if late:
            delays.append(node("Cast", ["nothing"], [f"n{index}"], to=kind))
            delays.append(node("Add", [f"c{index}", f"n{index}"], [f"v{index}"]))
    first = [node("MatMul", ["input", "w"], ["h"]), node("Mul", ["h", "zero"], ["zeros"])]
    first.append(node("ReduceSum", ["zeros"], ["nothing"], keepdims=0))
    tested = node(op, inputs, ["y"], domain=domain, **attributes)
    last = [node("Cast", ["y"], ["real"], to=1), node("ReduceSum", ["real"], ["sum"], keepdims=0)]
    last.append(node("Add", ["h", "sum"], ["output"]))
    constants += [real("w", FEATURES, CLASSES), numpy_helper.from_array(f32(0), "zero")]
    found = model([*first, *delays, tested, *last], constants)
    if domain:
        found.opset_import.append(helper.make_opsetid(domain, 3 if domain == "ai.onnx.ml" else 1))
    return found


def _case(name: str, late: bool) -> Callable[[Random], bytes]:
    return lambda random: of_case(name, late).SerializeToString()


TABLE: dict[str, Callable[[Random], bytes]] = {
    **{f"{name}{', late' if late else ''}": _case(name, late) for name in CASES for late in (False, True)},
    **hostile_graphs.TABLE,
}
