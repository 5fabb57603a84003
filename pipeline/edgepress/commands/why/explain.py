"""Implement `why`: time and bytes by layer, change by stage, and advice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from ...core.printable import lines as printed
from ...core.printable import shown, word
from ...core.results import Report
from ...core.units import show_bytes, show_seconds
from ...gate.judge import Finding
from ...gate.report.cells import cells, level
from ...gate.report.stage_table import stage_table
from ...stages import TABLE
from .advice import advice
from .layers import Layer, Layers

LARGEST = 10
WIDE = 44
"""Characters of a name that are shown: its end."""


def explain(path: Path, file: Layers, findings: Sequence[Finding] = (), report: Report | None = None) -> str:
    """Return the text: the largest layers, sums by operator, what each stage saved, and advice."""
    layers, timed = file.layers, file.seconds is not None
    cost: Callable[[Layer], float] = (lambda layer: layer.seconds or 0.0) if timed else (lambda layer: layer.bytes)
    total = file.seconds or sum(map(cost, layers)) or 1.0
    lines = [
        f"{word(path.name)}  {show_bytes(file.size)}: {show_bytes(file.size - file.graph)} of weights, "
        f"{show_bytes(file.graph)} of graph and metadata"
    ]
    if timed:
        lines += [
            f"{show_seconds(total)} an inference in {len(layers)} layers; measured: onnxruntime's profile, 1 thread, "
            "less the profiler's own time"
        ]
    else:
        lines += [f"{len(layers)} operators; LiteRT reports no time per operator: shares are of the weights' bytes"]
    head = ["layer", "operator", "gives", "in", "bytes", "time" if timed else "", "share"]
    rows = []
    for layer in sorted(layers, key=cost, reverse=True)[:LARGEST]:
        seconds = "" if layer.seconds is None else show_seconds(layer.seconds)
        sides = "×".join(map(str, layer.shape))
        name = layer.name if len(layer.name) <= WIDE else f"…{layer.name[1 - WIDE :]}"
        ops = " + ".join([layer.op, *layer.fused[:2], *["…"] * (len(layer.fused) > 2)])
        rows.append([name, ops, sides, layer.holds, show_bytes(layer.bytes), seconds, f"{cost(layer) / total:.0%}"])
    rest = [("", f"{len(layers) - LARGEST} more", sum(map(cost, layers)) - sum(sorted(map(cost, layers))[-LARGEST:]))]
    rest = [
        *rest * (len(layers) > LARGEST),
        *[("", "between operators", file.between)] * (file.between >= 0.005 * total),
    ]
    for name, words, amount in rest:
        rows.append([words, name, "", "", "", show_seconds(amount) if timed else "", f"{amount / total:.0%}"])
    lines += ["", *_table([head, *rows]), ""]
    lines += [f"by operator: {_sums(layers, lambda layer: layer.op, cost, total)}"]
    lines += [f"by part: {_sums(layers, lambda layer: layer.part, cost, total)}"]
    if timed and (added := sum(layer.inserted for layer in layers) / total) >= 0.01:
        least = sorted((layer for layer in layers if layer.inserted), key=lambda layer: -layer.inserted)
        ops = ", ".join(dict.fromkeys(layer.op for layer in least[:LARGEST]))
        lines += [
            f"of that, {added:.0%} is added by onnxruntime to {ops}: layout and type conversions, unpacked weights"
        ]
    if report is not None:
        table = stage_table(shown(report))
        lines += ["", "what each stage changed:", *_table([[row[0] or "", *row[1:]] for row in table], 2)]
    if findings:
        lines += ["", "budgets:"]
        lines += [
            "  " + "  ".join(filter(None, [finding.status + level(finding), *cells(finding)]))
            for finding in shown(findings)
        ]
    stages = report.stages if report else []
    notes = next((stage.notes for stage in stages if path in [Path(file.path) for file in stage.files]), {})
    prunes = any(stage.use in TABLE and TABLE[stage.use].family == "prune" for stage in stages)
    advices = advice(layers, cost, total, notes, prunes)
    return printed("\n".join([*lines, "", *(f"first: {words}" for words in advices)]) + "\n")


def _sums(layers: Sequence[Layer], of: Callable[[Layer], str], cost: Callable[[Layer], float], total: float) -> str:
    sums: dict[str, float] = defaultdict(float)
    for layer in layers:
        sums[of(layer)] += cost(layer) / total
    largest = sorted(sums.items(), key=lambda item: -item[1])[:6]
    return ", ".join(f"{name} {share:.0%}" for name, share in largest)


def _table(rows: Sequence[Sequence[str]], left_of: int = 4) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    shown = []
    for row in rows:
        first = [cell.ljust(width) for cell, width in zip(row[:left_of], widths, strict=False)]
        right = [cell.rjust(width) for cell, width in zip(row[left_of:], widths[left_of:], strict=False)]
        shown.append("  ".join([*first, *right]).rstrip())
    return shown
