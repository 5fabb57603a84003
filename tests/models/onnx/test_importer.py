"""ONNX files that were not made here: branches, states, old operator sets, and what is said where they do not fit."""

from __future__ import annotations

import errno
import signal
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from edgepress.core.errors import UserError
from edgepress.core.system_errors import SystemFault
from edgepress.data.dataset import Dataset, Input, Split
from edgepress.models.onnx import simplify
from edgepress.models.onnx.importer import adopt
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(0)


def data(labels: int = 3) -> Dataset:
    x = np.random.default_rng(1).normal(size=(30, 8)).astype(np.float32)
    y = np.arange(30) % labels
    splits = {name: Split(x, y) for name in ("train", "validation", "test")}
    names = tuple(map(str, range(labels)))
    return Dataset("numbers", names, splits, (Input("input", "numbers", (8,), 1.0, (0.0,), (1.0,)),))


def weights(name: str, *dims: int) -> TensorProto:
    return numpy_helper.from_array(RANDOM.normal(0, 0.5, dims).astype(np.float32), name)


def branch(name: str) -> onnx.GraphProto:
    """A matrix product of its own weights, within a second `If` on the number of rows, as exporters leave them."""
    inner = [
        helper.make_graph(
            [helper.make_node("MatMul", ["x", f"{name}_w"], [f"{name}_{which}"])],
            f"{name}_{which}",
            [],
            [helper.make_tensor_value_info(f"{name}_{which}", TensorProto.FLOAT, None)],
        )
        for which in ("a", "b")
    ]
    nodes = [
        helper.make_node("Shape", ["x"], [f"{name}_shape"]),
        helper.make_node("Gather", [f"{name}_shape", "zero"], [f"{name}_rows"]),
        helper.make_node("Equal", [f"{name}_rows", "one"], [f"{name}_single"]),
        helper.make_node("If", [f"{name}_single"], [f"{name}_y"], then_branch=inner[0], else_branch=inner[1]),
    ]
    result = helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, None)
    return helper.make_graph(nodes, name, [], [result])


def by_rate(path: Path, opset: int = 16) -> Path:
    """One branch for a rate of 16,000, another for the rest; `rate` is an input."""
    stored = [weights("fast_w", 8, 3), weights("slow_w", 8, 3)]
    stored += [
        numpy_helper.from_array(np.array(n, np.int64), name) for name, n in (("zero", 0), ("one", 1), ("fast", 16000))
    ]
    nodes = [
        helper.make_node("Equal", ["rate", "fast"], ["is_fast"]),
        helper.make_node("If", ["is_fast"], ["y"], then_branch=branch("fast"), else_branch=branch("slow")),
    ]
    graph = helper.make_graph(
        nodes,
        "by_rate",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8]),
            helper.make_tensor_value_info("rate", TensorProto.INT64, []),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        stored,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


@pytest.mark.parametrize("rate", [16000, 8000])
def test_the_branch_of_a_known_input_is_taken(rate: int, tmp_path: Path) -> None:
    source = by_rate(tmp_path / "m.onnx")
    adopt(source, data(), tmp_path / "made.onnx", constants={"rate": rate})
    made = onnx.load(tmp_path / "made.onnx")
    assert [each.name for each in made.graph.input] == ["x"]
    assert not [node for node in made.graph.node if node.op_type == "If"]
    x = data()["test"].x[:1]
    feed = {"x": x, "rate": np.array(rate)}
    (before,) = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"]).run(None, feed)
    (after,) = onnxruntime.InferenceSession(tmp_path / "made.onnx", providers=["CPUExecutionProvider"]).run(
        None, {"x": x}
    )
    assert after == pytest.approx(before, abs=1e-5)


def test_an_input_too_many_is_told_with_what_fills_it(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        adopt(by_rate(tmp_path / "m.onnx"), data(), tmp_path / "made.onnx")
    (problem,) = error.value.problems
    assert "takes float32 1 × 8 and int64" in problem.message
    assert "`constants: {rate: 0}`" in problem.help
    assert not (tmp_path / "made.onnx").exists()


def test_an_unknown_constant_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no input `rat`\n  = help: did you mean `rate`\?"):
        adopt(by_rate(tmp_path / "m.onnx"), data(), tmp_path / "made.onnx", constants={"rat": 1})


def test_states_become_constants_and_an_old_operator_set_is_raised(tmp_path: Path) -> None:
    """An LSTM of 4 units over 8 steps in operator set 11, whose states are inputs, and its last state an output."""
    stored = [weights("w", 1, 16, 1), weights("r", 1, 16, 4), weights("b", 1, 32), weights("fc", 4, 3)]
    stored += [
        numpy_helper.from_array(np.array(shape, np.int64), name)
        for name, shape in (("steps", [8, 1, 1]), ("flat", [1, 4]))
    ]
    nodes = [
        helper.make_node("Reshape", ["x", "steps"], ["s"]),
        helper.make_node("LSTM", ["s", "w", "r", "b", "", "h", "c"], ["", "last", "cell"], hidden_size=4),
        helper.make_node("Reshape", ["last", "flat"], ["f"]),
        helper.make_node("MatMul", ["f", "fc"], ["y"]),
    ]
    states = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 4]) for name in ("h", "c")]
    graph = helper.make_graph(
        nodes,
        "lstm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8]), *states],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3]),
            helper.make_tensor_value_info("cell", TensorProto.FLOAT, [1, 1, 4]),
        ],
        stored,
    )
    source = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), source)
    with pytest.raises(UserError, match="has 2 outputs: y, cell"):
        adopt(source, data(), tmp_path / "made.onnx", constants={"h": 0, "c": 0})
    adopt(source, data(), tmp_path / "made.onnx", constants={"h": 0, "c": 0}, output="y")
    made = onnx.load(tmp_path / "made.onnx")
    assert made.opset_import[0].version >= 13
    assert [each.name for each in made.graph.output] == ["y"]
    assert [each.name for each in made.graph.input] == ["x"]


@pytest.mark.parametrize("opset", [7, 9, 10, 12])
def test_an_operator_set_is_raised_before_anything_is_left_out(opset: int, tmp_path: Path) -> None:
    """onnxscript takes a bias of zeros out of a Gemm, which had to have one before operator set 11."""
    bias = numpy_helper.from_array(np.zeros(3, np.float32), "b")
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"])],
        "old",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [weights("w", 8, 3), bias],
    )
    source = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=4), source)
    adopt(source, data(), tmp_path / "made.onnx")
    assert onnx.load(tmp_path / "made.onnx").opset_import[0].version >= 13


def plain(path: Path) -> Path:
    """A matrix product, which every way of simplifying leaves as it is."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "plain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [weights("w", 8, 3)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_full_disk_chooses_no_other_way_to_simplify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(model: onnx.ModelProto) -> onnx.ModelProto:
        raise OSError(errno.ENOSPC, "No space left on device")

    source = plain(tmp_path / "m.onnx")
    monkeypatch.setattr(simplify, "_folded", full)
    with pytest.raises(SystemFault, match="No space left"):
        adopt(source, data(), tmp_path / "made.onnx")
    assert not (tmp_path / "made.onnx").exists()
    monkeypatch.undo()
    adopt(source, data(), tmp_path / "made.onnx")


def test_what_folding_cut_off_is_no_model(tmp_path: Path) -> None:
    content = plain(tmp_path / "m.onnx").read_bytes()
    whole = [simplify._whole(tmp_path / "m.onnx") is not None]
    for length in (0, len(content) // 2, content.rindex(b"\x10\x11") - 2):  # before the operator set
        (tmp_path / "cut.onnx").write_bytes(content[:length])
        whole.append(simplify._whole(tmp_path / "cut.onnx") is not None)
    assert whole == [True, False, False, False]


def test_a_graph_that_needs_too_much_memory_is_simplified_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def filling(model: onnx.ModelProto) -> onnx.ModelProto:
        raise MemoryError("Unable to allocate 8.00 GiB")

    monkeypatch.setattr(simplify, "_folded", filling)
    imported = adopt(plain(tmp_path / "m.onnx"), data(), tmp_path / "made.onnx")
    assert "was simplified not at all" in imported.warnings[0]


def test_memory_of_the_system_chooses_no_other_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel killed the process that folds; a bound of the graph, or its own need, makes it fail otherwise."""
    killed = subprocess.CompletedProcess([], -signal.SIGKILL, "", "")
    monkeypatch.setattr("subprocess.run", lambda *arguments, **options: killed)
    with pytest.raises(SystemFault, match="folds constants was killed"):
        adopt(plain(tmp_path / "m.onnx"), data(), tmp_path / "made.onnx")
