"""Choose operators for float by sensitivity: mixed precision.

Operators of highest sensitivity return to float first, until the metric holds its limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx

from ...benchmark import paired, statistics
from ...core.presets import PRESETS, Preset
from .calibration import ranges
from .excluded import unsuited
from .fill_values import ranged
from .qdq import Plan, written
from .sqnr import Columns, Evidence, asked, decibels

Say = Callable[[int, int, str], None]
Row = tuple[float | None, str, bool]
"""Decibels won, the node's name, and whether its weights are float again too."""

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
    the ranking is not enough, so are all others; and where that is not, they get their float weights back as well,
    in the graph as it came. Each row has `operator`, `node`, `decibels` that restoring it alone wins (None of those
    others), `weights` where they are float32 again, and `bytes` and `seconds` that it adds after those before it, in
    `preset`; seconds are of the first few, measured here. Answers are those of `integers`.
    """

    def enough(plan: Plan) -> bool:
        return worth(asked(written(plan, integers), evidence.held)) >= least

    if enough(plan):
        return plan, []
    for whole in (False, True):
        base = _plain(plan, evidence) if whole else plan
        ranking: list[Row] = [*_ranked(base, evidence, integers, say, whole)]
        if reached := enough(_with(base, ranking)):
            break
        known = base.floats | {name for _, name, _ in ranking}
        ranking += [(None, node.name, whole) for node in base.graph.graph.node if node.name not in known]
        ranking += [(None, name, whole) for name in sorted(base.floats) if whole]
        if reached := enough(_with(base, ranking)):
            break
    low, high = 0, len(ranking)  # the fewest that are enough lie in (low, high]
    while reached and high - low > 1:
        middle = (low + high) // 2
        say(len(ranking) - (high - low), len(ranking), f"{middle} operators in float")
        low, high = (low, middle) if enough(_with(base, ranking[:middle])) else (middle, high)
    plan = base
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
            **({"weights": "float32"} if weights else {}),
            "bytes": models[k + 1].ByteSize() - models[k].ByteSize(),
            "seconds": seconds[k + 1] - seconds[k] if k < _TIMED else None,
        }
        for k, (won, name, weights) in enumerate(ranking[:high])
    ]


def _seconds(models: list[onnx.ModelProto]) -> list[float]:
    """The typical time of each, measured side by side on this machine."""
    with TemporaryDirectory() as work:
        files = [Path(work, f"{index}.onnx") for index in range(len(models))]
        for model, file in zip(models, files, strict=True):
            onnx.save(model, file)
        found = paired.measure([paired.Model(file.name, file) for file in files], looks=(3,), rounds=40)
    return [statistics.spread(statistics.log_percentiles(each, 50))[0] for each in found]


def _plain(plan: Plan, evidence: Evidence) -> Plan:
    """The plan before any step changed its weights or biases, for the float weights to be right."""
    graph = evidence.model
    found = ranges.ranges(graph, evidence.seen, methods=("minmax",))["minmax"]
    return ranged(Plan(graph, {}, plan.per_channel, unsuited(graph.graph)), found)


def _ranked(plan: Plan, evidence: Evidence, integers: Preset, say: Say, whole: bool) -> list[tuple[float, str, bool]]:
    columns: Columns = tuple(column[:_RANKED_ON] for column in evidence.held)
    expected = evidence.expected[:_RANKED_ON]

    def clean(plan: Plan) -> float:
        return decibels(expected, asked(written(plan, integers), columns))

    before = clean(plan)
    nodes = [node.name for node in plan.graph.graph.node if node.op_type in _COMPUTING and node.name not in plan.floats]
    found = []
    for index, name in enumerate(nodes):
        say(index, len(nodes), f"sensitivity of {name}")
        found.append((clean(_with(plan, [(0.0, name, whole)])) - before, name, whole))
    return sorted(found, key=lambda row: (-row[0], row[1]))


def _with(plan: Plan, rows: Sequence[Row]) -> Plan:
    floats = frozenset(name for _, name, _ in rows)
    exact = frozenset(name for _, name, whole in rows if whole)
    return replace(plan, floats=plan.floats | floats, exact=plan.exact | exact)
