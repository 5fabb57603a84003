"""Refine a quantized graph; each step is kept only if SQNR rises.

SQNR is measured on held-out validation examples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx

from .bias_correction import corrected
from .calibration import ranges as calibration
from .calibration.magnitudes import Magnitudes
from .calibration.observe import First, Observer, Rows
from .equalization import equalized, equalized_groups, observer
from .fill_values import ranged
from .gptq import rounded
from .layer_inputs import LayerInputs, Means, collect_inputs
from .qdq import Plan
from .recurrent import packed
from .sqnr import Evidence

Say = Callable[[int, int, str], None]

LEAST = 0.1
"""Decibels that a step must win: less is chance."""
_FAST = ("minmax", "mse")
"""Ranges that are tried where time counts: the one that covers all values, and the one that is best most often."""
_TRIAL = 32
"""Examples whose ranges tell whether equalized channels can win; only then those of all are taken."""
POOR = 20.0
"""SQNR in dB below which channels are equalized through whole groups of operators too: the error is then a tenth of the
outputs, which networks without two ranges in one tensor do not come near."""


def refined(
    plan: Plan, evidence: Evidence, ranges: str, say: Say, *, improve: bool, fast: bool = False
) -> tuple[Plan, list[dict[str, Any]]]:
    """Apply the steps; return the best plan, and a row for each step: `step`, `decibels`, `kept`.

    `plan` has no ranges yet; `ranges` is one of `calibration.METHODS`, or `auto` for the best of them. Without
    `improve` there are no other steps, save the last: how the weights of recurrent operators are stored. `fast` tries
    fewer ranges, and no equalization.
    """
    every = _FAST if fast else calibration.METHODS
    methods = every if ranges == "auto" else (ranges,)
    largest = observer(plan) if improve and not fast else None
    means = [Means(plan.graph)] if improve else []
    also: list[Observer] = [*means, *([largest] if largest and largest.tensors else [])]
    estimated = calibration.ranges(plan.graph, evidence.seen, methods=methods, also=also, say=say)
    best, rows = _first(plan, evidence, estimated, say)
    method = rows[0]["step"].removeprefix("ranges: ")
    # The last of each graph, as they were before `ranged` opened some.
    measured: list[tuple[onnx.ModelProto, calibration.Ranges]] = [(best.graph, estimated[method])]
    collected: list[tuple[onnx.ModelProto, list[LayerInputs]]] = []

    def evener(plan: Plan, equalize: Callable[[Plan, Evidence, Magnitudes | None], Plan]) -> Plan:
        moved = equalize(plan, evidence, largest)
        if moved is plan:
            return plan
        before = next(ranges for graph, ranges in reversed(measured) if graph is plan.graph)
        scaled = before.keys() - moved.ranges.keys()

        def remeasured(examples: Rows, *also: Means) -> Plan:
            fresh = calibration.ranges(moved.graph, examples, methods=(method,), tensors=scaled, also=also)[method]
            measured.append((moved.graph, {**before, **fresh}))
            return ranged(moved, measured[-1][1])

        if len(evidence.seen) > _TRIAL:
            trial = remeasured(First(evidence.seen, _TRIAL))
            if evidence.sqnr(trial) <= reached:
                return trial
        means.append(Means(moved.graph))
        return remeasured(evidence.seen, means[-1])

    def layers(plan: Plan) -> list[LayerInputs]:
        if not any(graph is plan.graph for graph, _ in collected):
            mine = next(each for each in means if each.model is plan.graph)
            collected.append((plan.graph, collect_inputs(plan, evidence, mine)))
        return next(found for graph, found in collected if graph is plan.graph)

    equalizing: dict[str, Callable[[Plan], Plan]] = {
        "equalisation": lambda plan: evener(plan, equalized),
        "equalisation of groups": lambda plan: evener(plan, equalized_groups) if reached < POOR else plan,
    }
    steps = {
        **({} if fast else equalizing),
        "rounding": lambda plan: rounded(plan, evidence, layers(plan)),
        "bias correction": lambda plan: corrected(plan, evidence, layers(plan)),
    }
    reached = rows[0]["decibels"]
    for index, (step, change) in enumerate(steps.items() if improve else ()):
        say(index, len(steps), f"trying {step}")
        tried = change(best)
        if tried is best:
            continue
        value = evidence.sqnr(tried)
        is_kept = value > reached + LEAST
        rows.append({"step": step, "decibels": round(value, 2), "kept": is_kept})
        if is_kept:
            best, reached = tried, value
    best, row = packed(best, evidence)
    return best, rows if row is None else [*rows, row]


def _first(
    plan: Plan, evidence: Evidence, estimated: dict[str, dict[str, tuple[float, float]]], say: Say
) -> tuple[Plan, list[dict[str, Any]]]:
    """Return the plan with the best ranges, and a row for each method, best first; a tie goes to the simplest."""
    rows: list[tuple[float, str]] = []
    for index, (method, ranges) in enumerate(estimated.items()):
        say(index, len(estimated), f"trying ranges by {method}")
        rows.append((round(evidence.sqnr(ranged(plan, ranges)), 2), method))
    best = max(rows, key=lambda row: row[0] + (LEAST if row[1] == rows[0][1] else 0))
    ordered = [best, *(row for row in rows if row is not best)]
    notes = [{"step": f"ranges: {name}", "decibels": value, "kept": name == best[1]} for value, name in ordered]
    return ranged(plan, estimated[best[1]]), notes
