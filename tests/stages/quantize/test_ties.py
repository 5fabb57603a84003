"""Many classes: the likeliest stay apart, and ONNX and TFLite say the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from edgepress.core.presets import PRESETS
from edgepress.core.runtimes import RUNTIMES
from edgepress.models.session import run_file
from edgepress.models.tflite.convert import write
from edgepress.stages.quantize.newer import newer
from edgepress.stages.quantize.qdq import Plan, written
from edgepress.stages.quantize.sqnr import Evidence, run_model
from edgepress.stages.quantize.ties import count, end, untied, warning
from onnx import helper

from tests.stages.quantize.made import evidence, graph, plan


def net(classes: int, softmax: bool) -> tuple[onnx.ModelProto, Evidence, Plan]:
    random = np.random.default_rng(0)
    weights = {
        "w": random.normal(size=(32, 3, 3, 3)),
        "v": random.normal(size=(classes, 32)) * 0.4,
        "b": random.normal(size=classes) / 4,
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv", strides=[2, 2]),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["m"], "mean"),
        helper.make_node("Flatten", ["m"], ["f"], "flat"),
        helper.make_node("Gemm", ["f", "v", "b"], ["z" if softmax else "y"], "dense", transB=1),
        *([helper.make_node("Softmax", ["z"], ["y"], "softmax", axis=1)] if softmax else []),
    ]
    model = graph(nodes, weights, (1, 3, 8, 8), (1, classes))
    given = evidence(model, 200)
    return model, given, plan(model, given)


@pytest.mark.parametrize("softmax", [False, True])
def test_the_likeliest_of_many_classes_are_told_apart(softmax: bool, tmp_path: Path) -> None:
    model, given, before = net(400, softmax)
    after, note = untied(before, given)
    assert after.floats == {*end(model.graph)} == ({"dense", "softmax"} if softmax else {"dense"})
    assert note is not None
    assert note["before"] >= 10, "of 200"
    assert note["after"] == 0
    made = written(after, PRESETS["xnnpack"])
    stored = {tensor.name: tensor.data_type for tensor in made.graph.initializer}
    assert stored["v_int8"] == onnx.TensorProto.INT8, "the file is as small"
    (tmp_path / "m.tflite").write_bytes(write(made, {}))
    columns = tuple(np.moveaxis(x, 1, -1) for x in given.held)
    (found,) = run_file(RUNTIMES["litert"].loader, str(tmp_path / "m.tflite"), columns).values()
    expected = run_model(made, given.held)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert count(found, given.expected) == 0


def test_few_classes_stay_integers() -> None:
    _, given, before = net(20, True)
    assert untied(before, given) == (before, None)


def test_where_outputs_are_integers_ties_are_warned_of() -> None:
    _, given, before = net(400, True)
    outputs = run_model(written(before, PRESETS["integer-only"]), given.held)
    words = warning(outputs, given.expected, "integer-only")
    assert words is not None
    assert f"{count(outputs, given.expected)} of 200 held-out examples" in words
    assert warning(given.expected, given.expected, "x86") is None


def test_only_such_a_graph_has_a_key_of_its_own(tmp_path: Path) -> None:
    for classes, found in ((20, {}), (400, {"ties": "the last layer in float"})):
        onnx.save(net(classes, True)[0], tmp_path / "m.onnx")
        assert newer(tmp_path / "m.onnx") == found
