"""What the starting model would have got: each target's budgets, judged on the reference by the same functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ..benchmark.runtimes import RUNTIMES
from ..config.budgets import Budget, LatencyBudget
from ..config.target import Target
from ..core.results import ModelFile, Report
from ..core.units import Relative
from .files import file_of, judged
from .finding import Finding, Start
from .judge import check


def beside(report: Report, targets: Sequence[Target], findings: Iterable[Finding]) -> list[Finding]:
    """The findings, those of targets' budgets with what the starting model gets; nothing is measured for it.

    Without a starting model, or where the judged file is the starting model itself, they stay as they are.
    """
    starts = {(target.name, found.check): found for target in targets for found in _judged(report, target)}
    return [replace(each, start=_start(report, starts.get((each.target, each.check)))) for each in findings]


def _judged(report: Report, target: Target) -> Iterator[Finding]:
    """The budgets of one target, judged on the starting model."""
    stage = next((stage for stage in report.stages if stage.name == report.reference), None)
    file, result = file_of(stage, target.integers(report.machine)) if stage else None, judged(report, target)
    if file is None or (result and result.path == file.path):
        return
    for name, budget in target.budgets.set_fields():
        why = _unknown(target, budget, name, file)
        found = check(report, target, name, budget, None if why else file)
        yield replace(found, note=why) if why else found


def _unknown(target: Target, budget: Budget, name: str, file: ModelFile) -> str:
    """Why a report cannot have the number; empty where it can."""
    if isinstance(budget, LatencyBudget) and isinstance(budget.limit, Relative):
        return f"it was not timed beside {budget.limit.model}"
    fits = file.kind == RUNTIMES[target.runtime].kind
    return "" if fits or name != "fallback" else f"its operators are not those of {target.runtime}"


def _start(report: Report, found: Finding | None) -> Start | None:
    if found is None or report.reference is None:
        return None
    return Start(report.reference, found.file, found.status, found.value, found.interval, found.label, found.note)
