"""Each operator of the table against onnxruntime, with the attributes that it has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from edgepress.models.tflite.ops.table import OPERATORS as CONVERTED
from edgepress.stages.quantize.qat.module import Graph
from edgepress.stages.quantize.qat.operators import OPERATORS
from onnx import TensorProto

from tests.models.tflite import models
from tests.models.tflite.models import Step, weights

IMAGE, SIGNAL, ROW = (1, 3, 9, 11), (1, 3, 11), (1, 6)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def real(*values: float) -> np.ndarray:
    return np.array(values if len(values) > 1 else values[0], np.float32)


def chain(*steps: Step) -> list[Step]:
    return list(steps)


def positive(*steps: Step) -> list[Step]:
    return [("Abs", [-1], {}), ("Add", [-1, real(0.1)], {}), *steps]


def compared(op: str, *inputs: Any, **attributes: Any) -> list[Step]:
    """What a comparison says, as floats."""
    return [(op, list(inputs) or [-1, real(0.2)], attributes), ("Cast", [-1], {"to": TensorProto.FLOAT})]


def one(op: str, *inputs: Any, **attributes: Any) -> list[Step]:
    return [(op, [-1, *inputs], attributes)]


CASES: list[tuple[str, tuple[int, ...], list[Step]]] = [
    ("Abs", ROW, one("Abs")),
    ("Add", IMAGE, one("Add", weights(3, 1, 1))),
    ("And", ROW, [("Greater", [0, real(-0.5)], {}), ("Less", [0, real(0.9)], {}), *compared("And", 1, 2)]),
    ("AveragePool", IMAGE, one("AveragePool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 0, 1])),
    ("AveragePool, all", IMAGE, one("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)),
    ("AveragePool, ceil", IMAGE, one("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)),
    ("AveragePool, same", SIGNAL, one("AveragePool", kernel_shape=[3], strides=[2], auto_pad="SAME_UPPER")),
    ("BatchNormalization", IMAGE, one("BatchNormalization", weights(3), weights(3, seed=1), weights(3, seed=2),
                                      np.abs(weights(3, seed=3)), epsilon=1e-3)),
    ("Cast", ROW, chain(("Cast", [-1], {"to": TensorProto.INT32}), ("Cast", [-1], {"to": TensorProto.FLOAT}))),
    ("Clip", ROW, one("Clip", real(-0.3), real(1.1))),
    ("Clip, above", ROW, one("Clip", None, real(1.1))),
    ("Clip, below", ROW, one("Clip", real(-0.3))),
    ("Concat", ROW, one("Concat", weights(1, 4), axis=1)),
    ("Conv", IMAGE, one("Conv", weights(5, 3, 3, 2), weights(5), strides=[2, 1], pads=[1, 0, 2, 1], dilations=[1, 2])),
    ("Conv, groups", IMAGE, one("Conv", weights(6, 1, 3, 3), group=3, pads=[1, 1, 1, 1])),
    ("Conv, upper", IMAGE, one("Conv", weights(5, 3, 3, 4), strides=[2, 2], auto_pad="SAME_UPPER")),
    ("Conv, lower", IMAGE, one("Conv", weights(5, 3, 3, 4), strides=[2, 2], auto_pad="SAME_LOWER")),
    ("Conv, signal", SIGNAL, one("Conv", weights(5, 3, 4), weights(5), strides=[3], pads=[2, 1])),
    ("DepthToSpace", (1, 12, 3, 4), one("DepthToSpace", blocksize=2)),
    ("DepthToSpace, CRD", (1, 12, 3, 4), one("DepthToSpace", blocksize=2, mode="CRD")),
    ("Div", ROW, one("Div", real(0.7))),
    ("Dropout", ROW, one("Dropout")),
    ("Equal", ROW, [("Relu", [-1], {}), *compared("Equal", -1, real(0))]),
    ("Erf", ROW, one("Erf")),
    ("Exp", ROW, one("Exp")),
    ("Flatten", IMAGE, one("Flatten", axis=2)),
    ("Gather", IMAGE, one("Gather", ints(2, 0, -1), axis=3)),
    ("Gather, one", IMAGE, one("Gather", np.array(1, np.int64), axis=2)),
    ("Gemm", ROW, one("Gemm", weights(6, 5), weights(5), alpha=0.5, beta=2.0)),
    ("Gemm, transposed", ROW, one("Gemm", weights(5, 6), transB=1)),
    ("Gemm, both", (1, 6, 4), chain(("Reshape", [-1, ints(6, 4)], {}), ("Gemm", [-1, weights(3, 6), weights(1, 3)],
                                                                       {"transA": 1, "transB": 1}))),
    ("GlobalAveragePool", IMAGE, one("GlobalAveragePool")),
    ("GlobalMaxPool", IMAGE, one("GlobalMaxPool")),
    ("Greater", ROW, compared("Greater")),
    ("HardSigmoid", ROW, one("HardSigmoid", alpha=1 / 6)),
    ("HardSwish", ROW, one("HardSwish")),
    ("Identity", ROW, one("Identity")),
    ("LayerNormalization", (1, 5, 6), one("LayerNormalization", weights(6), weights(6, seed=1), epsilon=1e-3)),
    ("LayerNormalization, two axes", (1, 5, 6), one("LayerNormalization", weights(5, 6), axis=1)),
    ("Less", ROW, compared("Less")),
    ("Log", ROW, positive(*one("Log"))),
    ("MatMul", (1, 2, 5, 6), one("MatMul", weights(6, 7))),
    ("Max", ROW, one("Max", real(0.2), weights(1, 6))),
    ("MaxPool", IMAGE, one("MaxPool", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1], dilations=[1, 2])),
    ("MaxPool, ceil", IMAGE, one("MaxPool", kernel_shape=[3, 3], strides=[3, 2], ceil_mode=1)),
    ("MaxPool, signal", SIGNAL, one("MaxPool", kernel_shape=[3], strides=[2], auto_pad="SAME_LOWER")),
    ("Min", ROW, one("Min", real(0.2), weights(1, 6))),
    ("Mul", IMAGE, one("Mul", weights(3, 1, 1))),
    ("Neg", ROW, one("Neg")),
    ("Not", ROW, [("Greater", [0, real(0.2)], {}), *compared("Not", -1)]),
    ("Or", ROW, [("Greater", [0, real(1)], {}), ("Less", [0, real(0)], {}), *compared("Or", 1, 2)]),
    ("Pad", IMAGE, one("Pad", ints(0, 0, 1, 2, 0, 1, 0, 3), real(0.5))),
    ("Pad, axes", IMAGE, one("Pad", ints(1, 2), None, ints(-1))),
    ("Pad, edge", IMAGE, one("Pad", ints(0, 0, 1, 2, 0, 0, 0, 3), mode="edge")),
    ("Pad, reflect", IMAGE, one("Pad", ints(0, 0, 1, 2, 0, 0, 2, 3), mode="reflect")),
    ("Pow", ROW, positive(*one("Pow", real(1.7)))),
    ("ReduceMax", IMAGE, one("ReduceMax", ints(1, -1), keepdims=0)),
    ("ReduceMean", IMAGE, one("ReduceMean", ints(2, 3))),
    ("ReduceMean, all", IMAGE, one("ReduceMean")),
    ("ReduceMean, none", IMAGE, one("ReduceMean", ints(), noop_with_empty_axes=1)),
    ("ReduceSum", IMAGE, one("ReduceSum", ints(-1))),
    ("Relu", ROW, one("Relu")),
    ("Reshape", IMAGE, one("Reshape", ints(0, -1, 11))),
    ("Resize", IMAGE, one("Resize", None, real(1, 1, 2, 3), mode="linear")),
    ("Resize, smaller", IMAGE, one("Resize", None, None, ints(1, 3, 5, 7), mode="linear")),
    ("Resize, corners", IMAGE, one("Resize", None, None, ints(1, 3, 17, 23), mode="linear",
                                   coordinate_transformation_mode="align_corners")),
    ("Resize, nearest", IMAGE, one("Resize", None, real(1, 1, 2, 2), mode="nearest", nearest_mode="floor",
                                   coordinate_transformation_mode="asymmetric")),
    ("Sigmoid", ROW, one("Sigmoid")),
    ("Slice", IMAGE, one("Slice", ints(1, -4), ints(2**31 - 1, -1), ints(2, -1), ints(2, 1))),
    ("Slice, backwards", IMAGE, one("Slice", ints(-1), ints(-(2**31)), ints(3), ints(-2))),
    ("Slice, first axes", IMAGE, one("Slice", ints(0, 1), ints(1, 3))),
    ("Softmax", IMAGE, one("Softmax", axis=1)),
    ("Sqrt", ROW, positive(*one("Sqrt"))),
    ("Squeeze", (1, 1, 6, 1), one("Squeeze", ints(1, -1))),
    ("Squeeze, all", (1, 1, 6, 1), one("Squeeze")),
    ("Sub", ROW, one("Sub", weights(1, 6))),
    ("Tanh", ROW, one("Tanh")),
    ("Transpose", IMAGE, one("Transpose", perm=[0, 2, 3, 1])),
    ("Transpose, all", IMAGE, one("Transpose")),
    ("Unsqueeze", ROW, one("Unsqueeze", ints(-1, 1))),
    ("Where", ROW, [("Greater", [0, real(0.2)], {}), ("Where", [-1, 0, real(-3)], {})]),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "steps"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_as_onnxruntime(shape: tuple[int, ...], steps: list[Step]) -> None:
    model = models.graph(shape, *steps)
    compare(model)


@pytest.mark.parametrize("sizes", [ints(1, 2, 3), None], ids=["sizes", "number"])
def test_a_split_gives_all_its_parts(sizes: np.ndarray | None) -> None:
    import onnx
    from onnx import helper, numpy_helper

    given = [] if sizes is None else ["sizes"]
    nodes = [
        helper.make_node("Split", ["input", *given], ["a", "b", "c"], axis=1, **({} if given else {"num_outputs": 3})),
        helper.make_node("Concat", ["c", "a", "b"], ["output"], axis=1),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 6)) for name in ("input", "output")]
    graph = helper.make_graph(
        nodes, "split", values[:1], values[1:], [numpy_helper.from_array(sizes, "sizes")] if sizes is not None else []
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    compare(model)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(approximate: str) -> None:
    compare(models.graph(ROW, ("Gelu", [-1], {"approximate": approximate}), opset=20))


def test_axes_of_early_operator_sets_are_attributes() -> None:
    compare(models.graph(IMAGE, ("ReduceMean", [-1], {"axes": [1, 2], "keepdims": 0}), opset=13))


def test_the_gradient_of_a_logarithm_of_nothing_is_a_number() -> None:
    """Integers have exact zeros, and a clamp after it would not save NaN = 0 · ∞."""
    graph = Graph(models.graph(ROW, ("Log", [-1], {}), ("Clip", [-1, real(-20)], {})))
    x = torch.tensor([[0.0, 0.5, 1.0, 2.0, 0.0, 3.0]], requires_grad=True)
    graph(x).sum().backward()
    assert x.grad is not None
    assert x.grad[0].tolist() == pytest.approx([0, 2, 1, 0.5, 0, 1 / 3])


def test_what_can_be_trained_is_what_can_be_converted() -> None:
    named = {case[0].split(",")[0] for case in CASES} | {"Split", "Gelu"}
    assert set(OPERATORS) == named
    assert named < set(CONVERTED)


def compare(model: Any) -> None:
    feeds = models.feeds(model, 7)
    expected = models.answers(model, feeds, as_written=True)
    if expected.ndim == 5:  # images come in the file's order
        expected = np.moveaxis(expected, -1, 2)
    with torch.inference_mode():
        found = Graph(model)(torch.from_numpy(np.concatenate([feed["input"] for feed in feeds])))
    assert np.abs(found.numpy().reshape(7, -1) - expected.reshape(7, -1)).max() <= 2e-6 * max(np.abs(expected).max(), 1)
