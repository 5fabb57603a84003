"""Name the next thing to try, from what the comparison measured."""

from __future__ import annotations

import math

from .results import HALF, Comparison
from .routes import OTHERS
from .statistics import Estimate

MOST = 64
"""Times as many labels to which a gain is extrapolated: six doublings beyond the one that was measured."""


def next_step(comparison: Comparison) -> list[str]:
    """Return a line on what to try next; none for several recipes, which have no routes."""
    if len(comparison.source) > 1:
        return []
    line = _labels(comparison) or _compute(comparison) or _teachers(comparison) or _members(comparison)
    return [f"Next: {line}."] if line else []


def _labels(comparison: Comparison) -> str:
    """Return how many labels the student alone would need, from what the second half of its labels brought.

    A score is taken as linear in the logarithm of the number of labels.
    """
    if not {HALF, "plain"} <= set(comparison.routes):
        return ""
    taught = [route for route in comparison.routes if route in ("distill", "both")]
    alone = "longer" if "longer" in comparison.routes else "plain"
    gains = {route: _gain(comparison, route, alone) for route in taught}
    doubling, labels = _gain(comparison, "plain", HALF), comparison.data["images"]["train"]
    if not doubling.shown or doubling.mean <= 0:
        return ""
    best = max(gains, key=lambda route: gains[route].mean, default="")
    if not best or not gains[best].shown or gains[best].mean <= 0:
        return f"more labels, since the second half of these {labels:,} brought {_points(doubling, comparison)}"
    times = 2 ** min(gains[best].mean / doubling.mean, 2 * math.log2(MOST))
    if times > MOST:
        return (
            f"keep distilling: labels alone would need over {MOST} times as many, since the second half of these "
            f"{labels:,} brought {_points(doubling, comparison)} and {best} {_points(gains[best], comparison)}"
        )
    return (
        f"count the labels: for as good a student labels alone would need about {times:.2g} times as many, "
        f"{_rounded(labels * times):,}, if every doubling brings what the last did, {_points(doubling, comparison)}"
    )


def _compute(comparison: Comparison) -> str:
    """Return that the student is to train longer, where that alone is what brought the gain."""
    if not {"longer", "plain"} <= set(comparison.routes):
        return ""
    longer = _gain(comparison, "longer", "plain")
    taught = [_gain(comparison, route, "longer") for route in ("distill", "both") if route in comparison.routes]
    if longer.shown and longer.mean > 0 and not any(gain.shown and gain.mean > 0 for gain in taught):
        return f"train the student longer on labels: that alone brought {_points(longer, comparison)}"
    return ""


def _teachers(comparison: Comparison) -> str:
    """Return that the teachers are no better than their student."""
    if not {"teacher", "plain"} <= set(comparison.routes):
        return ""
    ahead = _gain(comparison, "teacher", "plain")
    if ahead.shown and ahead.mean > 0:
        return ""
    return "a stronger teacher, of more data or a larger network: this one is not shown to be better than its student"


def _members(comparison: Comparison) -> str:
    """Return that the teachers are too alike to be worth fusing."""
    if not {"teacher", "fuse"} <= set(comparison.routes) or comparison.routes.get("both") in OTHERS:
        return ""
    fused = _gain(comparison, "fuse", "teacher")
    if fused.shown and fused.mean > 0:
        return ""
    return "teachers that differ more, by architecture, data or augmentation: fused they are not shown to beat one"


def _gain(comparison: Comparison, route: str, rival: str) -> Estimate:
    """Return how much better a route's float file is, whatever the sign of the metric."""
    from .text import against

    value = against(comparison, route, rival, "float")
    return Estimate(-value.mean, -value.high, -value.low) if comparison.error else value


def _points(value: Estimate, comparison: Comparison) -> str:
    from .wording import change

    return change(value, comparison.error) + comparison.drop_unit


def _rounded(count: float) -> int:
    """Round to two digits: an extrapolation knows no more."""
    return int(float(f"{count:.2g}"))
