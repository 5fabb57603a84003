"""Describe the limit of `keep` and the score of each file.

A row is that of one criterion: `by` (a metric, or likeness), `of` (the `stage`'s option or the `recipe`'s), `float`
(the float model's value), `least`, `higher`, `found` by preset, and `missed`, the presets that did not reach it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .units import NEAR_ZERO, show_score

if TYPE_CHECKING:
    import numpy as np

    from .metrics import Metric

Row = Mapping[str, Any]
NO_FLOATS = "integer-only"
"""The preset in which no operator goes back to float."""
_HALF_STEP = 1 / 510
"""Of a regression's labels from the lowest to the highest: no 8 bits answer nearer than that."""
_NAMED = 3
"""Operators that are named as what costs most."""


def grown(metric: Metric, error: float, percent: float, y: np.ndarray) -> float:
    """An error that grew by `percent` of itself, or of what is near zero for these labels where it is less."""
    from .metrics import of_constant

    return error + percent / 100 * max(error, NEAR_ZERO * (of_constant(metric, y) or 0.0))


def limit(metric: Metric, own: float, keep: float, y: np.ndarray) -> float:
    """What a stage's `keep` asks of the metric, of which the float model has `own`."""
    if metric.higher:
        return own - keep / 100
    finest = _HALF_STEP * float(y.max() - y.min()) if y.dtype.kind == "f" and y.size else 0.0
    return max(grown(metric, own, keep, y), finest)


def row(by: str, of: str, own: float, least: float, found: Mapping[str, float], *, higher: bool) -> dict[str, Any]:
    """Of scores on all of validation, where nothing was held out for it."""
    missed = [name for name, value in found.items() if not (value >= least if higher else value <= least)]
    told = {"by": by, "of": of, "higher": higher, "float": own, "least": least, "found": dict(found), "missed": missed}
    return told | {"on": "validation"}


def unmet(rows: Sequence[Row], notes: Mapping[str, Any]) -> list[str]:
    """A warning for each criterion that was not reached, with what costs most."""
    return [
        f"{'`keep`' if each['of'] == 'stage' else 'the `keep` of the recipe'} is not reached by "
        f"{', '.join(each['missed'])}: {shown(each)}{_costs(each, notes)}"
        for each in rows
        if each["missed"]
    ]


def shown(each: Row) -> str:
    """Describe a criterion: `accuracy on held-out examples: float 93.3%, xnnpack 92.9%; at least 92.3% required`."""

    def number(value: float) -> str:
        return show_score(value, error=not each["higher"])

    values = ", ".join(f"{name} {number(value)}" for name, value in {"float": each["float"], **each["found"]}.items())
    end = "least" if each["higher"] else "most"
    required = " by the recipe's `keep`" if each["of"] == "recipe" else ""
    count = each.get("examples")
    on = each.get("on") or (f"{count} held-out examples" if count else "held-out examples")
    return f"{each['by']} on {on}: {values}; at {end} {number(each['least'])} required{required}"


def _costs(each: Row, notes: Mapping[str, Any]) -> str:
    rows = [*notes.get("restored", ()), *notes.get("restored_more", {}).get(each["missed"][0], ())]
    worst = sorted((found for found in rows if (found["decibels"] or 0) > 0), key=lambda found: -found["decibels"])
    if not worst:
        return ""
    named = ", ".join(f"{found['node']} ({found['operator']}, {found['decibels']:.1f} dB)" for found in worst[:_NAMED])
    now = "no operator may return to float there" if each["missed"] == [NO_FLOATS] else "they compute in float already"
    return f". Highest sensitivity as integers: {named}; {now}"
