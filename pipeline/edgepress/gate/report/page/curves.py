"""Draw the training curves: loss and validation metric by epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ....core.results import Report
from ....core.units import show_score
from . import scales, svg

LEFT, RIGHT, TOP, BOTTOM = 52.0, 384.0, 12.0, 116.0


@dataclass(frozen=True)
class Training:
    """One training of a stage: its plots, and its last numbers in words."""

    stage: str
    words: str
    plots: list[Markup]


def trainings(report: Report) -> list[Training]:
    """Return every training whose curves the report has, in order."""

    def score(value: float) -> str:
        return show_score(value, error=report.error, points=report.points)

    found = []
    for stage in report.stages:
        for curve in stage.curves:
            name = " ".join(filter(None, [stage.name, curve.name]))
            epochs = f"{len(curve.loss)} epoch{'s' * (len(curve.loss) != 1)}"
            words = f"{epochs}, loss {curve.loss[-1]:.3f}" if curve.loss else epochs
            plots = [_plot(f"Loss of {name} by epoch", curve.loss, "loss", "{:.3g}".format)]
            if curve.metric:
                words += f", {report.metric} {score(curve.metric[-1])} on {curve.examples} validation examples"
                plots.append(_plot(f"{report.metric} of {name} by epoch", curve.metric, report.metric, score))
            found.append(Training(name, words, [plot for plot in plots if plot]))
    return found


def without(report: Report) -> list[str]:
    """Return the stages that trained and have no curves: the cache had them before curves were recorded."""
    from ....stages import TABLE
    from ....training.schedule import Schedule

    def trains(use: str) -> bool:
        if (kind := TABLE.get(use)) is None:
            return False
        options = [field.annotation for field in kind.model_fields.values()]
        return any(isinstance(option, type) and issubclass(option, Schedule) for option in (kind, *options))

    return [stage.name for stage in report.stages if not stage.curves and trains(stage.use)]


def _plot(label: str, values: Sequence[float], title: str, show: Callable[[float], str]) -> Markup:
    """Draw a line through the values of all epochs; those that are no numbers leave a gap."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:  # a number, which the words have
        return Markup("")
    low, high = scales.padded(finite, 0.1)
    x, y = scales.linear(1.0, float(len(values)), LEFT, RIGHT), scales.linear(low, high, BOTTOM, TOP)
    epochs = sorted({round(value) for value in scales.ticks(1.0, float(len(values)), 6)} | {1})
    points = [(x(float(epoch)), y(value)) for epoch, value in enumerate(values, 1) if math.isfinite(value)]
    parts = [
        scales.x_axis(x, [float(epoch) for epoch in epochs], "{:.0f}".format, TOP, BOTTOM),
        scales.y_axis(y, scales.ticks(low, high, 4), show, LEFT, RIGHT),
        svg.path(points, "curve"),
    ]
    parts += [svg.tag("circle", cx=px, cy=py, r=2.2, class_="process") for px, py in points if len(points) <= 60]
    parts.append(svg.text((LEFT + RIGHT) / 2, BOTTOM + 30, f"{title} by epoch", "tick", "middle"))
    return svg.plot(f"{label}: from {show(finite[0])} to {show(finite[-1])}", BOTTOM + 36, *parts)
