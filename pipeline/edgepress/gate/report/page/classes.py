"""Name the classes that lost from the starting model to the result, and what they are taken for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ....core.results import CONFUSED, ModelFile, Report
from ...judge import Finding, host_file
from ...lineage import last_float
from .. import change
from ..wording import cut
from . import scales, svg

MOST = 24
"""Classes in the plot: those that lost most."""
LEFT, RIGHT, ROW = 118.0, 384.0, 20.0
MARKS = ("start", "float", "result")


@dataclass(frozen=True)
class Recall:
    """How many test examples of a class are right, of how many: of start, last float model and result."""

    label: str
    right: tuple[int, int, int]
    count: int

    @property
    def lost(self) -> int:
        """Return how many fewer are right than of the starting model."""
        return self.right[0] - self.right[2]

    @property
    def cells(self) -> list[str]:
        return [f"{right / self.count:.1%}" for right in self.right]

    @property
    def moved(self) -> str:
        return f"{100 * (self.right[2] - self.right[0]) / self.count:+.1f}".replace("-", "−")


@dataclass(frozen=True)
class Classes:
    """The recalls of every class that has test examples, those that lost most first."""

    names: tuple[str, str, str]
    unit: str
    """What is counted: examples, pixels or boxes."""
    rows: list[Recall]
    confused: list[tuple[str, str, int, str]]
    """Class, predicted class, how often by the result, and by the starting model where it is among its mistakes."""

    @property
    def losers(self) -> list[Recall]:
        return [row for row in self.rows if row.lost > 0]


def classes(report: Report, findings: Sequence[Finding]) -> Classes | None:
    """Return the recalls; None for what has no classes, and for reports of older versions, which lack them."""
    changed = change.change(report, findings)
    files = {file.path: file for stage in report.stages for file in stage.files}
    if changed is None or changed.start is None:
        return None
    start, result = files[changed.start.file], files[changed.result.file]
    between = last_float(report, _stage_of(report, result))
    middle = (host_file(between, report.machine) if between else None) or result
    found = [start.recalls, middle.recalls, result.recalls]
    if not all(found):
        return None
    labels = [label for label in result.recalls if all(label in recalls for recalls in found)]
    rows = [
        Recall(label, (found[0][label][0], found[1][label][0], found[2][label][0]), found[2][label][1])
        for label in labels
        if found[2][label][1]
    ]
    if not rows:
        return None
    before = {(label, taken): str(count) for label, taken, count in start.confused}
    rest = f"≤ {start.confused[-1][2]}" if len(start.confused) >= CONFUSED else "0"  # the others are not stored
    confused = [(label, taken, count, before.get((label, taken), rest)) for label, taken, count in result.confused]
    names = (changed.start.name, between.name if between else changed.result.name, changed.result.name)
    unit = str(report.data.get("recalls_of", "examples"))
    return Classes(names, unit, sorted(rows, key=lambda row: (-row.lost / row.count, row.label)), confused)


def _stage_of(report: Report, file: ModelFile) -> str:
    return next(stage.name for stage in report.stages if file in stage.files)


def drawn(found: Classes) -> Markup:
    """Draw the recall of the classes that lost most: a ring for the start, a bar for float, a dot for the result."""
    rows = found.rows[:MOST]
    shares = [right / row.count for row in rows for right in row.right]
    low, high = max(0.0, min(shares) - 0.04), min(1.0, max(shares) + 0.04)
    x = scales.linear(low, high, LEFT, RIGHT)
    bottom = ROW * len(rows) + 4
    parts = [scales.x_axis(x, scales.ticks(low, high), lambda value: f"{value:.0%}", 2.0, bottom)]
    for index, row in enumerate(rows):
        y, (start, middle, end) = ROW * index + 14, (x(right / row.count) for right in row.right)
        words = ", ".join(f"{name} {cell}" for name, cell in zip(found.names, row.cells, strict=True))
        parts.append(svg.text(LEFT - 10, y + 4, cut(row.label, 17), "tick", "end"))
        parts.append(
            svg.tag(
                "g",
                svg.tag("title", f"{row.label}: {words}, of {row.count} test {found.unit}"),
                svg.line(start, y, end, y, "lost" if row.lost > 0 else "won"),
                svg.tag("circle", cx=start, cy=y, r=4.5, class_="ring"),
                svg.line(middle, y - 6, middle, y + 6, "median"),
                svg.tag("circle", cx=end, cy=y, r=3.5, class_="process"),
            )
        )
    label = f"Recall of {len(rows)} classes of {', '.join(found.names)}; the table below has the numbers"
    return svg.plot(label, bottom + 20, *parts)
