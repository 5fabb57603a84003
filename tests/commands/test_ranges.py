"""`why --ranges`: extremes, bulk, outliers and channels of activations, and what int8 holds of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from edgepress.commands.why import ranges, ranges_text, values
from onnx import helper, numpy_helper

from tests.commands.test_sensitivity import SHAPE, network, quantized
from tests.conftest import edgepress

X = np.random.default_rng(2).normal(size=(6, *SHAPE[1:])).astype(np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A float network, one of whose channels is 40 times as large behind `third`, and its int8 file."""
    folder = tmp_path_factory.mktemp("ranges")
    model = onnx.load(network(folder / "float.onnx", outlier=0.3))
    (weight,) = [tensor for tensor in model.graph.initializer if tensor.name == "third.weight"]
    raised = numpy_helper.to_array(weight).copy()
    raised[0] *= 40
    weight.CopyFrom(numpy_helper.from_array(raised, "third.weight"))
    onnx.save(model, folder / "float.onnx")
    return folder / "float.onnx", quantized(folder / "float.onnx", folder / "int8.onnx")


def tensor(path: Path, name: str) -> np.ndarray:
    """A tensor of all examples, by onnxruntime alone."""
    graph = ranges.Graph(onnx.load(path))
    return np.concatenate([row[0] for row in values.values(values.giving(graph, [name]), (X,))])


def test_ranges_are_those_of_the_tensors(files: tuple[Path, Path]) -> None:
    whole, _ = files
    found = {row.node: row for row in ranges.measure(whole, None, (X,))}
    assert {"first", "second", "third", "third_relu", "head"} <= found.keys()
    expected = tensor(whole, "e")
    third = found["third"]
    assert (third.low, third.high) == pytest.approx((expected.min(), expected.max()))
    assert third.bulk == pytest.approx(np.median([np.quantile(np.abs(row), 0.999) for row in expected]), rel=1e-4)
    most = np.abs(expected).max((0, 2, 3))
    assert third.channels == pytest.approx(most.max() / np.median(most), rel=1e-4)
    assert (third.channels or 0) > 10
    assert third.held is None
    assert third.outside is None


def test_what_int8_holds_is_the_range_of_its_scale(files: tuple[Path, Path]) -> None:
    whole, integers = files
    found = {row.node: row for row in ranges.measure(whole, integers, (X,))}
    third = found["third"]
    graph = onnx.load(integers).graph
    constants = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    (given,) = [node.output[0] for node in graph.node if node.name == "third"]
    (rounded,) = [node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == given]
    scale, zero = (constants[name].item() for name in rounded.input[1:3])
    assert third.held == pytest.approx(((-128 - zero) * scale, (127 - zero) * scale))
    assert third.held
    expected = tensor(whole, "f")
    assert (third.low, third.high) == pytest.approx((expected.min(), expected.max())), "behind the Relu, as in int8"
    assert third.outside == pytest.approx(((expected < third.held[0]) | (expected > third.held[1])).mean())


def test_text_and_json_of_the_command(files: tuple[Path, Path]) -> None:
    whole, integers = files
    said = edgepress("why", whole, "--ranges")
    assert said.code == 0, said.err
    assert "of float.onnx on 8 random inputs, as no run has others" in said.out
    assert "int8 holds" not in said.out, "there is no int8 file beside it"
    said = edgepress("why", integers, "--ranges", "--float", whole)
    assert said.code == 0, said.err
    assert "int8 holds" in said.out
    said = edgepress("why", integers, "--ranges", "--float", whole, "--json")
    rows = json.loads(said.out)["operators"]
    assert [row["outliers"] for row in rows] == sorted((row["outliers"] for row in rows), reverse=True)
    assert {row["node"] for row in rows} >= {"third", "head"}


def row(node: str, high: float, bulk: float) -> ranges.Range:
    return ranges.Range(node, "Conv", -1.0, high, bulk, None, None, None)


def test_an_extreme_far_from_the_bulk_is_named() -> None:
    far, near, zero = row("far", 40.0, 2.0), row("near", 3.0, 2.0), row("zero", 0.0, 0.0)
    said = ranges_text.text(ranges.Ranges("a.onnx", 6, "inputs", [far, near, zero]))
    assert "first: outliers of `far` (Conv, 20.0x): clip them" in said
    assert "far       Conv  −1 to 40  2" in said
    assert "channels" not in said, "a column without a cell is left out"
    said = ranges_text.text(ranges.Ranges("a.onnx", 6, "inputs", [near, zero]))
    assert "no activation has an extreme of 4 times its bulk" in said


def test_what_has_no_ranges_is_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    whole, integers = files
    said = edgepress("why", integers, "--ranges")
    assert said.code == 2
    assert "no run is known that made" in said.err
    said = edgepress("why", integers, "--ranges", "--float", integers)
    assert said.code == 2
    assert "is quantized, and ranges are those of a float model" in said.err
    assert edgepress("why", whole, "--ranges", "--sensitivity", "--json").code == 2
    (tmp_path / "half.onnx").write_bytes(whole.read_bytes()[:-40])
    said = edgepress("why", integers, "--ranges", "--float", tmp_path / "half.onnx")
    assert said.code == 2, said.err
    assert said.err.count("error:") == 1


def test_channels_of_a_sequence_are_those_of_the_operator_before_it(tmp_path: Path) -> None:
    """Of a MatMul (n, tokens, channels) the last axis, of a Conv (n, channels, time) the one behind the batch."""
    random = np.random.default_rng(0)
    wide = random.normal(0, 0.3, (6, 5)).astype(np.float32)
    wide[:, 2] *= 50
    kernel = random.normal(0, 0.3, (5, 4, 1)).astype(np.float32)
    kernel[2] *= 50
    nodes = [
        helper.make_node("MatMul", ["x", "wide"], ["a"], "matmul"),
        helper.make_node("Relu", ["a"], ["b"], "behind"),
        helper.make_node("Conv", ["x", "kernel"], ["c"], "conv"),
        helper.make_node("Sigmoid", ["x"], ["d"], "unknown"),
    ]
    tensors = [numpy_helper.from_array(wide, "wide"), numpy_helper.from_array(kernel, "kernel")]
    sides = {"x": (1, 4, 6), "b": (1, 4, 5), "c": (1, 5, 6), "d": (1, 4, 6)}
    known = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in sides.items()]
    graph = helper.make_graph(nodes, "g", known[:1], known[1:], tensors)
    path = tmp_path / "sequence.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    x = random.normal(size=(4, 4, 6)).astype(np.float32)
    found = {row.node: row.channels for row in ranges.measure(path, None, (x,))}
    assert found["unknown"] is None
    assert min(found[name] or 0 for name in ("matmul", "behind", "conv")) > 15
