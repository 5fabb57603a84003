"""Map numbers to places of a plot, and draw its axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup

from .svg import line, text

Scale = Callable[[float], float]


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
