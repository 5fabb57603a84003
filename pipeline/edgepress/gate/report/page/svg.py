"""Write inline SVG: elements whose texts are escaped, scales, and axes.

Colours are classes of the page's style, so that a plot follows light, dark and print. No plot tells anything by colour
alone, and what it shows stands in a table or a sentence beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

WIDTH = 400.0
"""Units of a plot, which is as wide as a phone shows it: text of 11 units is then about 11 pixels high."""
Scale = Callable[[float], float]


def tag(name: str, *content: str, **attributes: Any) -> Markup:
    """Return an element; `class_` and `stroke_width` stand for `class` and `stroke-width`."""
    words = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _plain(value)) for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), words, Markup("").join(content))


def plot(label: str, height: float, *content: str, width: float = WIDTH, class_: str = "plot") -> Markup:
    """Return a drawing that a screen reader reads as `label`."""
    box = f"0 0 {_plain(width)} {_plain(height)}"
    return tag("svg", *content, class_=class_, viewBox=box, role="img", aria_label=label)


def text(x: float, y: float, words: str, class_: str = "", anchor: str = "start") -> Markup:
    return tag("text", words, x=x, y=y, class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """Return a line through points, which is not filled."""
    steps = " L".join(f"{_plain(x)} {_plain(y)}" for x, y in points)
    return tag("path", d=f"M{steps}", class_=class_, fill="none")


def whisker(low: float, high: float, y: float, class_: str = "whisker") -> Markup:
    """Return a horizontal interval with its two ends."""
    steps = (
        f"M{_plain(low)} {_plain(y)}H{_plain(high)}M{_plain(low)} {_plain(y - 4)}v8M{_plain(high)} {_plain(y - 4)}v8"
    )
    return tag("path", d=steps, class_=class_, fill="none")


def linear(low: float, high: float, start: float, end: float) -> Scale:
    """Map `low` to `start` and `high` to `end`; a single value lies in the middle."""
    if not high > low:
        return lambda value: (start + end) / 2
    return lambda value: start + (value - low) / (high - low) * (end - start)


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """Map positive values as `linear` does their logarithms."""
    scale = linear(math.log(low), math.log(high), start, end)
    return lambda value: scale(math.log(value))


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten in [low, high], at most about `most`."""
    if not high > low:
        return [low]
    if not math.isfinite(high - low):
        return []
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten in [low, high]; the multiples of `ticks` where those are too few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [factor * 10.0**power for power in powers for factor in (1, 2, 5) if low <= factor * 10.0**power <= high]
    return found if len(found) > 2 else [value for value in ticks(low, high, 4) if value > 0]


def padded(values: Sequence[float], share: float = 0.08) -> tuple[float, float]:
    """Return the range of `values` with so much of it added at both ends."""
    low, high = min(values), max(values)
    more = (high - low) * share or abs(high) * share or 1.0
    return low - more, high + more


def x_axis(scale: Scale, values: Sequence[float], show: Callable[[float], str], top: float, bottom: float) -> Markup:
    """Return vertical grid lines with their values below them."""
    marks = [
        part
        for value in values
        for part in (
            line(scale(value), top, scale(value), bottom, "grid"),
            text(scale(value), bottom + 14, show(value), "tick", "middle"),
        )
    ]
    return Markup("").join(marks)


def y_axis(scale: Scale, values: Sequence[float], show: Callable[[float], str], left: float, right: float) -> Markup:
    """Return horizontal grid lines with their values at the left."""
    marks = [
        part
        for value in values
        for part in (
            line(left, scale(value), right, scale(value), "grid"),
            text(left - 5, scale(value) + 4, show(value), "tick", "end"),
        )
    ]
    return Markup("").join(marks)


def _plain(value: Any) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
