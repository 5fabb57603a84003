"""Draw the front: score over latency, with the size as an area."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

from markupsafe import Markup

from ....benchmark import statistics
from ....core.results import Report
from ....core.units import show_bytes, show_score, show_seconds
from ...judge import host_file
from .. import change
from . import scales, svg

LEFT, RIGHT, TOP, BOTTOM = 52.0, 388.0, 14.0, 236.0
SMALLEST, LARGEST = 7.0, 22.0
"""Radii of the smallest and the largest file; areas are in proportion to bytes."""
FAR, LEAST = 2.0, 0.05
"""Ranges of the front, of at least that share of its scores, beyond which a mark lies at the edge of the plot."""
APART = (14.0, 12.0)
"""Width and height of a number."""


@dataclass(frozen=True)
class Point:
    """A file that was timed and scored; `best` where no other is as good in score, latency and size, and better in one.

    `score` is drawn upwards where more is better.
    """

    name: str
    kind: str
    score: float
    seconds: float
    bytes: int
    shown: tuple[str, str, str]
    best: bool = True


def points(report: Report) -> list[Point]:
    """Return the stages' files for this machine that have a score, and times here on one thread."""
    found = []
    for stage in report.stages:
        file = host_file(stage, report.machine)
        samples = change.timed(report.samples, file)
        score = file.scores.get("test", {}).get(report.metric) if file else None
        if file is None or samples is None or score is None or not math.isfinite(score):
            continue
        seconds = math.exp(median(statistics.log_percentiles(samples, 50)))  # as in the table of stages
        score_words = show_score(score, error=report.error, points=report.points)
        shown = (score_words, show_seconds(seconds), show_bytes(file.bytes))
        found.append(Point(stage.name, stage.kind, score, seconds, file.bytes, shown))
    return front(found, error=report.error)


def front(found: Sequence[Point], *, error: bool) -> list[Point]:
    """Return the points with `best` set."""

    def worths(point: Point) -> tuple[float, float, float]:
        return (-point.score if error else point.score, -point.seconds, -point.bytes)

    def beaten(point: Point) -> bool:
        mine = worths(point)
        others = (worths(other) for other in found)
        return any(other != mine and all(a >= b for a, b in zip(other, mine, strict=True)) for other in others)

    return [replace(point, best=not beaten(point)) for point in found]


def _line(found: Sequence[Point], *, error: bool) -> list[Point]:
    """Return the points that no other beats in both score and latency, by latency."""
    kept: list[Point] = []
    for point in sorted(found, key=lambda point: (point.seconds, point.score if error else -point.score)):
        if not kept or (point.score < kept[-1].score if error else point.score > kept[-1].score):
            kept.append(point)
    return kept


def drawn(found: Sequence[Point], metric: str, *, error: bool, points: float) -> Markup:
    """Draw the points by their number in the list, smaller files above larger ones; nothing for less than two."""
    if len(found) < 2:
        return Markup("")
    near = _near([point.score for point in found if point.best], [point.score for point in found])
    low, high = scales.padded(near, 0.15)
    first, last = min(point.seconds for point in found), max(point.seconds for point in found)
    first, last = first * (first / last) ** 0.12 / 1.05, last * (last / first) ** 0.12 * 1.05
    x, y = scales.logarithmic(first, last, LEFT, RIGHT), scales.linear(low, high, BOTTOM, TOP)
    largest = max(point.bytes for point in found)
    parts = [
        scales.x_axis(x, scales.log_ticks(first, last), _seconds, TOP, BOTTOM),
        scales.y_axis(y, scales.ticks(low, high), partial(show_score, error=error, points=points), LEFT, RIGHT),
        svg.text((LEFT + RIGHT) / 2, BOTTOM + 30, "latency, logarithmic", "tick", "middle"),
    ]
    parts.append(svg.path([(x(point.seconds), y(point.score)) for point in _line(found, error=error)], "front"))
    radii = [max(SMALLEST, LARGEST * math.sqrt(point.bytes / largest)) for point in found]
    downs = [
        min(max(y(point.score), TOP + radius), BOTTOM - radius) if not low <= point.score <= high else y(point.score)
        for point, radius in zip(found, radii, strict=True)
    ]
    centres = [(x(point.seconds), down) for point, down in zip(found, downs, strict=True)]
    for number, point in sorted(enumerate(found, 1), key=lambda item: -item[1].bytes):
        radius, (across, down) = radii[number - 1], centres[number - 1]
        words = f"{number} {point.name}: {', '.join(point.shown)}"
        dot = svg.tag("circle", cx=across, cy=down, r=radius, class_=f"dot {'best' if point.best else 'beaten'}")
        parts.append(svg.tag("g", svg.tag("title", words), dot))
    for number, (place, point) in enumerate(zip(_labels(centres), found, strict=True), 1):
        beyond = "▾" if point.score < low else "▴" if point.score > high else ""
        parts.append(svg.text(*place, f"{number}{beyond}", "number", "middle"))
    better = "lower" if error else "higher"
    return svg.plot(f"{metric} over latency of {len(found)} files; {better} and further left is better", 270.0, *parts)


def _near(best: Sequence[float], every: Sequence[float]) -> list[float]:
    """Return the scores that the axis spans: all but those far from the front, which would press it together."""
    low, high = min(best), max(best)
    reach = FAR * max(high - low, LEAST * max(abs(low), abs(high)))
    return [score for score in every if low - reach <= score <= high + reach]


def _labels(centres: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return a place for the number of each mark: on it, or above those of marks that lie there."""
    placed: list[tuple[float, float]] = []
    for across, down in centres:
        place = (across, down + 4)
        while any(abs(place[0] - other[0]) < APART[0] and abs(place[1] - other[1]) < APART[1] for other in placed):
            place = (across, place[1] - APART[1])
        placed.append(place)
    return placed


def _seconds(value: float) -> str:
    return f"{value * 1e3:g} ms" if value < 1 else f"{value:g} s"
