"""Equalization through Concat, Split, Slice, sums and pools: exact, and worth what two ranges in one tensor lose."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.stages.quantize import refine
from edgepress.stages.quantize.equalization import equalized_groups
from edgepress.stages.quantize.scalable import find, joins
from edgepress.stages.quantize.sqnr import run_model
from onnx import helper, numpy_helper

from tests.stages.quantize.made import evidence, graph, plan

node = helper.make_node
RANDOM = np.random.default_rng(0)


def w(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape) / np.sqrt(np.prod(shape[1:]))


def apart(count: int, low: float = 1 / 200) -> np.ndarray:
    """Factors of channels: the second half are small."""
    return np.r_[np.ones(count // 2), np.full(count - count // 2, low)]


def net(nodes: list[onnx.NodeProto], tensors: dict[str, Any], last: str, channels: int) -> onnx.ModelProto:
    """From 3 × 8 × 8, by way of `r` (8 channels) to `last`, then a mean and a dense layer."""
    stem = [node("Conv", ["x", "w0", "b0"], ["c0"], pads=[1] * 4), node("Relu", ["c0"], ["r"])]
    head = [
        node("GlobalAveragePool", [last], ["m"]),
        node("Flatten", ["m"], ["f"]),
        node("Gemm", ["f", "v", "bv"], ["y"]),
    ]
    weights = {"w0": w(8, 3, 3, 3), "b0": w(8), "v": 3 * w(channels, 10), "bv": w(10)} | tensors
    return graph([*stem, *nodes, *head], weights, (1, 3, 8, 8), (1, 10))


def ints(model: onnx.ModelProto, **values: list[int]) -> onnx.ModelProto:
    for name, value in values.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
    model.CopyFrom(onnx.shape_inference.infer_shapes(model))
    return model


def scores_and_boxes() -> onnx.ModelProto:
    nodes = [
        node("Sigmoid", ["r"], ["score"]), node("Mul", ["r", "big"], ["box"]),
        node("Concat", ["score", "box"], ["both"], axis=1), node("Conv", ["both", "w1", "b1"], ["c1"]),
        node("Relu", ["c1"], ["o"]),
    ]  # fmt: skip
    share = apart(16)[None, :, None, None]
    return net(nodes, {"big": np.float32(200), "w1": w(16, 16, 1, 1) * share, "b1": w(16)}, "o", 16)


def two_convolutions() -> onnx.ModelProto:
    """Joined, pooled and cut again: each part is read by weights that make up for its range."""
    nodes = [
        node("Conv", ["r", "wa", "ba"], ["a"]), node("Conv", ["r", "wb", "bb"], ["b"]),
        node("Concat", ["a", "b"], ["both"], axis=1),
        node("MaxPool", ["both"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Slice", ["p", "s0", "e0", "ax"], ["pa"]), node("Slice", ["p", "e0", "e1", "ax"], ["pb"]),
        node("Conv", ["pa", "wc", "bc"], ["c"]), node("Conv", ["pb", "wd", "bd"], ["d"]),
        node("Add", ["c", "d"], ["e"]), node("Relu", ["e"], ["o"]),
    ]  # fmt: skip
    tensors = {
        "wa": w(6, 8, 1, 1), "ba": w(6), "wb": 300 * w(6, 8, 1, 1), "bb": 300 * w(6),
        "wc": w(8, 6, 1, 1), "bc": w(8), "wd": w(8, 6, 1, 1) / 300, "bd": w(8),
    }  # fmt: skip
    return ints(net(nodes, tensors, "o", 8), s0=[0], e0=[6], e1=[12], ax=[1])


def split_residual() -> onnx.ModelProto:
    """A split map whose halves go different ways, and a sum around a block of a depthwise convolution."""
    nodes = [
        node("Conv", ["r", "wa", "ba"], ["a"]), node("Relu", ["a"], ["ra"]),
        node("Conv", ["ra", "wd", "bd"], ["d"], group=8, pads=[1] * 4), node("Add", ["d", "ra"], ["sum"]),
        node("Split", ["sum", "sizes"], ["s", "t"], axis=1),
        node("Conv", ["s", "ws", "bs"], ["cs"]), node("Conv", ["t", "wt", "bt"], ["ct"]),
        node("Concat", ["ct", "cs"], ["o"], axis=1),
    ]  # fmt: skip
    scale = 1 / apart(8)
    tensors = {
        "wa": w(8, 8, 1, 1) * scale[:, None, None, None], "ba": w(8) * scale, "wd": w(8, 1, 3, 3), "bd": w(8) * scale,
        "ws": w(4, 4, 1, 1), "bs": w(4), "wt": w(4, 4, 1, 1) / 200, "bt": w(4),
    }  # fmt: skip
    return ints(net(nodes, tensors, "o", 8), sizes=[4, 4])


def many_operators() -> onnx.ModelProto:
    """Constants added and multiplied, a Pad, groups, a transposed convolution, a squeeze-and-excitation, a flat map."""
    nodes = [
        node("Mul", ["r", "k"], ["rk"]), node("Add", ["rk", "shift"], ["ra"]),
        node("Conv", ["ra", "wg", "bg"], ["g"], group=2), node("LeakyRelu", ["g"], ["lg"], alpha=0.1),
        node("Pad", ["lg", "pads"], ["pg"]), node("ConvTranspose", ["pg", "wt", "bt"], ["t"], group=2),
        node("GlobalAveragePool", ["t"], ["sq"]), node("Conv", ["sq", "we", "be"], ["ex"]),
        node("Sigmoid", ["ex"], ["se"]),
        node("Conv", ["r", "wi", "bi"], ["i"], pads=[1] * 4), node("Mul", ["i", "se"], ["o"]),
    ]  # fmt: skip
    tensors = {
        "k": 1 / apart(8)[:, None, None], "shift": w(8, 1, 1), "wg": w(12, 4, 1, 1), "bg": w(12),
        "wt": w(12, 3, 1, 1), "bt": w(6), "we": w(6, 6, 1, 1), "be": w(6), "wi": w(6, 8, 3, 3), "bi": w(6),
    }  # fmt: skip
    return ints(net(nodes, tensors, "o", 6), pads=[0, 0, 1, 1, 0, 0, 1, 1])


CASES = [scores_and_boxes, two_convolutions, split_residual, many_operators]


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_same_function(case: Any) -> None:
    model = case()
    examples = evidence(model)
    even = equalized_groups(plan(model, examples), examples)
    assert even.graph.SerializeToString() != model.SerializeToString()
    scale = np.abs(examples.expected).max()
    np.testing.assert_allclose(run_model(even.graph, examples.held), examples.expected, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("case", CASES[:3])
def test_two_ranges_in_one_tensor_keep_their_integers(case: Any) -> None:
    model = case()
    examples = evidence(model, 64)
    before, _ = refine.refined(plan(model, examples), examples, "minmax", lambda *_: None, improve=False)
    after, rows = refine.refined(plan(model, examples), examples, "minmax", lambda *_: None, improve=True)
    assert examples.sqnr(before) < refine.POOR
    assert examples.sqnr(after) > 30
    assert [row["kept"] for row in rows if row["step"] == "equalisation of groups"] == [True]


def test_what_is_read_otherwise_is_held() -> None:
    model = scores_and_boxes()
    channels = find(model.graph, {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer})
    held = channels.held()
    _, numbers = channels.of["both"]
    assert [root in held for root in channels.roots(numbers).tolist()] == [True] * 8 + [False] * 8


def test_only_graphs_with_a_join_have_a_key_of_their_own() -> None:
    for case, found in ((scores_and_boxes, True), (two_convolutions, True), (many_operators, False)):
        assert joins(case()) is found
