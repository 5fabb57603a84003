"""Two plans are compared on as many held-out examples as tell them apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from edgepress.core.presets import PRESETS, PresetName
from edgepress.stages.quantize import refine, sqnr
from edgepress.stages.quantize.qdq import Plan, written
from edgepress.stages.quantize.sqnr import Evidence, run_model

from tests.stages.quantize.made import evidence, plan, uneven


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows with every example that a graph of integers meets."""
    ran: list[int] = []
    rows = sqnr._rows
    monkeypatch.setattr(sqnr, "_rows", lambda *parts: (ran.append(1) or row for row in rows(*parts)))  # type: ignore[func-returns-value]
    return ran


@pytest.mark.parametrize("grouped", [False, True])
def test_a_clear_difference_needs_few_examples(grouped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = uneven(spread=3)
    given = replace(evidence(model, 200), grouped=grouped)
    fine, coarse = plan(model, given), plan(model, given, per_channel=False)
    exact = given.sqnr(fine) - given.sqnr(coarse)
    assert exact > 10
    ran = counted(monkeypatch)
    other = Evidence(model, given.seen, given.held, grouped)
    assert other.gain(fine, coarse, 0.1) == pytest.approx(exact, abs=2)
    assert len(ran) == 2 * 32
    assert other.gain(coarse, fine, 0.1) == -other.gain(fine, coarse, 0.1)
    assert len(ran) == 2 * 32, "it is known"


@pytest.mark.parametrize("grouped", [False, True])
def test_one_that_is_near_needs_all(grouped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = uneven(spread=2)
    given = replace(evidence(model, 200), grouped=grouped)
    fine, coarse = plan(model, given), plan(model, given, per_channel=False)
    exact = given.sqnr(fine) - given.sqnr(coarse)
    ran = counted(monkeypatch)
    other = Evidence(model, given.seen, given.held, grouped)
    assert other.gain(fine, coarse, exact) == pytest.approx(exact, abs=1e-9)
    assert len(ran) == 2 * 200


def test_the_same_numbers_are_no_gain_after_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    model = uneven()
    given = evidence(model, 64)
    before = plan(model, given)
    ran = counted(monkeypatch)
    assert given.gain(replace(before), before, 0.1) == 0
    assert len(ran) == 2 * 32


def test_outputs_in_parts_are_those_of_one_run() -> None:
    model = uneven(spread=2)
    given = evidence(model, 70)
    fine, coarse = plan(model, given), plan(model, given, per_channel=False)
    given.gain(fine, coarse, 0.1)
    for each in (fine, coarse):
        np.testing.assert_array_equal(given.outputs(each), run_model(given.written(each), given.held))


@pytest.mark.parametrize("spread", [0.0, 2.0, 3.0])
@pytest.mark.parametrize("per_channel", [False, True])
def test_steps_are_those_of_all_examples(spread: float, per_channel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = uneven(spread=spread)

    def steps() -> tuple[dict[str, bool], bytes, float]:
        given = evidence(model, 200)
        best, rows = refine.refined(Plan(model, {}, per_channel), given, "auto", lambda *_: None, improve=True)
        kept = {row["step"]: row["kept"] for row in rows}
        last = [row["decibels"] for row in rows if row["kept"]][-1]
        assert last == round(given.sqnr(best), 2), "of all examples"
        return kept, given.written(best).SerializeToString(), last

    some = steps()
    monkeypatch.setattr(sqnr, "_LOOKS", ())
    assert some == steps()


def test_weights_of_seven_bits_have_integers_of_their_own() -> None:
    model = uneven(channels=24, depthwise=False)
    given = evidence(model, 128)
    reduced = PRESETS["x86-avx2"].numbers
    best, rows = refine.refined(Plan(model, {}), given, "minmax", lambda *_: None, improve=True, reduced=reduced)
    alone, same = refine.refined(Plan(model, {}), given, "minmax", lambda *_: None, improve=True)
    assert rows == same
    assert given.written(best).SerializeToString() == given.written(alone).SerializeToString()
    assert best.coarse is not None
    assert best.coarse.integers
    assert max(np.abs(known.integers.astype(int)).max() for known in best.coarse.integers.values()) <= 64
    found, nearest = (given.decibels(given.outputs(each, reduced)) for each in (best, alone))
    assert found > nearest + refine.LEAST


@pytest.mark.parametrize("name", PRESETS)
def test_a_graph_made_of_a_remembered_one_is_the_one_that_is_written(name: PresetName) -> None:
    """Of presets with the same numbers one is written, and the unsigned twin is 128 beside it."""
    model = uneven()
    given = evidence(model, 16)
    integers = plan(model, given)
    given.outputs(integers)
    found, expected = given.written(integers, PRESETS[name]), written(integers, PRESETS[name])
    assert found.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)
