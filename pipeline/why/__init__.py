"""`why`: where a model's time and bytes go, what each stage of its recipe saved, and what to change first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from ..facts import Report
from ..gate import Finding
from ..report.text import cells, stage_table
from ..units import show_bytes, show_seconds
from .layers import Layer

LARGEST = 10
MOST = 0.15
"""The share of the whole from which something is worth changing first."""


def explain(path: Path, found: Sequence[Layer], findings: Sequence[Finding] = (), report: Report | None = None) -> str:
    """The text: the largest layers, sums by operator, what each stage saved, and what to change first."""
    timed = all(layer.seconds is not None for layer in found)
    cost: Callable[[Layer], float] = (lambda layer: layer.seconds or 0.0) if timed else (lambda layer: layer.bytes)
    total, size = sum(map(cost, found)) or 1.0, sum(layer.bytes for layer in found) or 1
    whole = f"{show_seconds(total)} in {len(found)} operators, " if timed else f"{len(found)} operators, "
    how = "measured: onnxruntime's profile, 1 thread" if timed else "LiteRT tells no times of operators: by bytes"
    lines = [f"{path.name}  {whole}{show_bytes(size)} of weights ({how})", ""]
    head = ["layer", "operator", "gives", "bytes", "time" if timed else "", "share"]
    rows = []
    for layer in sorted(found, key=cost, reverse=True)[:LARGEST]:
        seconds = "" if layer.seconds is None else show_seconds(layer.seconds)
        sides = "×".join(map(str, layer.shape))
        rows.append([layer.name, layer.op, sides, show_bytes(layer.bytes), seconds, f"{cost(layer) / total:.0%}"])
    lines += [*_table([head, *rows]), ""]
    lines += [f"by operator: {_sums(found, lambda layer: layer.op, cost, total)}"]
    lines += [f"by part: {_sums(found, lambda layer: layer.part, cost, total)}"]
    if report is not None:
        lines += ["", "what each stage changed:", *_table([[row[0] or "", *row[1:]] for row in stage_table(report)])]
    if findings:
        lines += ["", "budgets:"]
        lines += ["  " + "  ".join(filter(None, [each.status, *cells(each)])) for each in findings]
    return "\n".join([*lines, "", *(f"first: {words}" for words in advice(found, cost, total))]) + "\n"


def advice(found: Sequence[Layer], cost: Callable[[Layer], float], total: float) -> list[str]:
    """What to change first, by what it would save at most."""
    said: list[tuple[float, str]] = []
    moved = [layer for layer in found if layer.moves]
    share = sum(map(cost, moved)) / total
    if share > MOST:
        kinds = ", ".join(sorted({layer.op for layer in moved}))
        why = "each stands between int8 and float, or two layouts; operators that have an int8 form need none"
        said.append((share, f"{share:.0%} goes into {kinds}, which compute nothing: {why}"))
    integers = any(not layer.real and not layer.moves for layer in found)
    real = [layer for layer in found if layer.real]
    share = sum(map(cost, real)) / total
    if integers and share > MOST:
        kinds = ", ".join(sorted({layer.op for layer in real}))
        help = "take an activation that quantizes (ReLU, ReLU6), or leave these out"
        said.append((share, f"{share:.0%} is still computed in float: {kinds}; {help}"))
    parts: dict[str, float] = defaultdict(float)
    for layer in found:
        if not layer.moves:
            parts[layer.part] += cost(layer) / total
    name, share = max(parts.items(), key=lambda each: each[1], default=("", 0.0))
    if share > MOST:
        help = "fewer channels there (`prune.channels`), or a student without it, saves that much at most"
        said.append((share, f"{share:.0%} is in `{name}`: {help}"))
    few = (
        f"no part takes more than {MOST:.0%}: a smaller student, or a higher ratio of `prune.channels`, takes from all"
    )
    return [words for _, words in sorted(said, reverse=True)] or [few]


def _sums(found: Sequence[Layer], of: Callable[[Layer], str], cost: Callable[[Layer], float], total: float) -> str:
    sums: dict[str, float] = defaultdict(float)
    for layer in found:
        sums[of(layer)] += cost(layer) / total
    largest = sorted(sums.items(), key=lambda each: -each[1])[:6]
    return ", ".join(f"{name} {share:.0%}" for name, share in largest)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    shown = []
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:3], widths, strict=False)]
        right = [cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=False)]
        shown.append("  ".join([*left, *right]).rstrip())
    return shown
