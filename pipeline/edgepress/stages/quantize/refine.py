"""Refine a quantized graph; each step is kept only if SQNR rises.

SQNR is measured on held-out validation examples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .bias_correction import corrected
from .calibration import ranges as calibration
from .equalization import equalized
from .fill_values import ranged
from .gptq import rounded
from .qdq import Plan
from .sqnr import Evidence

Say = Callable[[int, int, str], None]

LEAST = 0.1
"""Decibels that a step must win: less is chance."""


def climbed(
    plan: Plan, evidence: Evidence, ranges: str, say: Say, *, improve: bool
) -> tuple[Plan, list[dict[str, Any]]]:
    """The best plan that the steps lead to, and what each of them was worth: `step`, `decibels`, `kept`.

    `plan` has no ranges yet; `ranges` is one of `calibration.METHODS`, or `auto` for the best of them. Without
    `improve` there are no steps but these.
    """
    methods = calibration.METHODS if ranges == "auto" else (ranges,)
    found = calibration.ranges(plan.graph, evidence.seen, methods=methods, say=say)
    best, told = _first(plan, evidence, found, say)
    method = told[0]["step"].removeprefix("ranges: ")

    def evener(plan: Plan) -> Plan:
        moved = equalized(plan, evidence)
        if moved is plan:
            return plan
        return ranged(moved, calibration.ranges(moved.graph, evidence.seen, methods=(method,))[method])

    steps: dict[str, Callable[[Plan], Plan]] = {
        "equalisation": evener,
        "rounding": lambda plan: rounded(plan, evidence),
        "bias correction": lambda plan: corrected(plan, evidence),
    }
    if not improve:
        return best, told
    reached = told[0]["decibels"]
    for index, (step, change) in enumerate(steps.items()):
        say(index, len(steps), f"trying {step}")
        tried = change(best)
        if tried is best:
            continue
        value = evidence.clean(tried)
        kept = value > reached + LEAST
        told.append({"step": step, "decibels": round(value, 2), "kept": kept})
        if kept:
            best, reached = tried, value
    return best, told


def _first(
    plan: Plan, evidence: Evidence, found: dict[str, dict[str, tuple[float, float]]], say: Say
) -> tuple[Plan, list[dict[str, Any]]]:
    """The plan with the best of the ranges, and what each is worth, the best first; a tie goes to the simplest."""
    rows: list[tuple[float, str]] = []
    for index, (method, ranges) in enumerate(found.items()):
        say(index, len(found), f"trying ranges by {method}")
        rows.append((round(evidence.clean(ranged(plan, ranges)), 2), method))
    best = max(rows, key=lambda row: row[0] + (LEAST if row[1] == rows[0][1] else 0))
    ordered = [best, *(row for row in rows if row is not best)]
    told = [{"step": f"ranges: {name}", "decibels": value, "kept": name == best[1]} for value, name in ordered]
    return ranged(plan, found[best[1]]), told
