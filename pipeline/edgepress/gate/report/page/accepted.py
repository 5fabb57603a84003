"""Show what changed since the accepted model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ....core.results import Report
from ....core.units import show_bytes, show_score
from ...judge import Finding
from .. import change
from .fit import Budget, aims


@dataclass(frozen=True)
class Row:
    """Of one target, a quantity of the accepted file and of this one; `moved` is the difference of the two."""

    target: str
    name: str
    before: str
    now: str
    moved: str


def rows(report: Report, findings: Sequence[Finding]) -> list[Row]:
    """Return size and score of both files of each target, where both are known."""
    judged = {finding.target: finding.file for finding in findings if finding.file and finding.target != "recipe"}
    files = {file.path: file for stage in report.stages for file in stage.files}
    found = []
    for target, before in report.accepted.items():
        now = files.get(judged.get(target, ""))
        if now is None:
            continue
        ratio = f"{now.bytes / before.bytes:.2f}x"
        found.append(Row(target, "size", show_bytes(before.bytes), show_bytes(now.bytes), ratio))
        mine, theirs = (file.scores.get("test", {}).get(report.metric) for file in (now, before))
        if mine is not None and theirs is not None:
            was, is_ = (show_score(score, error=report.error, points=report.points) for score in (theirs, mine))
            found.append(Row(target, report.metric, was, is_, change.moved(report, mine, theirs)))
    return found


def regressions(findings: Sequence[Finding]) -> list[tuple[str, Budget]]:
    """Return the findings against the accepted model, each with its target."""
    against = [finding for finding in findings if finding.check.endswith("vs accepted")]
    return [(aim.target, budget) for aim in aims(against, "fail") for budget in aim.budgets]
