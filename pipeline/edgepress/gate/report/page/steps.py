"""Draw the chain: each stage, what it is made from, and what it changed."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from ....core.results import Report
from ..stage_table import stage_table
from ..wording import cut
from . import svg

_TALL, _GAP, _LANE = 44.0, 16.0, 12.0
_NAME, _WORDS = 30, 44
"""Characters of a name, and of a line below it, that fit into a box."""


@dataclass(frozen=True)
class Step:
    """A stage's cells, as the text report has them: parameters, size, MACs, val, test, latency, and their changes."""

    name: str
    use: str
    cells: list[str]
    against: str
    changes: list[str]


def header(report: Report) -> list[str]:
    return stage_table(report)[0][2:]


def steps(report: Report) -> list[Step]:
    """Return the rows of the stage table, each with the row of its changes, if it has one."""
    found: list[Step] = []
    for name, use, *cells in stage_table(report)[1:]:
        if name:
            found.append(Step(name, use, cells, "", []))
        else:
            last = found.pop()
            found.append(Step(last.name, last.use, last.cells, use.removeprefix("vs "), cells))
    return found


def chain(report: Report) -> Markup:
    """Draw the stages from top to bottom; arrows that pass others have lanes at the left."""
    rows = steps(report)
    place = {step.name: index for index, step in enumerate(rows)}
    passing = [
        (place[source], index)
        for index, stage in enumerate(report.stages)
        for source in stage.inputs
        if place[source] != index - 1
    ]
    lanes = _lanes(passing)
    left = 8 + _LANE * (max(lanes, default=-1) + 1)
    parts = []
    for (start, end), lane in zip(passing, lanes, strict=True):
        x, top, bottom = left - 6 - _LANE * lane, _middle(start) + 8, _middle(end) - 8
        parts.append(svg.path([(left, top), (x, top), (x, bottom), (left - 4, bottom)], "edge"))
        parts.append(_arrow(left, bottom, turned=False))
    direct = [index for index, stage in enumerate(report.stages) if index and rows[index - 1].name in stage.inputs]
    for index in direct:
        x, top = left + 24, index * (_TALL + _GAP)
        parts.append(svg.line(x, top - _GAP, x, top - 4, "edge"))
        parts.append(_arrow(x, top, turned=True))
    for index, step in enumerate(rows):
        y = index * (_TALL + _GAP)
        kind, wide = report.stages[index].kind, svg.WIDTH - left - 1
        parts += [
            svg.tag("rect", x=left, y=y + 0.5, width=wide, height=_TALL - 1, rx=5.0, class_=f"box {kind}"),
            svg.text(left + 10, y + 18, cut(step.name, _NAME), "name"),
            svg.text(svg.WIDTH - 10, y + 18, cut(step.use, _NAME), "tick", "end"),
            svg.text(left + 10, y + 35, cut(_changed(step), _WORDS), "words"),
        ]
    height = len(rows) * (_TALL + _GAP) - _GAP + 1
    names = " → ".join(step.name for step in rows)
    return svg.plot(f"The chain of stages: {names}. The table of stages has its numbers.", height, *parts)


def _changed(step: Step) -> str:
    """Return what a stage changed, in a line: `size −86%, test −0.1, latency −55%`; else its size and score."""
    names = ("parameters", "size", "MACs", "val", "test", "latency")
    shown = dict(zip(names, step.changes or step.cells, strict=True))
    wanted = [(name, shown[name].partition("  ")[0]) for name in ("size", "test", "latency")]
    return ", ".join(f"{name} {words}" for name, words in wanted if words and words != "—")


def _lanes(edges: list[tuple[int, int]]) -> list[int]:
    """Return a lane for each edge; those that overlap have different ones."""
    lanes: list[int] = []
    for at, (start, end) in enumerate(edges):
        taken = {lane for lane, (other, last) in zip(lanes, edges[:at], strict=True) if other <= end and start <= last}
        lanes.append(next(lane for lane in range(len(edges) + 1) if lane not in taken))
    return lanes


def _middle(index: int) -> float:
    return index * (_TALL + _GAP) + _TALL / 2


def _arrow(x: float, y: float, *, turned: bool) -> Markup:
    """Return the head of an arrow that ends at (x, y), to the right or, `turned`, downwards."""
    steps = f"M{x:.1f} {y:.1f}l-4 -6h8z" if turned else f"M{x:.1f} {y:.1f}l-6 -4v8z"
    return svg.tag("path", d=steps, class_="head")
