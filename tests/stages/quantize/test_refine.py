"""Steps towards the float answers: what each keeps as it was, what it wins, and that it goes where it does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.core.presets import PRESETS
from edgepress.stages.quantize import refine
from edgepress.stages.quantize.bias_correction import corrected
from edgepress.stages.quantize.calibration import ranges
from edgepress.stages.quantize.calibration.observe import observe
from edgepress.stages.quantize.equalization import equalized, equalized_groups, observer
from edgepress.stages.quantize.gptq import rounded
from edgepress.stages.quantize.layer_inputs import Inputs, LayerInputs, patches
from edgepress.stages.quantize.qdq import Plan, written
from edgepress.stages.quantize.sqnr import Evidence, decibels, run_model, watched
from onnx import helper, numpy_helper

from tests.stages.quantize.made import collected, evidence, graph, plan, uneven


def recalibrated(plan: Plan, given: Evidence) -> Plan:
    return replace(plan, ranges=ranges.ranges(plan.graph, given.seen, methods=("minmax",))["minmax"])


@pytest.mark.parametrize("depthwise", [True, False])
@pytest.mark.parametrize("per_channel", [True, False])
def test_equalised_channels_answer_alike(depthwise: bool, per_channel: bool) -> None:
    model = uneven(spread=2, depthwise=depthwise)
    given = evidence(model)
    even = equalized(plan(model, given, per_channel=per_channel), given)
    assert even.graph.SerializeToString() != model.SerializeToString()
    np.testing.assert_allclose(run_model(even.graph, given.held), given.expected, rtol=1e-4, atol=1e-4)


def test_equalisation_saves_channels_that_share_a_scale() -> None:
    model = uneven(spread=3)
    given = evidence(model)
    before = plan(model, given, per_channel=False)
    after = recalibrated(equalized(before, given), given)
    assert given.sqnr(after) > given.sqnr(before) + 10


def test_a_channel_that_is_never_active_is_no_division_by_zero() -> None:
    model = uneven(spread=2)
    for tensor in model.graph.initializer:
        if tensor.name in ("w1", "b1"):
            values = numpy_helper.to_array(tensor).copy()
            values[2] = 0 if tensor.name == "w1" else -1
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    given = evidence(model)
    for per_channel in (True, False):
        even = equalized(plan(model, given, per_channel=per_channel), given)
        np.testing.assert_allclose(run_model(even.graph, given.held), given.expected, rtol=1e-4, atol=1e-4)


def test_what_two_read_is_not_moved() -> None:
    random = np.random.default_rng(0)
    weights = {"w1": random.normal(size=(4, 3, 1, 1)), "w2": random.normal(size=(4, 4, 1, 1))}
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c"], "first"),
        helper.make_node("Conv", ["c", "w2"], ["d"], "second"),
        helper.make_node("Add", ["c", "d"], ["y"], "sum"),
    ]
    model = graph(nodes, weights, (1, 3, 4, 4), (1, 4, 4, 4))
    given = evidence(model)
    before = plan(model, given)
    assert equalized(before, given) is before


def test_rounding_lowers_the_error_of_what_the_weights_meet() -> None:
    """On inputs that go together, the sum of the squared errors is that of nearest integers at most."""
    model = uneven(channels=9, depthwise=False)
    given = evidence(model, 64)
    before = plan(model, given)
    after = rounded(before, given.written(before), collected(before, given), PRESETS["xnnpack"])
    stored = {t.name: numpy_helper.to_array(t) for t in written(before, PRESETS["xnnpack"]).graph.initializer}
    assert set(after.integers) == {"w1", "w2", "w3"}
    for each in collected(before, given):
        name = each.node.input[1]
        shape = (-1, *[1] * (each.weight.ndim - 1))
        scale = stored[f"{name}_scale"].reshape(shape)
        errors = []
        for integers in (stored[f"{name}_quantized"], after.integers[name].integers):
            assert np.abs(integers.astype(int)).max() <= 127
            off = (each.weight - integers * scale).reshape(each.gram.shape[0], -1, each.gram.shape[1])
            errors.append(float(np.einsum("gok,gkl,gol->", off, each.gram, off)))
        assert errors[1] <= errors[0] * 1.001, name
    assert given.sqnr(after) > given.sqnr(before) - 1


def test_statistics_of_an_equalized_graph_follow_from_those_of_the_first() -> None:
    model = uneven(spread=2, depthwise=False)
    given = evidence(model, 80)
    before = plan(model, given)
    inputs, known = Inputs(before), observer(before)
    observe(before.graph, given.seen, [inputs, known])
    after = equalized_groups(equalized(before, given, known), given, known)
    factors = known.factors(after.graph)
    assert {"c1", "r1"} <= factors.keys()
    for one, two in zip(collected(after, given), inputs.layers(after, factors), strict=True):
        assert two.weight is not one.weight
        np.testing.assert_array_equal(two.weight, one.weight)
        for mine, theirs in ((one.mean, two.mean), (one.gram, two.gram)):
            assert mine is not None
            assert theirs is not None
            np.testing.assert_allclose(theirs, mine, rtol=1e-4, atol=1e-5 * np.abs(mine).max())


def test_the_integers_are_in_the_file() -> None:
    model = uneven()
    given = evidence(model)
    before = plan(model, given)
    after = rounded(before, given.written(before), collected(before, given), PRESETS["xnnpack"])
    stored = {t.name: numpy_helper.to_array(t) for t in written(after, PRESETS["x86"]).graph.initializer}
    for name, known in after.integers.items():
        np.testing.assert_array_equal(stored[f"{name}_quantized"], known.integers)


def test_an_operator_in_float_unpacks_the_weights_that_its_bias_goes_with() -> None:
    """The nearest integers have another mean error than those by GPTQ, for which the bias was corrected."""
    model = uneven(channels=24, depthwise=False)
    given = evidence(model, 128)
    before = plan(model, given)
    layers = collected(before, given)
    after = rounded(before, given.written(before), layers, PRESETS["xnnpack"])
    after = corrected(after, given.written(after), layers)
    for floats in (["second"], ["first", "second"]):
        mixed = replace(after, floats=frozenset(floats))
        stored = {t.name: numpy_helper.to_array(t) for t in written(mixed, PRESETS["xnnpack"]).graph.initializer}
        np.testing.assert_array_equal(stored["w2_int8"], after.integers["w2"].integers)
        np.testing.assert_array_equal(stored["w2_scale"], after.integers["w2"].scale)
        assert given.sqnr(mixed) > given.sqnr(replace(mixed, integers={})) + 1


def test_bias_takes_back_the_mean_error_of_coarse_weights() -> None:
    """With one scale for channels a thousand times apart, the smaller ones round to nothing, and their mean is off."""
    model = uneven(spread=3)
    given = evidence(model, 128)
    before = plan(model, given, per_channel=False)
    after = corrected(before, given.written(before), collected(before, given))
    assert given.sqnr(after) > given.sqnr(before) + 1
    assert {node.op_type for node in after.graph.graph.node} == {node.op_type for node in model.graph.node}


def test_a_convolution_without_a_bias_gets_one() -> None:
    weights = {"w": np.random.default_rng(0).normal(size=(4, 3, 3, 3))}
    model = graph([helper.make_node("Conv", ["x", "w"], ["y"], "only")], weights, (1, 3, 6, 6), (1, 4, 4, 4))
    given = evidence(model)
    before = plan(model, given)
    after = corrected(before, given.written(before), collected(before, given))
    assert len(after.graph.graph.node[0].input) == 3
    onnx.checker.check_model(after.graph)


@pytest.mark.parametrize(
    "options",
    [
        {"pads": [1, 0, 2, 1], "strides": [2, 1]},
        {"dilations": [2, 2], "pads": [2, 2, 2, 2]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
        {"group": 2, "pads": [1, 1, 1, 1]},
    ],
    ids=str,
)
def test_patches_are_what_a_convolution_multiplies(options: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    group = options.get("group", 1)
    weight = random.normal(size=(6, 4 // group, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], "only", **options)
    value = random.normal(size=(1, 4, 6, 7)).astype(np.float32)
    typed = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, value.shape)
    made = helper.make_graph([node], "one", [x], [typed], [numpy_helper.from_array(weight, "w")])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    expected = run_model(model, (value,)).reshape(6, -1)  # at every place: there are fewer than are taken
    columns = patches(LayerInputs(node, weight), value)
    assert columns is not None
    found = np.einsum("gkp,gok->gop", columns, weight.reshape(group, 6 // group, -1)).reshape(6, -1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_step_is_kept_only_where_it_helps() -> None:
    """On held-out examples: what is reached is the best of what was tried, and never below where it began."""
    for spread in (0.0, 3.0):
        model = uneven(spread=spread)
        given = evidence(model, 64)
        best, told = refine.refined(Plan(model, {}, False), given, "auto", lambda *_: None, improve=True)
        kept = [row["decibels"] for row in told if row["kept"]]
        assert kept == sorted(kept)
        assert given.sqnr(best) == pytest.approx(kept[-1], abs=0.01)
        first = [row for row in told if row["step"].startswith("ranges: ")]
        assert {row["step"] for row in first} == {f"ranges: {name}" for name in ranges.METHODS}
        assert sum(row["kept"] for row in first) == 1


def test_watched_tensors_come_example_by_example() -> None:
    model = uneven()
    given = evidence(model, 3)
    rows = list(watched(model, ["x", "r1", "y"], given.seen))
    assert len(rows) == 3
    examples = np.stack([row[0] for row in given.seen])
    np.testing.assert_array_equal(rows[1][0][0], examples[1])
    np.testing.assert_allclose(np.stack([row[2][0] for row in rows]), run_model(model, (examples,)), rtol=1e-6)


def test_decibels() -> None:
    one = np.ones((2, 4), np.float32)
    assert decibels(one, one) == pytest.approx(120)
    assert decibels(one, one * 1.1) == pytest.approx(20, abs=0.01)
    assert decibels(one, 0 * one) == pytest.approx(0)


def test_layers_without_statistics_keep_the_integers_that_their_bias_was_corrected_for() -> None:
    model = uneven(channels=24, depthwise=False)
    given = evidence(model, 128)
    before = plan(model, given)
    layers = [replace(each, gram=None) for each in collected(before, given)]
    after = corrected(before, given.written(before), layers)
    assert set(after.integers) == {"w1", "w2", "w3"}
    alone = plan(model, given, per_channel=False)
    assert not corrected(alone, given.written(alone), layers).integers
