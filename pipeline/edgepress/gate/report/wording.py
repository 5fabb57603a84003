"""Show numbers and wrap text for a report of at most 110 columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable

from ...core.units import show_bytes, show_seconds
from ..judge import Unit

WIDTH = 110
SHOW: dict[Unit, Callable[[float], str]] = {
    "bytes": show_bytes,
    "seconds": show_seconds,
    "ratio": "{:.3f}x".format,
    "share": "{:.1%}".format,
    "points": "{:.2f} points".format,
    "decibels": "{:.2f} dB".format,
    "percent": "{:.1f}%".format,
    "metric": "{:.3g}".format,
    "number": "{:.0f}".format,
}
_NUMBER = re.compile(r"−?(?:[\d.]+(?:e[+−]\d+)?|inf|nan)")
"""A number at the start of what `SHOW` gives; its unit is what follows."""


def wrapped(lead: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=lead, subsequent_indent=" " * min(len(lead), 8)) or [lead.rstrip()]


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def minus(number: str) -> str:
    return number.replace("-", "−")


def interval_text(interval: tuple[float, float], unit: Unit) -> str:
    """Return `[45.2–47.0]`, without a unit where both ends share that of the value beside them."""
    ends = [minus(SHOW[unit](bound)) for bound in interval]
    units = {_NUMBER.sub("", end, count=1) for end in ends}
    if len(units) == 1:
        ends = [end.removesuffix(*units) for end in ends]
    return f"[{(' to ' if interval[0] < 0 else '–').join(ends)}]"
