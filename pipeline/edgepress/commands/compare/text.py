"""Render a comparison as plain text of at most 110 columns.

Two tables, the recall of each class, and the verdict.
"""

from __future__ import annotations

import math
import textwrap
from statistics import fmean

from ...benchmark import statistics as timing
from ...core.printable import lines as printed
from ...core.printable import shown
from ...core.units import show_bytes, show_count, show_seconds
from ...gate.judge import Finding
from ...gate.report.cells import cells
from ...gate.report.wording import WIDTH
from . import verdict
from .results import HALF, Comparison
from .statistics import Estimate, difference, level, pareto
from .wording import change, points

UNEVEN = 3
"""Ratio of the most frequent class to the rarest from which the recall of each class is shown."""


def render(comparison: Comparison) -> str:
    """Return the whole text, ending in a newline."""
    comparison = shown(comparison)
    blocks = [title(comparison), *(_table(comparison, which) for which in ("float", "int8")), _legend(comparison)]
    blocks += [_recalls(comparison), verdict.words(comparison)]
    return printed("\n\n".join("\n".join(block) for block in blocks if block) + "\n")


def budget(finding: Finding) -> str:
    """Describe a finding: `latency 0.104x of 0.72x: ok`."""
    check, value, limit, _, rest = cells(finding)
    number = " ".join(filter(None, [value, limit, rest])) or "no number"
    if finding.note and (finding.value is None or finding.check == "worst_recall"):
        number += f" ({finding.note})"
    level = ", advisory" if finding.level == "advisory" else ""
    return f"{check} {number}{f' ({finding.label})' if finding.label else ''}: {finding.status}{level}"


def title(comparison: Comparison) -> list[str]:
    data, machine = comparison.data, comparison.machine
    altered = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in data["task"].items())
    counts = data["images"]
    lines = [
        f"{comparison.name}  {comparison.date}, on {machine.cpu}, {machine.cores} cores, {machine.system}",
        f"{data['name']}{f' ({altered})' if altered else ''}: train {counts['train']}"
        + (f" and {data['unlabelled']} unlabelled" if data["unlabelled"] else "")
        + f", validation {counts['validation']}, test {counts['test']}; {comparison.repetitions} "
        + ("seed" if comparison.repetitions == 1 else "seeds"),
    ]
    if data["limited"] is not None:
        lines.append(f"A smoke run, limited to {data['limited']}: it shows that the recipe works, not what is better.")
    return [line for line in lines for line in textwrap.wrap(line, WIDTH)]


def cells_of(comparison: Comparison, which: str) -> list[list[str]]:
    """Return the table of the `float` or the `int8` files: its header, then a row for each route."""
    first = next(iter(comparison.routes))
    best = pareto(
        {
            name: (
                rank(comparison, name, which),
                -float(comparison.of(name)[0].files[which].bytes),
                -float(round(20 * math.log(seconds(comparison, name, which) or 1))),  # to 5%: the rest is chance
            )
            for name in comparison.routes
        }
    )
    header = [which, comparison.metric, f"vs {first}", "size", "latency", "passes", "agrees", "a second"]
    header += [f"{comparison.price:g}/h: a million"] if comparison.price is not None else []
    table = [header]
    for name in comparison.routes:
        results, time = comparison.of(name), seconds(comparison, name, which)
        row = [
            f"{'*' if name in best else ' '} {name}",
            points(level_of(comparison, name, which), comparison.error, comparison.drop_unit.replace(" points", "%")),
            "" if name == first else change(against(comparison, name, first, which), comparison.error),
            show_bytes(results[0].files[which].bytes),
            "—" if time is None else show_seconds(time),
            str(results[0].passes),
            f"{fmean(result.agreement[which] for result in results):.1%}",
            "—" if time is None else show_count(1 / time),
        ]
        if comparison.price is not None:
            row.append("—" if time is None else f"{time * 1e6 / 3600 * comparison.price:.3g}")
        table.append(row)
    return table


def _table(comparison: Comparison, which: str) -> list[str]:
    table = cells_of(comparison, which)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def _legend(comparison: Comparison) -> list[str]:
    width = max(map(len, comparison.routes))
    lines = [
        line
        for name, about in abouts(comparison).items()
        for line in textwrap.wrap(f"{name:<{width}}  {about}", WIDTH, subsequent_indent=" " * (width + 2))
    ]
    return lines + [line for words in notes(comparison) for line in textwrap.wrap(words, WIDTH)]


def abouts(comparison: Comparison) -> dict[str, str]:
    """Return what each route is, and the compute that its training took."""
    return {name: f"{about}{_effort(comparison, name)}" for name, about in comparison.routes.items()}


def notes(comparison: Comparison) -> list[str]:
    """Return how the tables were counted and measured."""
    skipped = f"Skipped in every route, after the distillation: {', '.join(comparison.left_out)}."
    several = len(comparison.source) > 1
    students = {"plain", HALF, "longer", "soup", "distill", "both"} & {*comparison.routes}
    own = "the least recipe's" if several else "the student's own" if students else "the least route's"
    macs = " × multiply-accumulates" if all(result.counted for result in comparison.made) else ", each network alike"
    how = timing.how(comparison.samples[0]) if comparison.samples else "not measured"
    return [
        *([skipped] if comparison.left_out else []),
        f"* no other is better in one of {comparison.metric}, size and latency and as good in the others. Intervals "
        f"are of 95%, over seeds and {_over(comparison)}. Latency: measured, {how}. `agrees`: {_agreed(comparison)} "
        f"the best float model of that seed on validation. Compute is examples × passes{macs}, of "
        f"{own}; a teacher's pass counts a third, as it has no gradients.",
    ]


def _agreed(comparison: Comparison) -> str:
    if comparison.data.get("alike") == "boxes":
        return "F1 of the boxes against those of"
    return "predictions equal to those of" if comparison.labels else "likeness (R²) of the outputs to those of"


def _over(comparison: Comparison) -> str:
    groups = len(set(comparison.groups))
    return f"{groups} group{'s' * (groups > 1)} of test examples" if groups else "test examples"


def _effort(comparison: Comparison, name: str) -> str:
    return f"; compute to train x{fmean(result.effort for result in comparison.of(name)):.1f}"


def _recalls(comparison: Comparison) -> list[str]:
    """Return the table of recalls by class, where classes are far from even."""
    counts = {label: count for label, count in comparison.data["classes"].items() if count}
    if not counts or max(counts.values()) < UNEVEN * min(counts.values()):
        return []
    shown = sorted(counts, key=lambda label: counts[label])
    lines = ["recall of each class (float), rarest first; training examples in brackets"]
    width = max(len(f"{label} ({counts[label]})") for label in shown)
    names = list(comparison.routes)
    wide = max(10, *(len(name) + 2 for name in names))
    lines.append(" " * width + "".join(f"{name:>{wide}}" for name in names))
    for label in shown:
        row = [fmean(result.recalls["float"].get(label, math.nan) for result in comparison.of(name)) for name in names]
        lines.append(f"{f'{label} ({counts[label]})':<{width}}" + "".join(f"{value:>{wide}.1%}" for value in row))
    means = [fmean(fmean(result.recalls["float"].values()) for result in comparison.of(name)) for name in names]
    worst = [fmean(min(result.recalls["float"].values()) for result in comparison.of(name)) for name in names]
    lines.append(f"{'mean of classes':<{width}}" + "".join(f"{value:>{wide}.1%}" for value in means))
    lines.append(f"{'worst class':<{width}}" + "".join(f"{value:>{wide}.1%}" for value in worst))
    return lines


def seconds(comparison: Comparison, route: str, which: str) -> float | None:
    """Return the typical time of one inference."""
    path = comparison.of(route)[0].files[which].path
    samples = next((sample for sample in comparison.samples if sample.path == path), None)
    return timing.spread(timing.log_percentiles(samples, 50))[0] if samples else None


def level_of(comparison: Comparison, route: str, which: str) -> Estimate:
    """Estimate the metric of a route."""
    return level(
        [result.files[which] for result in comparison.of(route)],
        comparison.metric,
        error=comparison.error,
        groups=comparison.groups,
    )


def rank(comparison: Comparison, route: str, which: str) -> float:
    """Return the metric of a route, more for the better: of what is no number the least, as no comparison orders it."""
    mean = level_of(comparison, route, which).mean
    return -math.inf if math.isnan(mean) else -mean if comparison.error else mean


def against(comparison: Comparison, route: str, rival: str, which: str) -> Estimate:
    """Estimate the metric of a route less that of another."""
    mine, theirs = ([result.files[which] for result in comparison.of(name)] for name in (route, rival))
    return difference(mine, theirs, comparison.metric, error=comparison.error, groups=comparison.groups)
