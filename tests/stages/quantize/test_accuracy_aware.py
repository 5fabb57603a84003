"""Operators that spoil the answers go back to float, and no more than are needed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from edgepress.core.presets import PRESETS
from edgepress.stages.quantize.accuracy_aware import restored
from edgepress.stages.quantize.qdq import Plan, written
from edgepress.stages.quantize.sqnr import Evidence, run_model
from onnx import numpy_helper

from tests.stages.quantize.made import evidence, plan, uneven


def quiet(done: int, total: int, words: str) -> None: ...


def worth(given: Evidence) -> object:
    """Share of the held-out examples that are told as in float, in points."""
    return lambda answers: 100 * float((answers.argmax(1) == given.expected.argmax(1)).mean())


def spoilt(channels: int = 8) -> tuple[Evidence, Plan]:
    """Two channels of the first convolution dwarf the others, which one scale rounds to nothing."""
    model = uneven(spread=5, channels=channels)
    given = evidence(model, 128)
    return given, plan(model, given, per_channel=False)


def test_nothing_is_restored_that_holds() -> None:
    model = uneven(spread=0)
    given = evidence(model, 64)
    before = plan(model, given)
    after, told = restored(before, given, worth(given), 50, quiet)
    assert after is before
    assert told == []


def test_the_worst_goes_back_until_it_holds() -> None:
    given, before = spoilt()
    assert worth(given)(run_model(written(before, PRESETS["xnnpack"]), given.held)) < 90
    after, told = restored(before, given, worth(given), 97, quiet)
    assert worth(given)(run_model(written(after, PRESETS["xnnpack"]), given.held)) >= 97
    assert after.floats == {row["node"] for row in told}
    assert {"first", "second"} & after.floats
    assert "dense" not in after.floats
    assert [row["decibels"] for row in told] == sorted((row["decibels"] for row in told), reverse=True)
    for row in told:
        assert set(row) == {"node", "operator", "decibels", "bytes", "seconds"}


def test_one_fewer_would_not_do() -> None:
    given, before = spoilt()
    after, told = restored(before, given, worth(given), 97, quiet)
    fewer = Plan(before.graph, before.ranges, False, after.floats - {told[-1]["node"]})
    assert worth(given)(run_model(written(fewer, PRESETS["xnnpack"]), given.held)) < 97


def test_what_cannot_be_reached_ends_with_every_operator_in_float() -> None:
    given, before = spoilt()
    after, told = restored(before, given, lambda answers: 0.0, 1.0, quiet)
    assert after.floats == {node.name for node in before.graph.graph.node} == {row["node"] for row in told}
    ranked = [row["node"] for row in told if row["decibels"] is not None]
    assert sorted(ranked) == ["dense", "first", "mean", "second"], "the others only move numbers, or bound them"
    assert ranked == [row["node"] for row in told][:4]


def test_an_operator_in_float_keeps_its_weights_in_int8() -> None:
    given, before = spoilt(channels=48)
    made = written(replace(before, floats=frozenset({"first", "second"})), PRESETS["xnnpack"])
    big = [t for t in made.graph.initializer if numpy_helper.to_array(t).size > 48 * 3]
    assert len(big) == 2
    assert all(t.data_type == onnx.TensorProto.INT8 for t in big)
    assert np.isfinite(run_model(made, given.held)).all()
