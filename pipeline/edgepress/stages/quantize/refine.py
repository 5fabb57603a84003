"""Refine a quantized graph; each step is kept only if SQNR rises.

SQNR is measured on held-out validation examples.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import onnx

from .bias_correction import corrected
from .calibration import ranges as calibration
from .calibration.bounded import bounded
from .calibration.magnitudes import Magnitudes
from .calibration.observe import First, Observer, Rows, activations
from .equalization import equalized, equalized_groups, observer
from .fill_values import ranged
from .gptq import rounded
from .layer_inputs import LayerInputs, collect_inputs
from .qdq import Plan
from .recurrent import packed
from .sqnr import Evidence

Say = Callable[[int, int, str], None]

_EQUALIZING = {"equalisation": equalized, "equalisation of groups": equalized_groups}
_CHANGES = {"rounding": rounded, "bias correction": corrected}
"""Steps that go by the inputs of layers."""

LEAST = 0.1
"""Decibels that a step must win: less is chance."""
_FAST = ("minmax", "mse")
"""Ranges that are tried where time counts: the one that covers all values, and the one that is best most often."""
_LIKELIEST = "mse"
_ROUNDED = 0.01
"""Decibels that rounding may hide."""
_TRIAL = 32
"""Examples whose ranges decide on equalizing channels; those of all are taken of what is kept."""
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
    known = observer(plan) if improve and not fast else None
    also = [known] if known and known.tensors else []
    estimated = _estimated(plan.graph, evidence.seen, methods, activations(plan.graph), also, say)
    best, rows = _first(plan, evidence, estimated, say)
    method, reached = rows[0]["step"].removeprefix("ranges: "), rows[0]["decibels"]
    if known:
        best, reached, more = _evened(best, evidence, method, estimated[method], known, reached, say)
        rows += more
    layers: list[LayerInputs] = []
    for step, change in _CHANGES.items() if improve else ():
        say(0, 1, f"trying {step}")
        layers = layers or collect_inputs(best, evidence)
        tried = change(best, evidence, layers)
        value = evidence.sqnr(tried, reached + LEAST)
        is_kept = value > reached + LEAST
        rows.append(_row(step, value, is_kept))
        if is_kept:
            best, reached = tried, value
    best, row = packed(best, evidence)
    return best, rows if row is None else [*rows, row]


def _evened(
    plan: Plan,
    evidence: Evidence,
    method: str,
    ranges: calibration.Ranges,
    known: Magnitudes,
    reached: float,
    say: Say,
) -> tuple[Plan, float, list[dict[str, Any]]]:
    """Return the plan with more even channels, its SQNR, and a row for each way of equalizing that it tried.

    Each is tried with ranges from a few examples. Those of all are taken once, of what is kept in the end. `ranges` are
    those of the plan, as they were before `ranged` opened some.
    """
    before, rows, scaled = (plan, reached), list[dict[str, Any]](), set[str]()
    for step, equalize in _EQUALIZING.items():
        if equalize is equalized_groups and reached >= POOR:
            continue
        say(0, 1, f"trying {step}")
        moved = equalize(plan, evidence, known)
        if moved is plan:
            continue
        few = First(evidence.seen, _TRIAL)
        divided = ranges.keys() - moved.ranges.keys()
        tried_ranges = ranges | _estimated(moved.graph, few, (method,), divided)[method]
        tried = ranged(moved, tried_ranges)
        value = evidence.sqnr(tried, reached + LEAST)
        is_kept = value > reached + LEAST
        rows.append(_row(step, value, is_kept))
        if is_kept:
            plan, reached, ranges, scaled = tried, value, tried_ranges, scaled | divided
    if scaled and len(evidence.seen) > _TRIAL:
        plan = ranged(plan, ranges | _estimated(plan.graph, evidence.seen, (method,), scaled)[method])
        reached = evidence.sqnr(plan, before[1] + LEAST)
        is_kept = reached > before[1] + LEAST
        last = max(index for index, row in enumerate(rows) if row["kept"])
        rows[last]["decibels"] = round(reached, 2)
        if not is_kept:
            rows = [row | {"kept": False} for row in rows]
            plan, reached = before
    return plan, reached, rows


def _row(step: str, value: float, is_kept: bool) -> dict[str, Any]:
    return {"step": step, "decibels": round(value, 2), "kept": is_kept}


def _estimated(
    graph: onnx.ModelProto,
    examples: Rows,
    methods: Sequence[str],
    tensors: Collection[str],
    also: Sequence[Observer] = (),
    say: Say = lambda done, total, words: None,
) -> dict[str, calibration.Ranges]:
    """Return method → activation → range of these activations; see `bounded` for those that are not looked at."""
    results = bounded(graph.graph)
    watched = {results.get(name, name) for name in tensors}
    found = calibration.ranges(graph, examples, methods=methods, tensors=watched, also=also, say=say)
    return {
        method: {name: each for name in tensors if (each := ranges.get(results.get(name, name)))}
        for method, ranges in found.items()
    }


def _first(
    plan: Plan, evidence: Evidence, estimated: dict[str, calibration.Ranges], say: Say
) -> tuple[Plan, list[dict[str, Any]]]:
    """Return the plan with the best ranges, and a row for each method, best first; a tie goes to the simplest.

    The method that is best most often comes first, so that the others end early.
    """
    simplest, best = next(iter(estimated)), -np.inf
    values: dict[str, float] = {}
    for method in sorted(estimated, key=lambda name: name != _LIKELIEST):
        say(len(values), len(estimated), f"trying ranges by {method}")
        more = LEAST if method == simplest else 0.0
        values[method] = round(evidence.sqnr(ranged(plan, estimated[method]), best - more - _ROUNDED), 2)
        best = max(best, values[method] + more)
    rows = [(values[method], method) for method in estimated]
    chosen = max(rows, key=lambda row: row[0] + (LEAST if row[1] == simplest else 0))
    ordered = [chosen, *(row for row in rows if row is not chosen)]
    notes = [{"step": f"ranges: {name}", "decibels": value, "kept": name == chosen[1]} for value, name in ordered]
    return ranged(plan, estimated[chosen[1]]), notes
