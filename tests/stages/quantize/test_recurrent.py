"""Weights of recurrent operators: int8 where that is accurate, float32 where features have very different ranges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from edgepress.core.presets import PRESETS
from edgepress.stages.quantize import refine
from edgepress.stages.quantize.bias_correction import corrected
from edgepress.stages.quantize.calibration.ranges import Columns
from edgepress.stages.quantize.newer import newer
from edgepress.stages.quantize.qdq import Plan, written
from edgepress.stages.quantize.sqnr import Evidence, run_model
from onnx import helper, numpy_helper

from tests.stages.quantize.made import collected, graph

FEATURES, UNITS, STEPS = 6, 24, 12
node = helper.make_node


def gru(scales: np.ndarray) -> tuple[onnx.ModelProto, Evidence]:
    """A GRU over features of these ranges, which its weights make up for, and a dense layer on its last state."""
    random = np.random.default_rng(0)
    weights = {
        "w": random.normal(size=(1, 3 * UNITS, FEATURES)) / scales,
        "r": random.normal(size=(1, 3 * UNITS, UNITS)) / np.sqrt(UNITS),
        "b": random.normal(size=(1, 6 * UNITS)) / 4,
        "v": random.normal(size=(UNITS, 5)),
        "bv": random.normal(size=5),
    }
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("GRU", ["t", "w", "r", "b"], ["", "last"], "gru", hidden_size=UNITS, linear_before_reset=1),
        node("Flatten", ["last"], ["f"], axis=2),
        node("Gemm", ["f", "v", "bv"], ["y"], "dense"),
    ]
    model = graph(nodes, weights, (1, STEPS, FEATURES), (1, 5))
    seen, held = (random.normal(size=(2, 48, STEPS, FEATURES)) * scales).astype(np.float32)
    return model, Evidence(model, Columns((seen,)), (held,))


@pytest.mark.parametrize("spread", [1, 1000])
def test_int8_stays_as_near_to_float_as_the_graph_allows(spread: float) -> None:
    model, evidence = gru(np.geomspace(1, spread, FEATURES))
    plan, rows = refine.refined(Plan(model, {}), evidence, "minmax", lambda *_: None, improve=True)
    assert evidence.sqnr(plan) > 35
    assert rows[-1]["step"] == "recurrent weights as int8"
    assert rows[-1]["kept"] is (spread == 1)
    stored = {tensor.name: tensor.data_type for tensor in written(plan, PRESETS["x86"]).graph.initializer}
    assert (onnx.TensorProto.INT8 if spread == 1 else onnx.TensorProto.FLOAT) in {stored.get("w_int8"), stored.get("w")}
    everything = frozenset(node.name for node in model.graph.node)
    alone = Plan(plan.graph, plan.ranges, True, everything, plan.exact)
    assert evidence.sqnr(alone) > 35, "as with `faster`, which may return every operator to float"


def test_the_key_of_such_a_graph_is_its_own(tmp_path: Path) -> None:
    onnx.save(gru(np.ones(FEATURES))[0], tmp_path / "gru.onnx")
    assert newer(tmp_path / "gru.onnx") == {"recurrent": "int8 where that is accurate"}


def test_biases_of_products_over_steps_are_corrected() -> None:
    """As torch exports the input weights of a GRU that is written by hand: one product of all steps."""
    random = np.random.default_rng(1)
    weights = {
        "w": random.normal(size=(FEATURES, 9)),
        "b": random.normal(size=9),
        "v": random.normal(size=(9 * STEPS, 4)),
    }
    nodes = [
        node("Reshape", ["x", "rows"], ["s"]), node("Gemm", ["s", "w", "b"], ["g"], "steps"),
        node("Tanh", ["g"], ["t"]), node("Reshape", ["t", "one"], ["f"]), node("MatMul", ["f", "v"], ["y"]),
    ]  # fmt: skip
    model = graph(nodes, weights, (1, STEPS, FEATURES), (1, 4))
    for name, shape in (("rows", [STEPS, FEATURES]), ("one", [1, -1])):
        model.graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), name))
    model = onnx.shape_inference.infer_shapes(model)
    seen, held = random.normal(size=(2, 32, STEPS, FEATURES)).astype(np.float32)
    evidence = Evidence(model, Columns((seen,)), (held,))
    plan, _ = refine.refined(Plan(model, {}), evidence, "minmax", lambda *_: None, improve=False)
    after = corrected(plan, evidence.written(plan), collected(plan, evidence))
    assert evidence.sqnr(after) > evidence.sqnr(plan) - 1
    error = np.abs(run_model(after.graph, held[None]) - evidence.expected).max()
    assert error < 0.05 * np.abs(evidence.expected).max()
