"""Render a comparison as plain text of at most 110 columns.

Two tables, the recall of each class, and the verdict.
"""

from __future__ import annotations

import math
import textwrap
from statistics import fmean

from ...benchmark import statistics as timing
from ...core.units import show_bytes, show_count, show_seconds
from ...gate.judge import Finding
from ...gate.report.cells import cells
from ...gate.report.wording import WIDTH
from . import verdict
from .results import Comparison
from .statistics import Estimate, difference, level, pareto
from .wording import change, points

UNEVEN = 3
"""Ratio of the most frequent class to the rarest from which the recall of each class is shown."""


def render(found: Comparison) -> str:
    """The whole text, ending in a newline."""
    blocks = [_title(found), *(_table(found, which) for which in ("float", "int8")), _legend(found)]
    blocks += [_recalls(found), verdict.words(found)]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def budget(finding: Finding) -> str:
    """`latency 0.104x of 0.72x: ok`."""
    check, value, limit, _, rest = cells(finding)
    number = " ".join(filter(None, [value, limit, rest])) or "no number"
    if finding.note and (finding.value is None or finding.check == "worst_recall"):
        number += f" ({finding.note})"
    level = ", advisory" if finding.level == "advisory" else ""
    return f"{check} {number}{f' ({finding.label})' if finding.label else ''}: {finding.status}{level}"


def _title(found: Comparison) -> list[str]:
    data = found.data
    altered = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in data["task"].items())
    counts = data["images"]
    lines = [
        f"{found.name}  {found.date}, on {found.machine.cpu}, {found.machine.cores} cores, {found.machine.system}",
        f"{data['name']}{f' ({altered})' if altered else ''}: train {counts['train']}"
        + (f" and {data['unlabelled']} unlabelled" if data["unlabelled"] else "")
        + f", validation {counts['validation']}, test {counts['test']}; {found.repetitions} "
        + ("seed" if found.repetitions == 1 else "seeds"),
    ]
    if data["limited"] is not None:
        lines.append(f"A smoke run, limited to {data['limited']}: it shows that the recipe works, not what is better.")
    return [line for each in lines for line in textwrap.wrap(each, WIDTH)]


def _table(found: Comparison, which: str) -> list[str]:
    first = next(iter(found.routes))
    best = pareto(
        {
            name: (
                level_of(found, name, which).mean * (-1 if found.error else 1),
                -float(found.of(name)[0].files[which].bytes),
                -float(round(20 * math.log(seconds(found, name, which) or 1))),  # to 5%: the rest is chance
            )
            for name in found.routes
        }
    )
    header = [which, found.metric, f"vs {first}", "size", "latency", "passes", "agrees", "a second"]
    header += [f"{found.price:g}/h: a million"] if found.price is not None else []
    table = [header]
    for name in found.routes:
        made, time = found.of(name), seconds(found, name, which)
        row = [
            f"{'*' if name in best else ' '} {name}",
            points(level_of(found, name, which), found.error),
            "" if name == first else change(against(found, name, first, which), found.error),
            show_bytes(made[0].files[which].bytes),
            "—" if time is None else show_seconds(time),
            str(made[0].passes),
            f"{fmean(each.agreement[which] for each in made):.1%}",
            "—" if time is None else show_count(1 / time),
        ]
        if found.price is not None:
            row.append("—" if time is None else f"{time * 1e6 / 3600 * found.price:.3g}")
        table.append(row)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def _legend(found: Comparison) -> list[str]:
    width = max(map(len, found.routes))
    lines = [
        line
        for name, about in found.routes.items()
        for line in textwrap.wrap(
            f"{name:<{width}}  {about}{_effort(found, name)}", WIDTH, subsequent_indent=" " * (width + 2)
        )
    ]
    if found.left_out:
        lines.append(f"Skipped in every route, after the distillation: {', '.join(found.left_out)}.")
    own = "the least recipe's" if len(found.source) > 1 else "the student's own"
    how = timing.how(found.samples[0]) if found.samples else "not measured"
    lines += textwrap.wrap(
        f"* no other is better in one of {found.metric}, size and latency and as good in the others. Intervals are of "
        f"95%, over seeds and {_over(found)}. Latency: measured, {how}. `agrees`: predictions equal to those of the "
        f"best float model of that seed on validation. Compute is examples × passes × multiply-accumulates, of {own}.",
        WIDTH,
    )
    return lines


def _over(found: Comparison) -> str:
    groups = len(set(found.groups))
    return f"{groups} group{'s' * (groups > 1)} of test examples" if groups else "test examples"


def _effort(found: Comparison, name: str) -> str:
    return f"; compute to train x{fmean(each.effort for each in found.of(name)):.1f}"


def _recalls(found: Comparison) -> list[str]:
    """What each class gets, where classes are far from even."""
    counts = {label: count for label, count in found.data["classes"].items() if count}
    if not counts or max(counts.values()) < UNEVEN * min(counts.values()):
        return []
    shown = sorted(counts, key=lambda label: counts[label])
    lines = ["recall of each class (float), rarest first; training examples in brackets"]
    width = max(len(f"{label} ({counts[label]})") for label in shown)
    names = list(found.routes)
    wide = max(10, *(len(name) + 2 for name in names))
    lines.append(" " * width + "".join(f"{name:>{wide}}" for name in names))
    for label in shown:
        row = [fmean(each.recalls["float"].get(label, math.nan) for each in found.of(name)) for name in names]
        lines.append(f"{f'{label} ({counts[label]})':<{width}}" + "".join(f"{value:>{wide}.1%}" for value in row))
    means = [fmean(fmean(each.recalls["float"].values()) for each in found.of(name)) for name in names]
    worst = [fmean(min(each.recalls["float"].values()) for each in found.of(name)) for name in names]
    lines.append(f"{'mean of classes':<{width}}" + "".join(f"{value:>{wide}.1%}" for value in means))
    lines.append(f"{'worst class':<{width}}" + "".join(f"{value:>{wide}.1%}" for value in worst))
    return lines


def seconds(found: Comparison, route: str, which: str) -> float | None:
    """The typical time of one answer."""
    path = found.of(route)[0].files[which].path
    samples = next((each for each in found.samples if each.path == path), None)
    return timing.spread(timing.log_percentiles(samples, 50))[0] if samples else None


def level_of(found: Comparison, route: str, which: str) -> Estimate:
    """The metric of a route."""
    return level([each.files[which] for each in found.of(route)], found.metric, error=found.error, groups=found.groups)


def against(found: Comparison, route: str, other: str, which: str) -> Estimate:
    """The metric of a route less that of another."""
    mine, theirs = ([each.files[which] for each in found.of(name)] for name in (route, other))
    return difference(mine, theirs, found.metric, error=found.error, groups=found.groups)
