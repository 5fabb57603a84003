"""Judge the starting model by each target's budgets.

The starting model is the reference; the functions are those that judge the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ..config.budgets import Budget, LatencyBudget
from ..config.target import Target
from ..core.results import ModelFile, Report
from ..core.runtimes import RUNTIMES
from ..core.units import Relative
from .checks import check
from .files import file_of, judged
from .finding import Finding, Start


def beside(report: Report, targets: Sequence[Target], findings: Iterable[Finding]) -> list[Finding]:
    """Add the starting model's result to the findings of targets' budgets; nothing is measured for it.

    Without a starting model, or where the judged file is the starting model itself, they stay as they are.
    """
    starts = {(target.name, finding.check): finding for target in targets for finding in _judged(report, target)}
    return [replace(finding, start=_start(report, starts.get((finding.target, finding.check)))) for finding in findings]


def _judged(report: Report, target: Target) -> Iterator[Finding]:
    """Judge the budgets of one target on the starting model."""
    stage = next((stage for stage in report.stages if stage.name == report.reference), None)
    file, result = file_of(stage, target.integers(report.machine)) if stage else None, judged(report, target)
    if file is None or (result and result.path == file.path):
        return
    for name, budget in target.budgets.set_fields():
        why = _unknown(target, budget, name, file)
        finding = check(report, target, name, budget, None if why else file)
        yield replace(finding, note=why) if why else finding


def _unknown(target: Target, budget: Budget, name: str, file: ModelFile) -> str:
    """Return why a report cannot have the number; empty where it can."""
    if isinstance(budget, LatencyBudget) and isinstance(budget.limit, Relative):
        return f"it was not timed beside {budget.limit.model}"
    fits = file.kind == RUNTIMES[target.runtime].kind
    return "" if fits or name != "fallback" else f"its operators are not those of {target.runtime}"


def _start(report: Report, finding: Finding | None) -> Start | None:
    if finding is None or report.reference is None:
        return None
    return Start(
        report.reference, finding.file, finding.status, finding.value, finding.interval, finding.label, finding.note
    )
