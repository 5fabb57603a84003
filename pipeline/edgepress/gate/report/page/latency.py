"""Draw the distributions of latency, and the pairs behind each ratio."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain
from statistics import median

from markupsafe import Markup

from ....benchmark import statistics
from ....core.results import Report, Samples
from ....core.stored import paired
from ....core.units import show_seconds
from ...judge import host_file
from .. import change
from ..wording import SHOW, cut, interval_text
from . import svg

LEFT, RIGHT, ROW = 118.0, 388.0, 24.0
_NAME = 17
"""Characters of a name that fit beside the plot."""


@dataclass(frozen=True)
class Pair:
    """Two files that were timed side by side: the ratio of each process, and of all."""

    words: str
    ratios: list[float]
    value: float
    interval: tuple[float, float] | None

    @property
    def shown(self) -> str:
        interval = f" {interval_text(self.interval, 'ratio')}" if self.interval else ""
        return f"{SHOW['ratio'](self.value)}{interval}"


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
    x = svg.logarithmic(low / 1.1, high * 1.1, LEFT, RIGHT) if wide else svg.linear(0.0, high * 1.05, LEFT, RIGHT)
    marks = svg.log_ticks(low / 1.1, high * 1.1) if wide else svg.ticks(0.0, high * 1.05, 4)
    bottom = ROW * len(found) + 4
    parts = [svg.x_axis(x, marks, _seconds, 4.0, bottom)]
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


def pairs(report: Report) -> list[Pair]:
    """Return ratios of files timed in the same processes: each over the starting model, and over the accepted one."""
    start = next((stage for stage in report.stages if stage.name == report.reference), None)
    first = change.timed(report.samples, host_file(start, report.machine)) if start else None
    found = []
    for name, samples in rows(report):
        if first and start and name != start.name and samples.runtime == first.runtime and paired(samples, first):
            found.append(_pair(f"{name} over {start.name}", samples, first))
    for target, file in report.accepted.items():
        theirs = next((sample for sample in report.samples if sample.path == file.path and sample.cpu), None)
        if theirs is None:
            continue
        same = (theirs.runtime, theirs.threads, theirs.provider, theirs.device)
        for sample in report.samples:
            mine = (sample.runtime, sample.threads, sample.provider, sample.device)
            if sample is not theirs and mine == same and paired(sample, theirs) and "@" not in sample.path:
                found.append(_pair(f"{target}: now over accepted", sample, theirs))
                break
    return found


def _pair(words: str, mine: Samples, theirs: Samples) -> Pair:
    logs = statistics.log_ratios(mine, theirs)
    return Pair(words, [math.exp(log) for log in logs], *statistics.spread(logs))


def ratios(found: list[Pair]) -> Markup:
    """Draw each pair: a dot for each process, the interval as a whisker, and a line where both take the same time."""
    if not found:
        return Markup("")
    ends = [end for pair in found for end in (*pair.ratios, *(pair.interval or ())) if 0 < end < math.inf]
    low, high = min(*ends, 1.0) / 1.15, max(*ends, 1.0) * 1.15
    x = svg.logarithmic(low, high, LEFT + 40, RIGHT)
    bottom = ROW * len(found) + 4
    parts = [svg.x_axis(x, svg.log_ticks(low, high), lambda value: f"{value:g}x", 4.0, bottom)]
    parts.append(svg.line(x(1.0), 4.0, x(1.0), bottom, "limit"))
    for index, pair in enumerate(found):
        y = ROW * index + 16
        parts.append(svg.text(LEFT + 32, y + 4, cut(pair.words, _NAME + 8), "tick", "end"))
        if pair.interval and pair.interval[0] > 0 and pair.interval[1] < math.inf:
            parts.append(svg.whisker(x(pair.interval[0]), x(pair.interval[1]), y))
        parts += [svg.tag("circle", cx=x(ratio), cy=y, r=2.8, class_="process") for ratio in pair.ratios]
    parts.append(svg.text((LEFT + 40 + RIGHT) / 2, bottom + 30, "ratio of times, logarithmic", "tick", "middle"))
    return svg.plot("Ratio of the times of two files in each process; the line is equal time", bottom + 36, *parts)


def _seconds(value: float) -> str:
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:g} s"
