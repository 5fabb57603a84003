"""The page's section on the accepted model."""

from __future__ import annotations

from edgepress.gate.judge import Finding
from edgepress.gate.report.page.render import render

from tests.gate.report.test_text import MEASURED, STAGES, file, report


def test_accepted_models_of_other_targets_are_no_missing_ones() -> None:
    accepted = {"phone<": file("old.onnx", "x86", 900_000, 0.9)}
    open_ = Finding("host", "size vs accepted", "required", "no number", 1.05, "ratio", note="no model was accepted")
    page = render(report(STAGES, MEASURED, accepted=accepted), [open_])
    section = page.partition('<h2 id="accepted">')[2].partition("</section>")[0]
    assert "compared with no accepted model" not in section
    assert "This run has no judged file of a target that a model was accepted for: phone&lt;." in section
    assert "host: size vs accepted" in section
    none = render(report(STAGES, MEASURED), [])
    assert "This run was compared with no accepted model" in none
