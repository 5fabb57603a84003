"""Describe the limit of `keep` and the score of each file.

A row is that of one criterion: `by` (a metric, or likeness), `of` (the `stage`'s option or the `recipe`'s), `float`
(the float model's value), `least`, `higher`, `found` by preset, and `missed`, the presets that did not reach it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .metrics import points_of
from .units import NEAR_ZERO, show_score

if TYPE_CHECKING:
    import numpy as np

    from .metric import Metric

Row = Mapping[str, Any]
NO_FLOATS = "integer-only"
"""The preset in which no operator goes back to float."""
_HALF_STEP = 1 / 510
"""Of a regression's labels from the lowest to the highest: no 8 bits answer nearer than that."""


def grown(metric: Metric, error: float, percent: float, y: np.ndarray) -> float:
    """Return `error` grown by `percent` of itself, or of what is near zero for these labels where it is less."""
    from .metric import of_constant

    return error + percent / 100 * max(error, NEAR_ZERO * (of_constant(metric, y) or 0.0))


def limit(metric: Metric, own: float, keep: float, y: np.ndarray) -> float:
    """Return the limit that a stage's `keep` sets for the metric, of which the float model has `own`."""
    if metric.higher:
        return own - keep / metric.points
    numbers = y.dtype.kind == "f" and y.ndim == 2 and y.size  # boxes and points have no spread that an error is of
    spread = float(y.max() - y.min()) if numbers else 1.0 if metric.name == "mae" else 0.0
    finest = _HALF_STEP * spread
    return max(grown(metric, own, keep, y), finest)


def row(by: str, of: str, own: float, least: float, scores: Mapping[str, float], *, higher: bool) -> dict[str, Any]:
    """Return the row of a criterion whose scores are on all of validation: nothing was held out for it."""
    missed = [name for name, value in scores.items() if not (value >= least if higher else value <= least)]
    criterion = {
        "by": by,
        "of": of,
        "higher": higher,
        "float": own,
        "least": least,
        "found": dict(scores),
        "missed": missed,
    }
    return criterion | {"on": "validation"}


def written(notes: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """Return a stage's notes with the rows of a `keep` that the recipe itself writes, so that it is judged."""
    return {**notes, "keep": rows, "keep_asked": True}


def judged(notes: Mapping[str, Any]) -> list[Row]:
    """Return the rows that the gate judges: those of a `keep` that the recipe writes at the stage."""
    rows = notes.get("keep", ()) if notes.get("keep_asked") else ()
    return [criterion for criterion in rows if criterion["of"] == "stage"]


def unmet(rows: Sequence[Row], explain: Callable[[Sequence[str]], str]) -> list[str]:
    """Return a warning for each criterion that was not reached; `explain` adds why the presets missed it."""
    return [
        f"{'`keep`' if criterion['of'] == 'stage' else 'the `keep` of the recipe'} is not reached by "
        f"{', '.join(criterion['missed'])}: {'. '.join(filter(None, [shown(criterion), explain(criterion['missed'])]))}"
        for criterion in rows
        if criterion["missed"]
    ]


def shown(criterion: Row) -> str:
    """Describe a criterion: `accuracy on held-out examples: float 93.3%, xnnpack 92.9%; at least 92.3% required`."""

    def number(value: float) -> str:
        return show_score(value, error=not criterion["higher"], points=points_of(criterion["by"]))

    values = ", ".join(
        f"{name} {number(value)}" for name, value in {"float": criterion["float"], **criterion["found"]}.items()
    )
    end = "least" if criterion["higher"] else "most"
    required = " by the recipe's `keep`" if criterion["of"] == "recipe" else ""
    count = criterion.get("examples")
    on = criterion.get("on") or (f"{count} held-out examples" if count else "held-out examples")
    return f"{criterion['by']} on {on}: {values}; at {end} {number(criterion['least'])} required{required}"
