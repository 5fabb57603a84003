"""The first screen of the page: what fits, what is let pass, and what no required budget says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from edgepress.gate.finding import Status
from edgepress.gate.judge import Finding
from edgepress.gate.report.page import fit
from edgepress.gate.report.page.render import render

from tests.gate.report.test_text import MEASURED, STAGES, report

SIZE = Finding("t", "size", "required", "ok", 100.0, "bytes", 84.0, label="measured")
OPEN = Finding("t", "accuracy", "required", "undecided", 0.9, "share", 0.9, (0.88, 0.92), "measured")


@pytest.mark.parametrize(("target", "fits"), [("t", "does not fit"), ("recipe", "not kept")])
def test_what_is_undecided_and_let_pass_does_not_fit(target: str, fits: str) -> None:
    findings = [replace(each, target=target) for each in (SIZE, OPEN)]
    (aim,) = fit.aims(findings, "warn")
    assert (aim.status, aim.sign, aim.verdict) == ("undecided", "?", "not decided, let pass")
    assert "?</span> not decided, let pass</span></h1>" in render(report(STAGES, MEASURED), findings, "warn")
    (aim,) = fit.aims(findings, "fail")
    assert (aim.status, aim.verdict) == ("undecided", "not decided")
    (aim,) = fit.aims([*findings, replace(SIZE, target=target, status="FAIL")], "warn")
    assert (aim.status, aim.verdict) == ("FAIL", fits)


@pytest.mark.parametrize("status", ["ok", "FAIL"])
def test_advisory_budgets_alone_fit_nothing(status: Status) -> None:
    advisory = replace(SIZE, target="a", level="advisory", status=status)
    (aim,) = fit.aims([advisory], "fail")
    assert (aim.sign, aim.verdict) == ("—", "no required budget")
    assert "—</span> no required budget</span></h1>" in render(report(STAGES, MEASURED), [advisory])
    assert [aim.target for aim in fit.aims([advisory, SIZE], "fail")] == ["t", "a"], "what is judged comes first"
    assert "✓</span> fits</span></h1>" in render(report(STAGES, MEASURED), [advisory, SIZE])


def test_of_lower_limits_the_one_that_is_nearer_comes_first() -> None:
    near, far = (
        Finding("t", check, "required", "ok", 0.3, "share", value, (value - 0.02, value + 0.02), "measured")
        for check, value in (("map", 0.33), ("map50", 0.6))
    )
    (aim,) = fit.aims([far, near], "fail")
    assert [budget.check for budget in aim.budgets] == ["map", "map50"]
    (aim,) = fit.aims([far, SIZE, near], "fail")
    assert [budget.check for budget in aim.budgets] == ["map", "size", "map50"], "97%, 84% and 52% of their limits"
