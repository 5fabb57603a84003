"""Parse quantities with units: `40 ms`, `5 MB`, `30%`, `1.5 points`, `x2`.

A bare number is an error.

Inside the pipeline a duration is in seconds, a size in bytes, a share in 0…1 and points in percentage points.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from .errors import Mistake, near

TIME = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
SIZE = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
SHARE = {"%": 0.01}
POINTS = {"point": 1.0, "points": 1.0}
UNITS = {**TIME, **SIZE, **SHARE, **POINTS}

NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_WRITTEN = re.compile(rf"({NUMBER})(\s*)(%|[^\W\d_]*)")


def _parse(value: Any, units: dict[str, float], example: str) -> float:
    """Read a number with one of `units`, in the base unit."""
    written = _WRITTEN.fullmatch(value.strip()) if isinstance(value, str) else None
    if isinstance(value, (int, float)) or (written and not written[3]):
        raise Mistake("a number needs a unit here", _units(units, example))
    if written is None:
        raise Mistake("write a number and its unit", _units(units, example))
    number, space, unit = written.groups()
    if unit not in units:
        meant = _meant(unit, units)
        help = f"did you mean `{number}{space}{meant}`?" if meant else _units(units, example)
        raise Mistake(f"`{unit}` is not a unit that fits here", help)
    if not math.isfinite(float(number) * units[unit]):
        raise Mistake("this number is too large")
    return float(number) * units[unit]


def _meant(unit: str, units: Iterable[str]) -> str | None:
    """Guess the unit: `MB` for `mb`, `s` for `sec`, `points` for `pionts`."""
    longest = sorted(units, key=len, reverse=True)
    return next((known for known in longest if unit.lower().startswith(known.lower())), None) or near(unit, longest)


def _quantity(units: dict[str, float], example: str) -> Any:
    """Return an annotated float type, read from a number with one of `units`."""

    def parse(value: Any) -> float:
        return _parse(value, units, example)

    pattern = rf"^\s*{NUMBER}\s*({'|'.join(units)})\s*$"
    return Annotated[
        float, BeforeValidator(parse), WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})
    ]


def _units(units: dict[str, float], example: str) -> str:
    return f"for example `{example}`" + (f"; the units are {', '.join(units)}" if len(units) > 2 else "")


Seconds = _quantity(TIME, "40 ms")
Bytes = _quantity(SIZE, "5 MB")
Share = _quantity(SHARE, "30%")
Points = _quantity(POINTS, "1.5 points")
Drop = _quantity({**POINTS, "%": 1.0, "dB": 1.0}, "1.5 points")
"""What a metric may lose: points, decibels, or of an error the percent that it may grow by."""


def of_drop(written: Any, metric: str, *, error: bool, points: float) -> tuple[str, str] | None:
    """Return why a drop that is written so cannot be one of `metric`, and the next act: dB are of dB alone."""
    match = _WRITTEN.fullmatch(written.strip()) if isinstance(written, str) else None
    decibels = points == 1
    if match is None or not match[3] or (match[3] == "dB") == decibels:
        return None
    unit, right = ("in dB", "0.5 dB") if decibels else ("not in dB", "5%" if error else "1.5 points")
    return f"`{metric}` is {unit}, and its drop is written in `{match[3]}`", f"for example `{right}`"


def show_score(value: float, *, error: bool, points: float = 100.0) -> str:
    """Format a share in percent, an error as it is, and what has a point a unit in decibels."""
    return f"{value:.3g}" if error else f"{value:.1%}" if points > 1 else f"{value:.2f} dB"


def like(value: float, written: str) -> str:
    """Write `value` in the unit of another quantity: `like(0.5, "30%")` is `50%`, `like(0.04, "1 ms")` is `40 ms`."""
    match = _WRITTEN.fullmatch(written.strip())
    if match is None or match[3] not in UNITS:
        return f"{value:g}"
    return f"{value / UNITS[match[3]]:g}{match[2]}{match[3]}"


NEAR_ZERO = 0.01
"""Share of the error of always answering the mean of the labels below which percent of an error say nothing."""

REFERENCE = r"(?:timm|torchvision)/[A-Za-z0-9_.]+@[0-9]+"
"""A published network and the side of its square input in pixels: `timm/mobilenetv2_100@224`."""
_RELATIVE = re.compile(rf"({NUMBER})x\s+({REFERENCE})")
_FACTOR = re.compile(rf"x({NUMBER})")


@dataclass(frozen=True)
class Relative:
    """A share of the latency of a pinned reference model, both measured in the same processes."""

    ratio: float
    model: str


def _latency(value: Any) -> float | Relative:
    if isinstance(value, str) and "x " in value:
        if match := _RELATIVE.fullmatch(value.strip()):
            return Relative(float(match[1]), match[2])
        raise Mistake("write a share of a reference model's latency", "for example `0.5x timm/mobilenetv2_100@224`")
    return _parse(value, TIME, "40 ms")


_ODDS = re.compile(rf"({NUMBER}):1")


def _odds(value: Any) -> float:
    match = _ODDS.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or float(match[1]) < 1:
        raise Mistake("write how many times more the most frequent class has", "for example `50:1`")
    return float(match[1])


def _factor(value: Any) -> float:
    match = _FACTOR.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or float(match[1]) < 1:
        raise Mistake("write a factor of at least one", "for example `x2`")
    return float(match[1])


def _text(*examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": list(examples)})


Latency = Annotated[float | Relative, BeforeValidator(_latency), _text("40 ms", "0.5x timm/mobilenetv2_100@224")]
Odds = Annotated[float, BeforeValidator(_odds), _text("50:1")]
Factor = Annotated[float, BeforeValidator(_factor), _text("x2")]


def show_seconds(value: float) -> str:
    """Format `0.00021` as `0.210 ms`: three significant digits, in the unit that reads best."""
    if value >= 1:
        return f"{value:.3g} s"
    return f"{value * 1e3:.3f} ms" if value < 1e-3 else f"{value * 1e3:.3g} ms"


def show_bytes(value: float) -> str:
    """Format `612345` as `0.61 MB`, in decimal units as in budgets."""
    if value < SIZE["MB"] / 10:
        return f"{value / 1e3:.1f} kB" if value >= 1e3 else f"{value:.0f} B"
    unit = "GB" if value >= SIZE["GB"] else "MB"
    number = value / SIZE[unit]
    return f"{number:.2f} {unit}" if number < 10 else f"{number:.1f} {unit}" if number < 100 else f"{number:.0f} {unit}"


def show_count(value: float) -> str:
    """Format `687000` as `687 k`, for parameters and multiply-accumulates."""
    for name, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.0f}"
