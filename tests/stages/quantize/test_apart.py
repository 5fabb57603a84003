"""Pixels and scores in one output: the scores survive, without a label."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from edgepress.core import likeness
from edgepress.core.metrics import METRICS
from edgepress.core.presets import PRESETS
from edgepress.models import metadata
from edgepress.models.predict import predict
from edgepress.models.tflite.convert import layouts, write
from edgepress.stages.quantize import apart, ptq, summary
from edgepress.stages.quantize.qdq import written
from edgepress.stages.quantize.sqnr import Evidence, run_model
from onnx import helper

from tests.models.onnx.made import data, imported, weights
from tests.models.onnx.test_outputs import unlabelled
from tests.stages.quantize.made import graph, plan

node = helper.make_node


def detector(*, dense: bool = False) -> onnx.ModelProto:
    """Boxes from 0 to 640 and scores from 0 to 1, (1, 6, 64); or one dense layer that gives both by itself."""
    tensors = {
        "w": 2 * weights(8, 3, 3, 3),
        "k": weights(4, 8, 1, 1),
        "s": weights(2, 8, 1, 1),
        "size": np.float32(640),
    }
    nodes = [node("Conv", ["x", "w"], ["c"], pads=[1] * 4), node("Relu", ["c"], ["r"])]
    if dense:
        scale = np.array([640, 640, 1, 1], np.float32)
        nodes += [
            node("GlobalAveragePool", ["r"], ["p"]), node("Flatten", ["p"], ["f"]), node("Gemm", ["f", "v"], ["y"]),
        ]  # fmt: skip
        return graph(nodes, {"w": tensors["w"], "v": weights(8, 4) * scale}, (1, 3, 8, 8), (1, 4))
    nodes += [
        node("Conv", ["r", "k"], ["bl"]), node("Sigmoid", ["bl"], ["bs"]), node("Mul", ["bs", "size"], ["boxes"]),
        node("Conv", ["r", "s"], ["sl"]), node("Sigmoid", ["sl"], ["scores"]),
        node("Concat", ["boxes", "scores"], ["both"], axis=1), node("Reshape", ["both", "shape"], ["y"]),
    ]  # fmt: skip
    model = graph(nodes, tensors, (1, 3, 8, 8), (1, 6, 64))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 6, 64]), "shape"))
    return model


def evidence(model: onnx.ModelProto) -> Evidence:
    x = data()["test"].x
    return Evidence(model, [(row,) for row in x], (x,), grouped=True)


def test_what_joins_two_ranges_is_in_float_and_what_makes_them_is_not() -> None:
    given = evidence(detector())
    types = {each.name: each.op_type for each in given.model.graph.node}
    assert {types[name] for name in given.apart} == {"Concat", "Reshape"}
    before = plan(given.model, given)
    after = apart.applied(before, given)
    assert not after.exact
    assert given.sqnr(before) < 5
    assert given.sqnr(after) > 25


def test_a_layer_that_makes_both_by_itself_has_float_weights() -> None:
    given = evidence(detector(dense=True))
    after = apart.applied(plan(given.model, given), given)
    (name,) = after.exact
    assert next(each for each in given.model.graph.node if each.name == name).op_type == "Gemm"
    outputs = run_model(written(after, PRESETS["xnnpack"]), given.held)
    assert likeness.likeness(outputs, given.expected) > 0.99


def test_one_vector_of_a_label_task_is_as_before() -> None:
    given = replace(evidence(detector()), grouped=False)
    assert given.apart == frozenset()
    assert apart.note(given) == []


@pytest.mark.parametrize("keep", [1.0, None])
def test_the_scores_survive_in_onnx_and_tflite(keep: float | None, tmp_path: Path) -> None:
    imported(detector(), tmp_path, unlabelled())
    options = ptq.Options(samples=12, faster=False, keep=keep)
    files, notes = ptq.quantize_static(
        tmp_path / "made.onnx", unlabelled(), METRICS["agreement"], tmp_path, presets=("x86",), options=options
    )
    model = onnx.load(tmp_path / files["xnnpack"])
    last = [name for name, layout in layouts(model).items() if layout != "same"]
    (tmp_path / "m.tflite").write_bytes(write(model, metadata.for_tflite(metadata.read_onnx(model), last)))
    x = data()["test"].x
    expected = predict(tmp_path / "made.onnx", x)
    for file in (*files.values(), "m.tflite"):
        rows = likeness.rows(predict(tmp_path / file, x), expected, "y")
        assert {row["group"] for row in rows} == {"y, channels 0–3", "y, channels 4–5"}
        assert min(row["cosine"] for row in rows) >= 0.999
    (line,) = (line for line in summary.lines(notes) if "drown" in line)
    assert "(Concat) in float, because the output y has channels 0–3 from " in line
    if keep:
        (row,) = notes["keep"]
        assert (row["by"], row["least"], row["missed"]) == ("likeness", 0.99, [])
