"""Put differences and their intervals into words."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ...gate.report.wording import WIDTH
from .statistics import Estimate


def points(value: Estimate, error: bool, unit: str = "%") -> str:
    """Show a level: `87.1% ±0.4`, or `31.2 dB ±0.1`."""
    half = max(value.high - value.mean, value.mean - value.low)
    return f"{value.mean:.3g} ±{half:.2g}" if error else f"{value.mean:.1f}{unit} ±{half:.1f}"


def change(value: Estimate, error: bool) -> str:
    """Show a difference: `+1.2 [+0.3 to +2.1]`."""
    form = "{:+.3g}" if error else "{:+.1f}"
    mean, low, high = (form.format(number).replace("-", "−") for number in (value.mean, value.low, value.high))
    return f"{mean} [{low} to {high}]"


def sentences(lines: Sequence[str], lead: str = "") -> list[str]:
    """Wrap each line under its first word."""
    return [
        line
        for text in lines
        for line in textwrap.wrap(text, WIDTH, initial_indent=lead, subsequent_indent="  " + lead)
    ]
