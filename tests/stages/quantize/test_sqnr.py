"""SQNR ends as soon as a plan cannot reach what it has to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from edgepress.stages.quantize import refine, sqnr
from edgepress.stages.quantize.qdq import Plan
from edgepress.stages.quantize.sqnr import Evidence

from tests.stages.quantize.made import evidence, plan, uneven


@pytest.mark.parametrize("grouped", [False, True])
def test_what_cannot_reach_the_least_ends_early_at_a_bound(grouped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = uneven(spread=2)
    given = replace(evidence(model, 64), grouped=grouped)
    coarse = plan(model, given, per_channel=False)
    exact = given.sqnr(coarse)
    ran: list[int] = []
    rows = sqnr._rows
    monkeypatch.setattr(sqnr, "_rows", lambda *parts: (ran.append(1) or row for row in rows(*parts)))  # type: ignore[func-returns-value]

    def bounded(least: float) -> tuple[float, int]:
        ran.clear()
        other = Evidence(model, given.seen, given.held, grouped)
        value = other.sqnr(coarse, least)
        assert other.sqnr(coarse, least) == value
        return value, len(ran)

    assert bounded(exact - 0.01) == (exact, 64)
    above = [bounded(exact + more) for more in (0.01, 3.0, 10.0)]
    assert all(exact <= value <= exact + more for (value, _), more in zip(above, (0.01, 3.0, 10.0), strict=True))
    counts = [count for _, count in above]
    assert counts == sorted(counts, reverse=True)
    assert counts[2] < 20, "a tenth of the noise is soon there"


def test_a_later_question_that_wants_less_is_answered() -> None:
    model = uneven(spread=2)
    given = evidence(model, 32)
    coarse = plan(model, given, per_channel=False)
    assert given.sqnr(coarse, 100.0) <= 100
    expected = evidence(model, 32).sqnr(coarse)
    assert given.sqnr(coarse) == expected
    assert given.sqnr(coarse, 100.0) == expected, "it is known then"


@pytest.mark.parametrize("spread", [0.0, 2.0, 3.0])
@pytest.mark.parametrize("per_channel", [False, True])
def test_steps_are_those_of_a_full_count(spread: float, per_channel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds end what is not kept, and nothing else."""
    model = uneven(spread=spread)

    def steps() -> tuple[dict[str, bool], dict[str, float], bytes]:
        given = evidence(model, 64)
        best, rows = refine.refined(Plan(model, {}, per_channel), given, "auto", lambda *_: None, improve=True)
        kept = {row["step"]: row["kept"] for row in rows}
        return kept, {row["step"]: row["decibels"] for row in rows}, given.written(best).SerializeToString()

    kept, bounds, file = steps()
    full = Evidence.sqnr
    monkeypatch.setattr(Evidence, "sqnr", lambda self, plan, least=-np.inf: full(self, plan))
    every, values, same = steps()
    assert kept == every
    assert file == same
    for step, is_kept in every.items():
        assert bounds[step] == values[step] if is_kept else bounds[step] >= values[step] - 0.01
