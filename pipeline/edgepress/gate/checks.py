"""Judge one budget of one target, by the function that its name has in a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from ..config.budgets import Budget, LatencyBudget
from ..config.target import Target
from ..core.results import ModelFile, Report
from ..core.units import Relative
from . import accuracy, timing
from .finding import Finding, Unit, noted, within


def check(report: Report, target: Target, name: str, budget: Budget, file: ModelFile | None) -> Finding:
    """Judge one budget of a target on `file`; without a file it has no number."""
    unit, _, judge_one = _CHECKS[name]
    limit = budget.limit.ratio if isinstance(budget.limit, Relative) else budget.limit  # type: ignore[attr-defined]
    finding = Finding(target.name, name, budget.level, "no number", limit, unit, place=target.place("budgets", name))
    if isinstance(budget, LatencyBudget):
        relative = isinstance(budget.limit, Relative)
        finding = (
            replace(finding, unit="ratio") if relative else replace(finding, check=f"latency p{budget.percentile}")
        )
    if file is None:
        return noted(
            finding,
            f"no stage makes a file that {target.runtime} loads in preset {target.integers(report.machine)}: run the "
            "recipe with this target",
        )
    return judge_one(report, target, file, budget, replace(finding, file=file.path))


def _fallback(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    """Judge the share of operators that the accelerator leaves to the processor."""
    if target.supports is None or not file.operators:
        return noted(finding, "list the operators of its accelerator as `supports:` in the target")
    lacking = {name: count for name, count in file.operators.items() if name not in target.supports}
    result = within(finding, sum(lacking.values()) / sum(file.operators.values()))
    names = ", ".join(f"{count} {name}" for name, count in lacking.items())
    return noted(result, f"left to the processor: {names}") if names else result


def _size(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    return within(finding, file.bytes)


Bound = Literal["at most", "at least"]
"""Which values meet a limit."""
_CHECKS: dict[str, tuple[Unit, Bound, Callable[[Report, Target, ModelFile, Any, Finding], Finding]]] = {
    "size": ("bytes", "at most", _size),
    "latency": ("seconds", "at most", timing.latency),
    "memory": ("bytes", "at most", timing.memory),
    "cold_start": ("seconds", "at most", timing.cold_start),
    "decode": ("seconds", "at most", timing.decode),
    "fallback": ("share", "at most", _fallback),
    "accuracy": ("share", "at least", accuracy.accuracy),
    "map": ("share", "at least", accuracy.precision),
    "map50": ("share", "at least", accuracy.precision),
    "macro_f1": ("share", "at least", accuracy.bounded),
    "worst_recall": ("share", "at least", accuracy.bounded),
    "accuracy_drop": ("points", "at most", accuracy.accuracy_drop),
}
AT_LEAST = frozenset(name for name, (_, bound, _) in _CHECKS.items() if bound == "at least")
"""Checks whose limit is a lower one: a report shows no used share of it."""
