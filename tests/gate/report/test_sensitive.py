"""Which operators are named first: by gain, by gain per millisecond, and where a TFLite file differs."""

from __future__ import annotations

from typing import Any

from edgepress.core.explained import Explained, Likeness, Sensitivity
from edgepress.gate.report import sensitive
from edgepress.gate.report.page.render import render

from tests.gate.report.test_page import Page, explained
from tests.gate.report.test_text import FINDINGS, MEASURED, STAGES, report


def row(node: str, gain: float, seconds: float | None, converted: float | None = None) -> Sensitivity:
    like = Likeness(sqnr=30.0, cosine=0.999)
    tflite = None if converted is None else Likeness(sqnr=converted, cosine=None)
    return Sensitivity(
        node=node, layer=f"{node}.weight", op="Conv", alone=like, cumulative=like, gain=gain, seconds=seconds,
        converted=tflite,
    )  # fmt: skip


def found(*rows: Sensitivity, **more: Any) -> Explained:
    return explained(operators=list(rows), seconds=1e-3, **more)


def test_the_order_per_millisecond_is_another_one_than_by_gain() -> None:
    slow, cheap, free = row("slow", 8.0, 4e-4), row("cheap", 3.0, 2e-5), row("free", 1.0, -5e-6)
    first, second = sensitive.advice(found(slow, cheap, free, row("nothing", 0.1, 0.0)))
    assert first.startswith(
        "first: return to float: `slow` (Conv, +8.0 dB), `cheap` (Conv, +3.0 dB), `free` (Conv, +1.0 dB);"
    )
    assert second.startswith(
        "most per millisecond: `cheap` (+3.0 dB, +0.020 ms), `free` (+1.0 dB, no longer), `slow` (+8.0 dB, +0.400 ms);"
    )


def test_noise_of_the_profiles_is_no_gain_per_time() -> None:
    """A return that costs next to nothing, or less, ranks by its gain and not by how near zero its time is."""
    tiny, good = row("tiny", 0.6, 1e-9), row("good", 5.0, 5e-6)
    *_, second = sensitive.advice(found(good, tiny))
    assert second.index("`good`") < second.index("`tiny`")


def test_without_times_none_is_named_per_time() -> None:
    assert len(sensitive.advice(found(row("a", 8.0, None)))) == 1
    assert len(sensitive.advice(explained(operators=[row("a", 8.0, 1e-4)], seconds=None))) == 1
    (only,) = sensitive.advice(found(row("a", 0.2, 1e-4)))
    assert only.startswith("first: no operator alone wins 0.5 dB in float")


def test_the_operator_that_tflite_computes_otherwise_is_named() -> None:
    rows = [row("a", 2.0, 2e-5, 60.0), row("b", 1.0, None, 12.25), row("c", 0.9, None)]
    *_, last = sensitive.advice(found(*rows, converted="runs/x/models/int8.tflite"))
    assert last == "in `int8.tflite`: of 2 operators `b` is the least like the ONNX file's, 12.2 dB"
    page = Page(render(report(STAGES, MEASURED), FINDINGS, why=found(*rows, converted="int8.tflite")))
    assert "TFLite against ONNX" in page.text
    assert "Most per millisecond: a (+2.0 dB, +0.020 ms)" in page.text
    without = Page(render(report(STAGES, MEASURED), FINDINGS, why=explained()))
    assert "TFLite against ONNX" not in without.text
    assert "time for it" not in without.text
