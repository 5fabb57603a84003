"""A `keep` that was not reached is said so, with what costs most, and fails the check of a recipe that asked for it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from edgepress.core import keep
from edgepress.core.errors import UserError
from edgepress.core.metrics import METRICS
from edgepress.core.results import Report
from edgepress.gate import judge
from edgepress.gate.report import text
from edgepress.stages import TABLE

from tests.gate.test_judge import STAGES, report

ROWS = [
    {"node": "c7", "operator": "Conv", "decibels": 12.3, "bytes": 10, "seconds": None},
    {"node": "c2", "operator": "Conv", "decibels": 0.4, "bytes": 10, "seconds": None},
    {"node": "r", "operator": "Relu", "decibels": None, "bytes": 0, "seconds": None},
]
restored = partial(TABLE["quantize.static"].explain_loss, {"restored": ROWS})


def stages(found: dict[str, float], *, asked: bool, of: str = "stage", higher: bool = True) -> list[Any]:
    """Those of the gate's tests, of which the last says what it kept."""
    own, least = (0.933, 0.923) if higher else (2.0, 2.1)
    row = keep.row("accuracy" if higher else "mae", of, own, least, found, higher=higher)
    *rest, last = STAGES
    notes = {**last.notes, "keep": [row], "restored": ROWS, **({"keep_asked": True} if asked else {})}
    return [*rest, last.model_copy(update={"use": "quantize.static", "notes": notes})]


def test_it_is_said_in_those_words() -> None:
    row = keep.row("accuracy", "stage", 0.933, 0.923, {"x86": 0.067, "xnnpack": 0.93}, higher=True)
    (said,) = keep.unmet([row], restored)
    (held,) = keep.unmet([{name: each for name, each in row.items() if name != "on"}], lambda presets: "")
    assert held.startswith("`keep` is not reached by x86: accuracy on held-out examples: float 93.3%, x86 6.7%")
    assert said.startswith("`keep` is not reached by x86: accuracy on validation: float 93.3%, x86 6.7%")
    assert "at least 92.3% required" in said
    assert "c7 (Conv, 12.3 dB), c2 (Conv, 0.4 dB)" in said
    assert keep.unmet([keep.row("accuracy", "stage", 0.933, 0.923, {"x86": 0.923}, higher=True)], restored) == []


def test_integers_alone_do_not_go_back() -> None:
    row = keep.row("accuracy", "stage", 0.933, 0.923, {"integer-only": 0.067, "xnnpack": 0.93}, higher=True)
    (said,) = keep.unmet([row], restored)
    assert "no operator may return to float there" in said
    assert "compute in float" not in said


def test_a_number_that_is_none_is_not_reached() -> None:
    for higher in (True, False):
        assert keep.row("m", "stage", 1.0, 1.0, {"x86": float("nan")}, higher=higher)["missed"] == ["x86"]


@pytest.mark.parametrize(
    ("found", "status", "code"),
    [({"x86": 0.93, "xnnpack": 0.925}, "ok", 0), ({"x86": 0.93, "xnnpack": 0.067}, "FAIL", 1)],
)
def test_what_a_recipe_asked_of_a_stage_is_a_check(found: dict[str, float], status: str, code: int) -> None:
    facts = report(stages(found, asked=True))
    findings = judge.judge(facts, [])
    (finding,) = findings
    assert (finding.check, finding.status) == (f"keep accuracy_drop of {STAGES[-1].name}", status)
    assert judge.exit_code(findings) == code
    assert finding.basis.startswith("xnnpack"), "the worst of its files"
    said = text.render(facts, findings)
    assert "keep accuracy_drop of" in said


@pytest.mark.parametrize(("worst", "status"), [(2.09, "ok"), (9.0, "FAIL")])
def test_so_is_what_was_asked_of_an_error(worst: float, status: str) -> None:
    facts = report(stages({"x86": 2.0, "xnnpack": worst}, asked=True, higher=False))
    (finding,) = judge.judge(facts, [])
    assert finding.status == status
    assert finding.value == pytest.approx(worst / 2.1)
    assert text.render(facts, [finding])


def test_a_default_is_no_check() -> None:
    assert judge.judge(report(stages({"xnnpack": 0.067}, asked=False)), []) == []


def test_the_decisions_say_what_every_preset_reached_and_whether_it_is_enough() -> None:
    def said(found: dict[str, float]) -> str:
        facts: Report = report(stages(found, asked=False))
        return "\n".join(text.summaries(facts))

    good, bad = said({"x86": 0.93, "xnnpack": 0.925}), said({"x86": 0.93, "xnnpack": 0.067})
    assert "float 93.3%, x86 93.0%, xnnpack 92.5%; at least 92.3% required" in good
    assert "mixed precision, in float to keep the accuracy: c7" in good
    assert "mixed precision, in float and still not enough: c7" in bad
    assert "to keep" not in bad


def test_an_error_near_zero_grows_by_a_share_of_what_is_near_for_the_labels() -> None:
    y = np.array([[-1.0], [1.0]], np.float32)
    assert keep.grown(METRICS["mae"], 0.5, 10, y) == pytest.approx(0.55)
    assert keep.grown(METRICS["mae"], 0.0, 10, y) == pytest.approx(0.001)


def test_a_stage_asks_the_same_of_held_out_examples_and_of_all_of_validation() -> None:
    """Of a regression no 8 bits answer nearer than half a step: an error of 0 was to stay below 0.00001."""
    y = np.linspace(0, 51, 100, dtype=np.float32)[:, None]
    assert keep.limit(METRICS["mae"], 0.0, 1.0, y) == pytest.approx(0.1)
    assert keep.limit(METRICS["mae"], 20.0, 1.0, y) == pytest.approx(20.2)
    assert keep.limit(METRICS["accuracy"], 0.9, 1.0, np.arange(10)) == pytest.approx(0.89)


def test_an_error_of_boxes_has_no_finest_step() -> None:
    """Their pixels are no unit of it: half a step of 640 pixels would allow any share."""
    boxes = np.zeros((4, 3, 6), np.float32)
    boxes[..., 2:4] = 640
    assert keep.limit(replace(METRICS["mae"], name="./mine.py:f"), 0.1, 1.0, boxes) == pytest.approx(0.101)


def test_notes_that_no_such_stage_makes_are_damage() -> None:
    facts: Report = report(stages({"x86": 0.93}, asked=False))
    (stage,) = [stage for stage in facts.stages if stage.use == "quantize.static"]
    stage.notes["ladder"] = [{"step": "rounding"}]
    with pytest.raises(UserError, match=r"damaged: `.*` has no notes of `quantize\.static`"):
        text.summaries(facts)
