"""Draw the pairs behind each ratio of latencies: two files that were timed in the same processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ....benchmark import statistics
from ....core.results import Report, Samples
from ....core.stored_samples import paired
from ...judge import Finding, host_file
from .. import change
from ..wording import SHOW, cut, interval_text
from . import scales, svg
from .latency import rows

LEFT, RIGHT, ROW = 158.0, 388.0, 24.0


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


def pairs(report: Report, findings: Sequence[Finding]) -> list[Pair]:
    """Return ratios of files timed in the same processes: each over the starting model, and over the accepted one."""
    start = next((stage for stage in report.stages if stage.name == report.reference), None)
    first = change.timed(report.samples, host_file(start, report.machine)) if start else None
    found = []
    for name, samples in rows(report):
        if first and start and name != start.name and samples.runtime == first.runtime and paired(samples, first):
            found.append(_pair(f"{name} over {start.name}", samples, first))
    for finding in findings:
        accepted = report.accepted.get(finding.target)
        if accepted is None or finding.check != "latency vs accepted":
            continue
        theirs = [sample for sample in report.samples if sample.path == accepted.path and sample.cpu]
        mine = [sample for sample in report.samples if sample.path == finding.file and sample.cpu]
        both = next(((own, other) for other in theirs for own in mine if _alike(own, other)), None)
        if both:
            found.append(_pair(f"{finding.target}: now over accepted", *both))
    return found


def _alike(mine: Samples, theirs: Samples) -> bool:
    """Return whether two files were timed in the same processes, in the same runtime and on the same device."""
    how = [(each.runtime, each.threads, each.provider, each.device) for each in (mine, theirs)]
    return how[0] == how[1] and paired(mine, theirs)


def _pair(words: str, mine: Samples, theirs: Samples) -> Pair:
    logs = statistics.log_ratios(mine, theirs)
    return Pair(words, [math.exp(log) for log in logs], *statistics.spread(logs))


def ratios(found: list[Pair]) -> Markup:
    """Draw each pair: a dot for each process, the interval as a whisker, and a line where both take the same time."""
    if not found:
        return Markup("")
    ends = [end for pair in found for end in (*pair.ratios, *(pair.interval or ())) if 0 < end < math.inf]
    low, high = min(*ends, 1.0) / 1.15, max(*ends, 1.0) * 1.15
    x = scales.logarithmic(low, high, LEFT, RIGHT)
    bottom = ROW * len(found) + 4
    parts = [scales.x_axis(x, scales.log_ticks(low, high), lambda value: f"{value:g}x", 4.0, bottom)]
    parts.append(svg.line(x(1.0), 4.0, x(1.0), bottom, "limit"))
    for index, pair in enumerate(found):
        y = ROW * index + 16
        parts.append(svg.text(LEFT - 8, y + 4, cut(pair.words, 25), "tick", "end"))
        if pair.interval and pair.interval[0] > 0 and pair.interval[1] < math.inf:
            parts.append(svg.whisker(x(pair.interval[0]), x(pair.interval[1]), y))
        parts += [svg.tag("circle", cx=x(ratio), cy=y, r=2.8, class_="process") for ratio in pair.ratios]
    parts.append(svg.text((LEFT + RIGHT) / 2, bottom + 30, "ratio of times, logarithmic", "tick", "middle"))
    return svg.plot("Ratio of the times of two files in each process; the line is equal time", bottom + 36, *parts)
