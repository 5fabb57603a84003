"""Choose operators for float by sensitivity: mixed precision.

Operators of highest sensitivity return to float first, until the metric holds its limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ...benchmark import paired, statistics
from ...core.paths import scratch
from ...core.presets import PRESETS, Preset
from ...core.threads import in_order
from ...models.prepared import Columns
from . import apart
from .calibration import ranges
from .excluded import unsuited
from .fill_values import ranged
from .qdq import Plan, written
from .sqnr import Evidence, run_model

Say = Callable[[int, int, str], None]
Row = tuple[float | None, str, bool]
"""SQNR won in dB, the node's name, and whether its weights are float too."""

_RANKED_ON, _LEAST, _VALUES = 16, 4, 2**22
"""Held-out examples on which the sensitivity of each operator is measured, all the same ones: at most, at least, and
values of their inputs above which fewer do. Of 600 × 800 pixels each tells as much as several small ones."""
_TIMED = 6
_WARM = 0.05
"""Seconds that each runs before: they share a process, so that the first ones warm the processor for the others."""
_COMPUTING = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Mul", "Concat", "GlobalAveragePool", "AveragePool")
"""Operators whose integers can lose accuracy; the others only move numbers."""


def restored(
    plan: Plan,
    evidence: Evidence,
    worth: Callable[[np.ndarray], float],
    least: float,
    say: Say,
    preset: Preset = PRESETS["xnnpack"],
    integers: Preset = PRESETS["xnnpack"],
) -> tuple[Plan, list[dict[str, Any]]]:
    """Return operators to float until `worth` of the outputs reaches `least`; the plan, and a row for each of them.

    Operators are ranked by the SQNR that each alone wins in float. If all of the ranking does not suffice, the other
    operators follow; if that does not, all get their float weights back, in the graph as it came. Each row has
    `operator`, `node`, `decibels` that the operator alone wins (None of those others), `weights` where they are float32
    again, and `bytes` and `seconds` that it adds to the rows before it, in `preset`; only the first few are timed.
    Outputs are those of `integers`.
    """

    def enough(plan: Plan) -> bool:
        return worth(evidence.outputs(plan, integers)) >= least

    if enough(plan):
        return plan, []
    for exact in (False, True):
        base = _plain(plan, evidence) if exact else plan
        ranking: list[Row] = [*_ranked(base, evidence, integers, say, exact)]
        if reached := enough(_with(base, ranking)):
            break
        known = base.floats | {name for _, name, _ in ranking}
        ranking += [(None, node.name, exact) for node in base.graph.graph.node if node.name not in known]
        ranking += [(None, name, exact) for name in sorted(base.floats) if exact]
        if reached := enough(_with(base, ranking)):
            break
    low, high = 0, len(ranking)  # the fewest that are enough lie in (low, high]
    while reached and high - low > 1:
        middle = (low + high) // 2
        say(len(ranking) - (high - low), len(ranking), f"{middle} operators in float")
        low, high = (low, middle) if enough(_with(base, ranking[:middle])) else (middle, high)
    plan = base
    chosen = _with(plan, ranking[:high])
    models, sizes = list[onnx.ModelProto](), list[int]()
    for k in range(high + 1):
        model = written(_with(plan, ranking[:k]), preset)
        sizes.append(model.ByteSize())
        if k <= _TIMED:  # all of them would fill the memory
            models.append(model)
    say(len(ranking), len(ranking), "timing what is in float")
    seconds = _seconds(models)
    types = {node.name: node.op_type for node in plan.graph.graph.node}
    return chosen, [
        {
            "node": name,
            "operator": types[name],
            "decibels": None if won is None else round(won, 2),
            **({"weights": "float32"} if weights else {}),
            "bytes": sizes[k + 1] - sizes[k],
            "seconds": seconds[k + 1] - seconds[k] if k < _TIMED else None,
        }
        for k, (won, name, weights) in enumerate(ranking[:high])
    ]


def _seconds(models: list[onnx.ModelProto]) -> list[float]:
    """Measure the median time of each, side by side on this machine."""
    with scratch() as work:
        files = [Path(work, f"{index}.onnx") for index in range(len(models))]
        for model, file in zip(models, files, strict=True):
            onnx.save(model, file)
        each = [paired.Model(file.name, file) for file in files]
        samples = paired.measure(each, looks=(1,), rounds=40, warm=_WARM)
    return [statistics.spread(statistics.log_percentiles(sample, 50))[0] for sample in samples]


def _plain(plan: Plan, evidence: Evidence) -> Plan:
    """Return the plan before any step changed its weights or biases, as float weights need it."""
    graph = evidence.model
    seen_ranges = ranges.ranges(graph, evidence.seen, methods=("minmax",))["minmax"]
    return ranged(apart.applied(Plan(graph, {}, plan.per_channel, unsuited(graph.graph)), evidence), seen_ranges)


def _ranked(plan: Plan, evidence: Evidence, integers: Preset, say: Say, exact: bool) -> list[tuple[float, str, bool]]:
    values = sum(column[:1].size for column in evidence.held)
    count = min(max(_VALUES // max(values, 1), _LEAST), _RANKED_ON)
    columns: Columns = tuple(column[:count] for column in evidence.held)
    nodes = [node.name for node in plan.graph.graph.node if node.op_type in _COMPUTING and node.name not in plan.floats]

    def models() -> Iterator[onnx.ModelProto]:
        yield evidence.written(plan, integers)
        for index, name in enumerate(nodes):
            say(index, len(nodes), f"sensitivity of {name}")
            yield written(_with(plan, [(0.0, name, exact)]), integers)

    before, *after = in_order(lambda model: evidence.decibels(run_model(model, columns, threads=1)), models())
    rows = [(decibels - before, name, exact) for name, decibels in zip(nodes, after, strict=True)]
    return sorted(rows, key=lambda row: (-row[0], row[1]))


def _with(plan: Plan, rows: Sequence[Row]) -> Plan:
    floats = frozenset(name for _, name, _ in rows)
    exact = frozenset(name for _, name, is_exact in rows if is_exact)
    return replace(plan, floats=plan.floats | floats, exact=plan.exact | exact)
