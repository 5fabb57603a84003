"""Refine a quantized graph; each step is kept only if SQNR rises.

SQNR is measured on held-out validation examples.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import onnx

from ...core.presets import PRESETS, Preset
from .bias_correction import corrected
from .calibration import ranges as calibration
from .calibration.bounded import bounded
from .calibration.magnitudes import Magnitudes
from .calibration.observe import First, Observer, Rows, activations
from .equalization import equalized, equalized_groups, observer
from .fill_values import ranged
from .gptq import rounded
from .layer_inputs import Inputs, LayerInputs
from .qdq import Plan
from .recurrent import packed
from .sqnr import Evidence

Say = Callable[[int, int, str], None]

_EQUALIZING = {"equalisation": equalized, "equalisation of groups": equalized_groups}
_CHANGES: dict[str, Callable[[Plan, onnx.ModelProto, list[LayerInputs], Preset], Plan]] = {
    "rounding": rounded,
    "bias correction": lambda plan, quantized, layers, preset: corrected(plan, quantized, layers),
}
"""Steps that go by the inputs of layers."""

LEAST = 0.1
"""Decibels that a step must win: less is chance."""
_FAST = ("minmax", "mse")
"""Ranges that are tried where time counts: the one that covers all values, and the one that is best most often."""
_LIKELIEST = "mse"
_TRIAL = 64
"""Examples whose ranges equalized channels get: a scaled range cuts off what is rare, but for `minmax`."""
POOR = 20.0
"""SQNR in dB below which channels are equalized through whole groups of operators too: the error is then a tenth of the
outputs, which networks without two ranges in one tensor do not come near."""


def refined(
    plan: Plan,
    evidence: Evidence,
    ranges: str,
    say: Say,
    *,
    improve: bool,
    fast: bool = False,
    reduced: Preset | None = None,
) -> tuple[Plan, list[dict[str, Any]]]:
    """Apply the steps; return the best plan, and a row for each step: `step`, `decibels`, `kept`.

    `plan` has no ranges yet; `ranges` is one of `calibration.METHODS`, or `auto` for the best of them. Without
    `improve` there are no other steps, save the last: how the weights of recurrent operators are stored. `fast` tries
    fewer ranges, and no equalization. With `reduced`, a preset whose weights have 7 bits, those have integers and
    biases of their own. `decibels` are those of as many held-out examples as decide; of all, in the last row
    that is kept.
    """
    every = _FAST if fast else calibration.METHODS
    methods = every if ranges == "auto" else (ranges,)
    known = observer(plan) if improve and not fast else None
    inputs = Inputs(plan) if improve else None
    also: list[Observer] = [each for each in (inputs, known) if each is not None and each.tensors]
    estimated = _estimated(plan.graph, evidence.seen, methods, activations(plan.graph), also, say)
    best, rows = _first(plan, evidence, estimated, say)
    method, reached = rows[0]["step"].removeprefix("ranges: "), rows[0]["decibels"]
    if known:
        best, reached, more = _evened(best, evidence, method, estimated[method], known, reached, say)
        rows += more
    layers = inputs.layers(best, known.factors(best.graph) if known else {}) if inputs else []
    del known, inputs, also  # graphs that were tried, and statistics of all layers
    start = best
    for step, change in _CHANGES.items() if improve else ():
        say(0, 1, f"trying {step}")
        tried = change(best, evidence.written(best), layers, PRESETS["xnnpack"])
        is_kept, reached, row = _compared(step, tried, best, evidence, reached)
        rows.append(row)
        best = tried if is_kept else best
    if improve and reduced:
        best = replace(best, coarse=_coarse(start, evidence, layers, reduced, say))
    if len(rows) > 1:
        last = max(index for index, row in enumerate(rows) if row["kept"])
        rows[last]["decibels"] = round(evidence.sqnr(best), 2)
    best, recurrent = packed(best, evidence)
    return best, rows if recurrent is None else [*rows, recurrent]


def _coarse(plan: Plan, evidence: Evidence, layers: list[LayerInputs], preset: Preset, say: Say) -> Plan:
    """Return the plan with integers and biases for a preset whose weights have 7 bits."""
    best = replace(plan, coarse=plan)
    for step, change in _CHANGES.items():
        say(0, 1, f"trying {step} in 7 bits")
        assert best.coarse is not None
        tried = replace(best, coarse=change(best.coarse, evidence.written(best, preset), layers, preset))
        if evidence.gain(tried, best, LEAST, preset) > LEAST:
            best = tried
    assert best.coarse is not None
    return best.coarse


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

    `ranges` are those of the plan, as they were before `ranged` opened some.
    """
    rows = list[dict[str, Any]]()
    examples = evidence.seen if method == "minmax" else First(evidence.seen, _TRIAL)
    for step, equalize in _EQUALIZING.items():
        if equalize is equalized_groups and reached >= POOR:
            continue
        say(0, 1, f"trying {step}")
        moved = equalize(plan, evidence, known)
        if moved is plan:
            continue
        scaled = ranges.keys() - moved.ranges.keys()
        tried_ranges = ranges | _estimated(moved.graph, examples, (method,), scaled)[method]
        tried = ranged(moved, tried_ranges)
        is_kept, reached, row = _compared(step, tried, plan, evidence, reached)
        rows.append(row)
        if is_kept:
            plan, ranges = tried, tried_ranges
    return plan, reached, rows


def _compared(
    step: str, tried: Plan, best: Plan, evidence: Evidence, reached: float
) -> tuple[bool, float, dict[str, Any]]:
    """Return whether a step is kept, the SQNR with it or without, and its row."""
    gain = evidence.gain(tried, best, LEAST)
    is_kept = gain > LEAST
    row = {"step": step, "decibels": round(reached + gain, 2), "kept": is_kept}
    return is_kept, reached + gain if is_kept else reached, row


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
    """Return the plan with the best ranges, and a row for each method, best first.

    The method that is best most often comes first; another replaces it by `LEAST` more. The simplest does already by
    as much less.
    """
    methods = sorted(estimated, key=lambda name: name != _LIKELIEST)
    simplest, chosen = next(iter(estimated)), methods[0]
    best = ranged(plan, estimated[chosen])
    values = {chosen: evidence.sqnr(best)}
    for method in methods[1:]:
        if alike := next((each for each in values if estimated[each] == estimated[method]), None):
            values[method] = values[alike]
            continue
        say(len(values), len(estimated), f"trying ranges by {method}")
        tried, reached = ranged(plan, estimated[method]), values[chosen]
        least = -LEAST if method == simplest else LEAST
        gain = evidence.gain(tried, best, least)
        values[method] = reached + gain
        if gain > least:
            best, chosen = tried, method
    notes = [
        {"step": f"ranges: {method}", "decibels": round(values[method], 2), "kept": method == chosen}
        for method in sorted(estimated, key=lambda name: name != chosen)
    ]
    return best, notes
