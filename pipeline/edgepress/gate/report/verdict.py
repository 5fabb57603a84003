"""Summarise a run in one line, and name what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.results import Report
from ..judge import Finding, OnUndecided, exit_code
from .advice import if_failed, if_open
from .cells import NOT_MET
from .wording import wrapped


def summary(report: Report, findings: Sequence[Finding], on_undecided: OnUndecided) -> list[str]:
    """Return the verdict, with what makes it doubtful, and what to do next."""
    first, *following = _verdict(report, findings, on_undecided)
    used = {name for stage in report.stages for name in stage.inputs}
    counts = [stage for stage in report.stages if stage.name not in used or stage.name == report.reference]
    # A wrong input of a trained student is a warning, and no doubt about the student.
    doubtful = next((stage for stage in report.stages if stage.doubt), None)
    if doubtful and any(stage.doubt for stage in counts):
        first = f"`{doubtful.name}` is {doubtful.doubt} (see its warning).  {first}"
    return [first, *following]


def _verdict(report: Report, findings: Sequence[Finding], on_undecided: OnUndecided) -> list[str]:
    if not findings:
        return [
            "No budget to meet: the recipe names no target and keeps nothing.  exit 0",
            *wrapped("Next: ", "name a device under `targets:`; `edgepress ls targets` lists them"),
        ]
    required = [finding for finding in findings if finding.level == "required"]
    failed = [finding for finding in required if finding.status == "FAIL"]
    open_ = [finding for finding in required if finding.status in ("undecided", "no number")]
    code = exit_code(findings, on_undecided)
    lines = [f"{counted(findings)}{' and let pass' if open_ and not code else ''}.  exit {code}"]
    if not code:
        return lines
    for advice in dict.fromkeys(
        [*(if_failed(report, finding) for finding in failed), *(if_open(report, finding) for finding in open_)]
    ):
        lines += wrapped("Next: ", advice)
    return lines


def counted(findings: Sequence[Finding]) -> str:
    """Return `9 of 9 required budgets met; 3 advisory without a number`; no unmet budget is left out."""
    required = [finding.status for finding in findings if finding.level == "required"]
    advisory = [finding.status for finding in findings if finding.level == "advisory"]
    met = f"{required.count('ok')} of {len(required)} required budgets met" if required else "no required budget"
    parts = [met, *(f"{required.count(status)} {word}" for status, word in NOT_MET.items() if status in required)]
    besides = [f"{advisory.count(status)} advisory {word}" for status, word in NOT_MET.items() if status in advisory]
    return "; ".join(filter(None, [", ".join(parts), ", ".join(besides)]))
