"""Numbers that stand for "never" spoil no integers: in ONNX, every preset, int16 and TFLite answer as float does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from edgepress.core.errors import UserError
from edgepress.core.presets import INT16, PRESETS, Preset
from edgepress.core.runtimes import RUNTIMES
from edgepress.models.session import run_file
from edgepress.models.tflite import convert
from edgepress.stages.quantize.calibration import ranges
from edgepress.stages.quantize.excluded import unsuited
from edgepress.stages.quantize.fill_values import ranged
from edgepress.stages.quantize.qdq import Plan, prepared, written
from edgepress.stages.quantize.sqnr import Evidence, decibels, run_model
from onnx import helper, numpy_helper

from tests.stages.quantize import masked
from tests.stages.quantize.made import evidence, graph, uneven

NEVER = [masked.LOWEST, -np.inf, -1e9, -65504.0, -10000.0]
NEAR = 20.0
"""Decibels: what 8 bits leave of such a small network without a mask; with the mask in the range there are 0 to 5."""


def planned(model: onnx.ModelProto, given: Evidence) -> Plan:
    plan = Plan(prepared(model), {}, floats=unsuited(model.graph))
    return ranged(plan, ranges.ranges(plan.graph, given.seen, methods=("minmax",))["minmax"])


def in_tflite(made: onnx.ModelProto, given: Evidence, folder: Path) -> np.ndarray:
    (folder / "model.tflite").write_bytes(convert.write(made, {}))
    (x,) = given.held
    columns = (np.moveaxis(x, 1, -1) if x.ndim > 3 else x,)
    found: np.ndarray
    (found,) = run_file(RUNTIMES["litert"].loader, str(folder / "model.tflite"), columns).values()
    return found


@pytest.mark.parametrize("never", NEVER, ids=str)
@pytest.mark.parametrize("build", masked.MASKS.values(), ids=masked.MASKS)
def test_a_mask_costs_nothing(build: Callable[[float], onnx.ModelProto], never: float, tmp_path: Path) -> None:
    if np.isinf(never) and build in (masked.computed, masked.multiplied, masked.shut_class):
        pytest.skip("0 · ∞ is no number in float either, and a class whose score is −∞ has no logit")
    model = build(never)
    given = evidence(model)
    plan = planned(model, given)
    made = written(plan, PRESETS["xnnpack"])
    assert decibels(given.expected, run_model(made, given.held)) > NEAR
    assert decibels(given.expected, in_tflite(made, given, tmp_path)) > NEAR
    if build is not masked.shut_class:  # its one product is what the mask is in
        assert any(node.op_type == "QuantizeLinear" for node in made.graph.node), "what is not masked is integers"


@pytest.mark.parametrize("preset", [*PRESETS.values(), INT16], ids=[*PRESETS, "int16"])
def test_it_costs_nothing_in_any_preset(preset: Preset) -> None:
    for never in (masked.LOWEST, -np.inf):
        model = masked.added(never)
        given = evidence(model)
        made = written(planned(model, given), preset)
        assert decibels(given.expected, run_model(made, given.held)) > NEAR


def test_a_mask_of_100_is_too_wide_for_a_softmax() -> None:
    model = masked.added(-100.0)
    plan = planned(model, evidence(model))
    kinds = {node.op_type for node in plan.graph.graph.node if node.name in plan.floats}
    assert kinds == {"Add", "Softmax"}


def test_scores_without_a_mask_stay_integers() -> None:
    model = masked.added(0.0)
    given = evidence(model)
    assert planned(model, given).floats == frozenset()


def test_a_mask_that_no_example_shows_is_one_all_the_same() -> None:
    """All places are open in the examples that ranges come from; later ones shut some."""
    model = masked.computed(-1e9)
    random = np.random.default_rng(0)
    plan = Plan(prepared(model), {})
    x = random.normal(size=(128, 8, 8)).astype(np.float32)
    whole = x + np.maximum(-0.45 - x.mean(2, keepdims=True), 0)
    found = ranges.ranges(plan.graph, (whole,), methods=("minmax",))["minmax"]
    assert np.isfinite(found["m"]).all()
    plan = ranged(plan, found)
    kinds = {node.name: node.op_type for node in plan.graph.graph.node}
    assert {"Mul", "Add", "Softmax"} <= {kinds[name] for name in plan.floats}


@pytest.mark.parametrize("never", NEVER, ids=str)
@pytest.mark.parametrize(
    ("after", "pool"),
    [
        ("", {}), ("Relu", {}), ("Identity", {}), ("", {"ceil_mode": 1}), ("", {"pads": [1, 1, 1, 1]}),
        ("", {"kernel_shape": [2, 2]}), ("", {"auto_pad": "SAME_UPPER"}),
    ],
    ids=str,
)  # fmt: skip
def test_a_pad_before_a_maximum_costs_nothing(
    after: str, pool: dict[str, object], never: float, tmp_path: Path
) -> None:
    model = masked.pooled(never, after, **pool)
    given = evidence(model)
    made = written(planned(model, given), PRESETS["xnnpack"])
    assert decibels(given.expected, run_model(made, given.held)) > 30
    assert decibels(given.expected, in_tflite(made, given, tmp_path)) > 30


def test_a_pad_that_no_maximum_picks_is_the_pools_own() -> None:
    found = prepared(masked.pooled(-np.inf)).graph
    assert "Pad" not in {node.op_type for node in found.node}
    (pool,) = (node for node in found.node if node.op_type == "MaxPool")
    assert [each.ints for each in pool.attribute if each.name == "pads"] == [[1, 1, 1, 1]]
    kept = prepared(masked.pooled(-1.0)).graph
    assert "Pad" in {node.op_type for node in kept.node}, "−1 may be the largest"
    beyond = prepared(masked.pooled(-1e9, kernel_shape=[1, 1])).graph
    assert "Pad" in {node.op_type for node in beyond.node}, "a window without a pixel has the pad for its largest"


def test_no_scale_is_written_that_is_not_finite() -> None:
    """Whatever the ranges say, as those of a plan that somebody made by hand."""
    model = uneven()
    given = evidence(model)
    found = ranges.ranges(model, given.seen, methods=("minmax",))["minmax"]
    for wrong in ((-np.inf, np.inf), (-3e38, 3e38), (0.0, np.nan), (-3.4e38, 3.4e38)):
        made = written(Plan(model, {**found, "r1": wrong, "m": wrong}), PRESETS["xnnpack"])
        scales = [
            numpy_helper.to_array(tensor)
            for tensor in made.graph.initializer
            if tensor.name in {node.input[1] for node in made.graph.node if node.op_type.endswith("eLinear")}
        ]
        assert all(np.isfinite(each).all() and (each >= np.finfo(np.float32).tiny).all() for each in scales), wrong
        assert np.isfinite(run_model(made, given.held)).all()


def test_a_subnormal_scale_is_not_written_either() -> None:
    """A bias has the scale of input times weight, which may be less than float32 has."""
    model = graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"], "dense")],
        {"w": np.full((4, 3), 1e-35), "b": np.full(3, 1e-35)}, (1, 4), (1, 3),
    )  # fmt: skip
    made = written(Plan(model, {"x": (-1e-3, 1e-3), "y": (-1e-34, 1e-34)}), PRESETS["xnnpack"])
    for node in made.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            (scale,) = (numpy_helper.to_array(t) for t in made.graph.initializer if t.name == node.input[1])
            assert (scale >= np.finfo(np.float32).tiny).all()


@pytest.mark.parametrize("scale", [np.inf, np.nan, 0.0, -1.0, 1e-42])
def test_tflite_is_not_written_with_such_a_scale(scale: float) -> None:
    """It used to be, and ended the process by a signal when it was run."""
    model = uneven()
    given = evidence(model)
    made = written(Plan(model, ranges.ranges(model, given.seen, methods=("minmax",))["minmax"]), PRESETS["arm"])
    first = next(node for node in made.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "r1")
    (tensor,) = (each for each in made.graph.initializer if each.name == first.input[1])
    tensor.CopyFrom(numpy_helper.from_array(np.float32(scale), tensor.name))
    with pytest.raises(UserError, match=r"tensor `\w+` has the scale .*, with which no TFLite kernel can compute"):
        convert.write(made, {})
