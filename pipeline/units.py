"""Quantities as people write them: `40 ms`, `5 MB`, `30%`, `1.5 points`. A bare number is an error.

Inside the pipeline a duration is in seconds, a size in bytes, a share in 0…1 and points in percentage points.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

TIME = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
SIZE = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
SHARE = {"%": 0.01}
POINTS = {"point": 1.0, "points": 1.0}


def _quantity(units: dict[str, float], example: str) -> Any:
    """An annotated float, read from a number with one of `units`."""
    pattern = rf"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*({'|'.join(sorted(units, key=len, reverse=True))})\s*"
    compiled = re.compile(pattern)

    def parse(value: Any) -> float:
        match = compiled.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f"write a number and a unit ({', '.join(units)}), for example `{example}`")
        return float(match[1]) * units[match[2]]

    schema = {"type": "string", "pattern": f"^{pattern}$", "examples": [example]}
    return Annotated[float, BeforeValidator(parse), WithJsonSchema(schema)]


Seconds = _quantity(TIME, "40 ms")
Bytes = _quantity(SIZE, "5 MB")
Share = _quantity(SHARE, "30%")
Points = _quantity(POINTS, "1.5 points")


def show_seconds(value: float) -> str:
    """`0.00021` → `0.210 ms`; three significant digits, in the unit that reads best."""
    if value >= 1:
        return f"{value:.3g} s"
    return f"{value * 1e3:.3f} ms" if value < 1e-3 else f"{value * 1e3:.3g} ms"


def show_bytes(value: float) -> str:
    """`612345` → `0.61 MB`, decimal units as in budgets."""
    for unit in ("GB", "MB"):
        if value >= SIZE[unit] / 10:
            return f"{value / SIZE[unit]:.2f} {unit}"
    return f"{value / 1e3:.1f} kB" if value >= 1e3 else f"{value:.0f} B"


def show_count(value: float) -> str:
    """`687000` → `687 k`, for parameters and multiply-accumulates."""
    for name, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.0f}"
