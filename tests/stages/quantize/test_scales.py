"""Scales of sums: multiples of one power of two, no quotient a half; the same integers in both runtimes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import onnx
import pytest
from edgepress.core.presets import PRESETS
from edgepress.models.tflite.convert import write
from edgepress.stages.quantize.qdq import written
from edgepress.stages.quantize.scales import untied
from onnx import helper

from tests.models.tflite import models
from tests.stages.quantize.made import evidence, graph, plan


def chained() -> onnx.ModelProto:
    """Two sums in a row with a Relu between them, of tensors whose sizes differ; and a product beside them."""
    random = np.random.default_rng(0)
    weights = {f"w{index}": random.normal(size=(6, 6, 1, 1)) * 3.0**index for index in range(3)}
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], "a"),
        helper.make_node("Conv", ["x", "w1"], ["b"], "b"),
        helper.make_node("Add", ["a", "b"], ["c"], "c"),
        helper.make_node("Relu", ["c"], ["d"], "d"),
        helper.make_node("Conv", ["d", "w2"], ["e"], "e"),
        helper.make_node("Sub", ["d", "e"], ["f"], "f"),
        helper.make_node("Mul", ["f", "a"], ["y"], "y"),
    ]
    return graph(nodes, weights, (1, 6, 8, 8), (1, 6, 8, 8))


def steps(ranges: dict[str, tuple[float, float]]) -> dict[str, Fraction]:
    return {name: Fraction(high - low) / 255 for name, (low, high) in ranges.items()}


def odd(step: Fraction) -> tuple[int, Fraction]:
    """The odd number, and the power of two, whose product it is."""
    number = step.numerator & -step.numerator
    return step.numerator // number, Fraction(number, step.denominator)


def test_scales_of_connected_sums_share_a_power_of_two() -> None:
    model = chained()
    given = plan(model, evidence(model)).ranges
    found = steps(untied(model.graph, given))
    powers = {odd(found[name])[1] for name in "abcdef"}
    assert len(powers) == 1
    assert all(odd(found[name])[0] % 2 and odd(found[name])[0] >= 128 for name in "abcdef")


def test_ranges_grow_little_and_keep_what_they_held() -> None:
    model = chained()
    given = plan(model, evidence(model)).ranges
    found = untied(model.graph, given)
    for name, (low, high) in given.items():
        step = float(steps(found)[name])
        assert found[name][0] <= min(low, 0) + step / 2
        assert found[name][1] >= max(high, 0) - step / 2
        assert step <= 1.017 * (max(high, 0.0) - min(low, 0.0)) / 255


@pytest.mark.parametrize("wide", [(0.0, 0.0), (-3.0, -1.0), (1.0, 2.0), (-1e-20, 1e-20), (0.0, 3e30)])
def test_ranges_at_the_edge(wide: tuple[float, float]) -> None:
    model = chained()
    found = untied(model.graph, {"a": wide, "b": (-1.0, 1.0), "c": (-2.0, 2.0), "y": wide})
    for name in ("a", "y"):
        low, high = found[name]
        assert np.isfinite([low, high]).all()
        assert high - low >= max(wide[1], 0.0) - min(wide[0], 0.0)


def test_what_is_in_no_sum_has_a_scale_of_few_bits() -> None:
    model = chained()
    found = steps(untied(model.graph, plan(model, evidence(model)).ranges))
    assert all(odd(found[name])[0] < 1024 for name in ("x", "y"))


def test_both_runtimes_add_to_the_same_integers() -> None:
    """Not one of 76,800 numbers differs."""
    model = chained()
    given = plan(model, evidence(model))
    made = written(given, PRESETS["xnnpack"])
    samples = np.random.default_rng(3).normal(size=(200, 6, 8, 8)).astype(np.float32)
    one, two = models.in_onnxruntime(made, samples), models.in_tflite(write(made, {}), samples, models.RUNTIMES[0])
    assert np.rint(np.abs(one - two) / float(steps(untied(model.graph, given.ranges))["y"])).max() == 0
