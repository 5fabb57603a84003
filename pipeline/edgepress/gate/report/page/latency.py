"""Draw the distributions of latency."""

from __future__ import annotations

from itertools import chain
from statistics import median

from markupsafe import Markup

from ....core.results import Report, Samples
from ....core.units import show_seconds
from ...judge import host_file
from .. import change
from ..wording import cut
from . import scales, svg

LEFT, RIGHT, ROW = 118.0, 388.0, 24.0
_NAME = 17
"""Characters of a name that fit beside the plot."""


def rows(report: Report) -> list[tuple[str, Samples]]:
    """Return the times of each stage's file on this machine on one thread, with the stage's name."""
    found = [(stage.name, change.timed(report.samples, host_file(stage, report.machine))) for stage in report.stages]
    return [(name, samples) for name, samples in found if samples is not None]


def distributions(report: Report) -> Markup:
    """Draw for each file the 5%, 25%, 50%, 75% and 95% percentiles of all rounds, and the median of each process."""
    import numpy as np

    found = rows(report)
    if not found:
        return Markup("")
    spans = [
        np.percentile(list(chain.from_iterable(samples.cpu)), [5, 25, 50, 75, 95]).tolist() for _, samples in found
    ]
    low, high = min(span[0] for span in spans), max(span[4] for span in spans)
    wide = high > 10 * low
    x = scales.logarithmic(low / 1.1, high * 1.1, LEFT, RIGHT) if wide else scales.linear(0.0, high * 1.05, LEFT, RIGHT)
    marks = scales.log_ticks(low / 1.1, high * 1.1) if wide else scales.ticks(0.0, high * 1.05, 4)
    bottom = ROW * len(found) + 4
    parts = [scales.x_axis(x, marks, _seconds, 4.0, bottom)]
    for index, ((name, samples), span) in enumerate(zip(found, spans, strict=True)):
        y = ROW * index + 18
        words = f"{name}: " + ", ".join(map(show_seconds, span))
        parts += [
            svg.text(LEFT - 8, y + 4, cut(name, _NAME), "tick", "end"),
            svg.tag(
                "g",
                svg.tag("title", f"{words} (5%, 25%, 50%, 75% and 95% of the rounds)"),
                svg.whisker(x(span[0]), x(span[4]), y),
                svg.tag(
                    "rect", x=x(span[1]), y=y - 6, width=max(x(span[3]) - x(span[1]), 1.0), height=12.0, class_="bar"
                ),
                svg.line(x(span[2]), y - 7, x(span[2]), y + 7, "median"),
            ),
        ]
        parts += [
            svg.tag("circle", cx=x(median(process)), cy=y + 9, r=1.8, class_="process") for process in samples.cpu
        ]
    scale = ", logarithmic" if wide else ""
    parts.append(svg.text((LEFT + RIGHT) / 2, bottom + 30, f"one inference, CPU time{scale}", "tick", "middle"))
    label = "Latency of each file: whiskers from 5% to 95% of the rounds, boxes from 25% to 75%, a dot for each process"
    return svg.plot(label, bottom + 36, *parts)


def _seconds(value: float) -> str:
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:g} s"
