"""Operators that go back to float, the worst first, until the metric holds what was promised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx

from ..bench import pairs, verdict
from ..presets import PRESETS, Preset
from .evidence import Columns, Evidence, asked, decibels
from .plan import Plan, written

Say = Callable[[int, int, str], None]

_RANKED_ON = 96
"""Held-out examples that each operator's effect is counted on."""
_TIMED = 6
_COMPUTING = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Mul", "Concat", "GlobalAveragePool", "AveragePool")
"""Operators whose integers can be what spoils the answers; the others move numbers."""


def restored(
    plan: Plan,
    evidence: Evidence,
    worth: Callable[[np.ndarray], float],
    least: float,
    say: Say,
    preset: Preset = PRESETS["xnnpack"],
    integers: Preset = PRESETS["xnnpack"],
) -> tuple[Plan, list[dict[str, Any]]]:
    """The plan with as few operators in float as let `worth` of its answers reach `least`; what was restored.

    Operators are ranked by how much nearer the answers come to the float ones when each alone is float. Where all of
    the ranking is not enough, so are all others; then nothing more can be done here. Each row has `operator`, `node`,
    `decibels` that restoring it alone wins (None of those others), and `bytes` and `seconds` that it adds after those
    before it, in `preset`; seconds are of the first few, measured here. Answers are those of `integers`.
    """

    def reached(plan: Plan) -> float:
        return worth(asked(written(plan, integers), evidence.held))

    if reached(plan) >= least:
        return plan, []
    ranking: list[tuple[float | None, str]] = [*_ranked(plan, evidence, integers, say)]
    if reached(_with(plan, ranking)) < least:
        known = plan.floats | {name for _, name in ranking}
        ranking += [(None, node.name) for node in plan.graph.graph.node if node.name not in known]
    low, high = 0, len(ranking)  # the fewest that are enough lie in (low, high]
    while high - low > 1:
        middle = (low + high) // 2
        say(len(ranking) - (high - low), len(ranking), f"{middle} operators in float")
        enough = reached(_with(plan, ranking[:middle])) >= least
        low, high = (low, middle) if enough else (middle, high)
    found = _with(plan, ranking[:high])
    models = [written(_with(plan, ranking[:k]), preset) for k in range(high + 1)]
    say(len(ranking), len(ranking), "timing what is in float")
    seconds = _seconds(models[: _TIMED + 1])
    types = {node.name: node.op_type for node in plan.graph.graph.node}
    return found, [
        {
            "node": name,
            "operator": types[name],
            "decibels": None if won is None else round(won, 2),
            "bytes": models[k + 1].ByteSize() - models[k].ByteSize(),
            "seconds": seconds[k + 1] - seconds[k] if k < _TIMED else None,
        }
        for k, (won, name) in enumerate(ranking[:high])
    ]


def _seconds(models: list[onnx.ModelProto]) -> list[float]:
    """The typical time of each, measured side by side on this machine."""
    with TemporaryDirectory() as work:
        files = [Path(work, f"{index}.onnx") for index in range(len(models))]
        for model, file in zip(models, files, strict=True):
            onnx.save(model, file)
        found = pairs.measure([pairs.Model(file.name, file) for file in files], looks=(3,), rounds=40)
    return [verdict.spread(verdict.log_percentiles(each, 50))[0] for each in found]


def _ranked(plan: Plan, evidence: Evidence, integers: Preset, say: Say) -> list[tuple[float, str]]:
    columns: Columns = tuple(column[:_RANKED_ON] for column in evidence.held)
    expected = evidence.expected[:_RANKED_ON]

    def clean(plan: Plan) -> float:
        return decibels(expected, asked(written(plan, integers), columns))

    before = clean(plan)
    nodes = [node.name for node in plan.graph.graph.node if node.op_type in _COMPUTING and node.name not in plan.floats]
    found = []
    for index, name in enumerate(nodes):
        say(index, len(nodes), f"what {name} costs in accuracy")
        found.append((clean(_with(plan, [(0.0, name)])) - before, name))
    return sorted(found, key=lambda row: (-row[0], row[1]))


def _with(plan: Plan, rows: Sequence[tuple[float | None, str]]) -> Plan:
    return replace(plan, floats=plan.floats | {name for _, name in rows})
