"""Decide by intervals whether a score, or its drop, is within its limit.

Of shares they are exact or of Wilson, of any other metric of the bootstrap; groups of examples widen them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..benchmark.statistics import Status, Verdict
from ..core import intervals

if TYPE_CHECKING:
    import numpy as np

_TINY = 1e-12


def accuracy(correct: str, limit: float, groups: Sequence[int] = ()) -> Verdict:
    """Judge the share of right images (`1` in `correct`), at least `limit`, by Wilson's 95% interval.

    With `groups`, one for each image, by a bootstrap over these, where it is wider; one group decides nothing.
    """
    right, count = correct.count("1"), len(correct)
    share = right / count
    low, high = map(float, intervals.wilson(right, count))
    if groups:
        count = len(set(groups))
        if count < 2:
            return Verdict("undecided", share, None)
        wide = intervals.of_draws(share, intervals.means_of_groups(_marks(correct), groups), count)
        low, high = max(min(low, wide[0]), 0.0), min(max(high, wide[1]), 1.0)
        if share in (0.0, 1.0):  # no group differs from another: so many groups bound it, not so many images
            unseen = intervals.never_seen(count)
            low, high = (min(low, 1 - unseen), high) if share else (low, max(high, unseen))
    status: Status = "ok" if low >= limit else "FAIL" if high < limit else "undecided"
    return Verdict(status, share, (low, high))


def metric_drop(
    reference: Sequence[float],
    candidate: Sequence[float],
    values: tuple[float, float],
    limit: float,
    *,
    higher: bool,
    units: int = 0,
    examples: int = 0,
    near: float = 0.0,
    points: float = 100.0,
) -> Verdict:
    """Judge how far a metric falls behind the reference's: points, or percent that an error grows by.

    `values` are the metric of reference and candidate on all test examples, the sequences its values on the same
    bootstrap draws of them; the interval is of the paired differences, over so many `units` (examples, or groups).
    Of a slow metric there are fewer draws, the first of the same ones: those that both have are paired, and too few of
    them decide nothing.
    Of a share it is no narrower than the rule of three, 3 of so many `examples`, for models that no draw tells apart.
    `points` is what a difference of 1 is in them: 100 of a share, 1 of decibels, which no number of examples bounds.
    An error below `near` has no percent: growth, and `limit`, are then in the metric's own unit.
    """
    import numpy as np

    many = min(len(reference), len(candidate))
    own = not higher and is_near_zero(values[0], near)

    def drops(before: Any, after: Any) -> Any:
        if higher:
            return points * (before - after)
        return after - before if own else 100 * (after - before) / np.maximum(before, max(near, _TINY))

    value, drawn = float(drops(*values)), drops(np.asarray(reference[:many]), np.asarray(candidate[:many]))
    if units == 1 or many < intervals.FEWEST:
        return Verdict("undecided", value, None)
    low, high = intervals.of_draws(value, drawn, units) if units else intervals.percentiles(value, drawn)
    if higher and examples and points > 1:
        half = 100 * intervals.never_seen(examples, 0.05)
        low, high = min(low, value - half), max(high, value + half)
    status: Status = "ok" if high <= limit else "FAIL" if low > limit else "undecided"
    return Verdict(status, value, (float(low), float(high)))


def is_near_zero(error: float, near: float) -> bool:
    """Return whether percent of `error` mean nothing: it is below `near`, or below rounding."""
    return error < max(near, _TINY)


def accuracy_drop(reference: str, candidate: str, limit: float, groups: Sequence[int] = ()) -> Verdict:
    """Judge the points lost against `reference` on the same images, at most `limit`, by a paired 95% interval.

    The interval is never narrower than that of no image being answered differently, where the exact bound on the share
    of such images is 1 - 0.025^(1/n); the normal approximation alone would claim certainty there. With `groups`, one
    for each image, a bootstrap over these widens it; one group decides nothing.
    """
    count = len(reference)
    lost = sum(mine == "0" and theirs == "1" for mine, theirs in zip(candidate, reference, strict=True))
    won = sum(mine == "1" and theirs == "0" for mine, theirs in zip(candidate, reference, strict=True))
    drop = (lost - won) / count
    error = math.sqrt(max((lost + won) / count - drop**2, 0) / max(count - 1, 1))
    half = max(intervals.student(0.975, max(count - 1, 1)) * error, intervals.never_seen(count))
    low, high = drop - half, drop + half
    if groups:
        many = len(set(groups))
        if many < 2:
            return Verdict("undecided", 100 * drop, None)
        drawn = intervals.means_of_groups(_marks(reference) - _marks(candidate), groups)
        wide = intervals.of_draws(drop, drawn, many)
        low, high = max(min(low, wide[0]), -1.0), min(max(high, wide[1]), 1.0)
    low, high = 100 * low, 100 * high
    status: Status = "ok" if high <= limit else "FAIL" if low > limit else "undecided"
    return Verdict(status, 100 * drop, (low, high))


def _marks(correct: str) -> np.ndarray:
    import numpy as np

    return np.frombuffer(correct.encode(), np.uint8).astype(float) - ord("0")
