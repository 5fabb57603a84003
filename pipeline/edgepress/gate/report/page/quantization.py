"""Show what quantization decided: the ladder of its steps, and what stayed in float."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ....core.explained import MOST_DECIBELS
from ....core.results import Report
from ....stages import TABLE
from ..text import summaries
from ..wording import cut
from . import scales, svg

LEFT, RIGHT, ROW = 150.0, 330.0, 24.0


@dataclass(frozen=True)
class Decisions:
    """The decisions of one stage in words, and its ladder as a plot."""

    stage: str
    lines: list[str]
    plot: Markup


def decisions(report: Report) -> list[Decisions]:
    """Return what every stage of the family `quantize` decided."""
    found = []
    lines = summaries(report)
    for stage in report.stages:
        if stage.use in TABLE and TABLE[stage.use].family == "quantize":
            own = [line.removeprefix(f"{stage.name}: ") for line in lines if line.startswith(f"{stage.name}: ")]
            found.append(Decisions(stage.name, own, _ladder(stage.name, stage.notes.get("ladder", []))))
    return [row for row in found if row.lines or row.plot]


def others(report: Report) -> list[str]:
    """Return the lines of all other stages, each with the stage's name."""
    quantizing = {row.stage for row in decisions(report)}
    return [line for line in summaries(report) if line.partition(": ")[0] not in quantizing]


def _ladder(name: str, steps: Any) -> Markup:
    """Draw the SQNR after each step on held-out examples; a step that was not kept is hollow.

    Notes are whatever a stage leaves, so that a step without a number is left out.
    """
    known = [step for step in steps if _is_step(step)] if isinstance(steps, list) else []
    if not known:
        return Markup("")
    low, high = scales.padded([step["decibels"] for step in known], 0.3)
    x = scales.linear(low, high, LEFT, RIGHT)
    bottom = ROW * len(known) + 2
    parts = [scales.x_axis(x, scales.ticks(low, high, 4), "{:g} dB".format, 2.0, bottom)]
    for index, step in enumerate(known):
        y, kept = ROW * index + 14, bool(step["kept"])
        words = f"{step['decibels']:.1f} dB, {'kept' if kept else 'not kept'}"
        wide = max(x(step["decibels"]) - LEFT, 1.5)
        parts += [
            svg.text(LEFT - 8, y + 4, cut(str(step["step"]), 22), "tick", "end"),
            svg.tag("rect", x=LEFT, y=y - 7, width=wide, height=14.0, class_=f"bar {'ok' if kept else 'undecided'}"),
            svg.text(x(step["decibels"]) + 6, y + 4, words, "tick"),
        ]
    label = f"SQNR of {name} after each step, on held-out examples; the sentences above have the steps that were kept"
    return svg.plot(label, bottom + 20, *parts)


def _is_step(step: Any) -> bool:
    known = isinstance(step, dict) and {"step", "decibels", "kept"} <= step.keys()
    return known and isinstance(step["decibels"], int | float) and abs(step["decibels"]) <= MOST_DECIBELS
