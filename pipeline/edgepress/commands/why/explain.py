"""Implement `why`: time and bytes by layer, change by stage, and advice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from ...core.results import Report
from ...core.units import show_bytes, show_seconds
from ...gate.judge import Finding
from ...gate.report.cells import cells
from ...gate.report.stage_table import stage_table
from ...stages import TABLE
from .advice import advice
from .layers import Layer, Layers

LARGEST = 10
WIDE = 44
"""Characters of a name that are shown: its end."""


def explain(path: Path, whole: Layers, findings: Sequence[Finding] = (), report: Report | None = None) -> str:
    """The text: the largest layers, sums by operator, what each stage saved, and what to change first."""
    found, timed = whole.found, whole.seconds is not None
    cost: Callable[[Layer], float] = (lambda layer: layer.seconds or 0.0) if timed else (lambda layer: layer.bytes)
    total = whole.seconds or sum(map(cost, found)) or 1.0
    lines = [
        f"{path.name}  {show_bytes(whole.size)}: {show_bytes(whole.size - whole.graph)} of weights, "
        f"{show_bytes(whole.graph)} of graph and metadata"
    ]
    if timed:
        lines += [
            f"{show_seconds(total)} an inference in {len(found)} layers; measured: onnxruntime's profile, 1 thread, "
            "less the profiler's own time"
        ]
    else:
        lines += [f"{len(found)} operators; LiteRT reports no time per operator: shares are of the weights' bytes"]
    head = ["layer", "operator", "gives", "in", "bytes", "time" if timed else "", "share"]
    rows = []
    for layer in sorted(found, key=cost, reverse=True)[:LARGEST]:
        seconds = "" if layer.seconds is None else show_seconds(layer.seconds)
        sides = "×".join(map(str, layer.shape))
        name = layer.name if len(layer.name) <= WIDE else f"…{layer.name[1 - WIDE :]}"
        ops = " + ".join([layer.op, *layer.fused[:2], *["…"] * (len(layer.fused) > 2)])
        rows.append([name, ops, sides, layer.holds, show_bytes(layer.bytes), seconds, f"{cost(layer) / total:.0%}"])
    others = [("", f"{len(found) - LARGEST} more", sum(map(cost, found)) - sum(sorted(map(cost, found))[-LARGEST:]))]
    others = [
        *others * (len(found) > LARGEST),
        *[("", "between operators", whole.between)] * (whole.between >= 0.005 * total),
    ]
    for name, words, each in others:
        rows.append([words, name, "", "", "", show_seconds(each) if timed else "", f"{each / total:.0%}"])
    lines += ["", *_table([head, *rows]), ""]
    lines += [f"by operator: {_sums(found, lambda layer: layer.op, cost, total)}"]
    lines += [f"by part: {_sums(found, lambda layer: layer.part, cost, total)}"]
    if timed and (added := sum(layer.inserted for layer in found) / total) >= 0.01:
        least = sorted((each for each in found if each.inserted), key=lambda each: -each.inserted)
        ops = ", ".join(dict.fromkeys(each.op for each in least[:LARGEST]))
        lines += [
            f"of that, {added:.0%} is added by onnxruntime to {ops}: layout and type conversions, unpacked weights"
        ]
    if report is not None:
        lines += ["", "what each stage changed:", *_table([[row[0] or "", *row[1:]] for row in stage_table(report)], 2)]
    if findings:
        lines += ["", "budgets:"]
        lines += ["  " + "  ".join(filter(None, [each.status, *cells(each)])) for each in findings]
    stages = report.stages if report else []
    notes = next((each.notes for each in stages if path in [Path(file.path) for file in each.files]), {})
    prunes = any(each.use in TABLE and TABLE[each.use].family == "prune" for each in stages)
    said = advice(found, cost, total, notes, prunes)
    return "\n".join([*lines, "", *(f"first: {words}" for words in said)]) + "\n"


def _sums(found: Sequence[Layer], of: Callable[[Layer], str], cost: Callable[[Layer], float], total: float) -> str:
    sums: dict[str, float] = defaultdict(float)
    for layer in found:
        sums[of(layer)] += cost(layer) / total
    largest = sorted(sums.items(), key=lambda each: -each[1])[:6]
    return ", ".join(f"{name} {share:.0%}" for name, share in largest)


def _table(rows: Sequence[Sequence[str]], left_of: int = 4) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    shown = []
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:left_of], widths, strict=False)]
        right = [cell.rjust(width) for cell, width in zip(row[left_of:], widths[left_of:], strict=False)]
        shown.append("  ".join([*left, *right]).rstrip())
    return shown
