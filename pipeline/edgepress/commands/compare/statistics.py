"""Estimate the difference of two routes with its interval.

The interval covers other seeds and other test examples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

import numpy as np

from ...core import intervals
from ...core.metrics import points_of
from ...core.results import ModelFile


@dataclass(frozen=True)
class Estimate:
    """A mean over repetitions with its 95% interval: points of a share, the metric's own unit of an error, or dB."""

    mean: float
    low: float
    high: float

    @property
    def shown(self) -> bool:
        """Whether the interval leaves zero out; one with an end that is no number shows nothing."""
        return self.low > 0 or self.high < 0


def level(files: Sequence[ModelFile], metric: str, *, error: bool, groups: Sequence[int] = ()) -> Estimate:
    """Estimate the metric of a route on the test examples; `groups` has the group of each."""
    values = _cut([_values(file) for file in files])
    scores = [_score(file, metric) for file in files]
    return _estimate(values, scores, _scale(metric, error), groups, 0.0, marks=bool(files[0].correct))


def difference(
    mine: Sequence[ModelFile], theirs: Sequence[ModelFile], metric: str, *, error: bool, groups: Sequence[int] = ()
) -> Estimate:
    """Estimate the metric of one route less that of another, paired by repetition and by test example.

    Two sources of chance are taken as independent. The share of the seeds is the variance of the repetitions'
    differences. The share of the examples is the variance of the mean difference over them, or over their bootstrap
    draws. The degrees of freedom are Satterthwaite's (1946). With one repetition, only the examples count. Where
    two models agree on every example, the number of examples bounds the difference on others.
    """
    if all(a.sha256 == b.sha256 and _same(a, b) for a, b in zip(mine, theirs, strict=True)):
        return Estimate(0.0, 0.0, 0.0)  # the same bytes
    values = _cut([np.subtract(*_cut([_values(a), _values(b)])) for a, b in zip(mine, theirs, strict=True)])
    scores = [_score(a, metric) - _score(b, metric) for a, b in zip(mine, theirs, strict=True)]
    return _estimate(values, scores, _scale(metric, error), groups, -1.0, marks=bool(mine[0].correct))


def _values(file: ModelFile) -> np.ndarray:
    """Return right or wrong by example, or the metric by bootstrap draw."""
    if file.correct:
        return np.frombuffer(file.correct.encode(), np.uint8).astype(float) - ord("0")
    return np.asarray(file.resampled, float)


def _same(a: ModelFile, b: ModelFile) -> bool:
    many = min(len(a.resampled), len(b.resampled))
    return (a.correct, a.resampled[:many], a.scores) == (b.correct, b.resampled[:many], b.scores)


def _scale(metric: str, error: bool) -> float:
    """Return the points of a difference of 1; an error is in its own unit."""
    return 1.0 if error else points_of(metric)


def _cut(values: list[np.ndarray]) -> list[np.ndarray]:
    """Return the draws that all have, the first ones: of a slow metric one file may have more than another."""
    many = min(map(len, values))
    return [value[:many] for value in values]


def _score(file: ModelFile, metric: str) -> float:
    return file.scores["test"][metric]


def _estimate(
    values: list[np.ndarray],
    scores: list[float],
    scale: float,
    groups: Sequence[int],
    least: float,
    *,
    marks: bool,
) -> Estimate:
    """Estimate the mean of `scores` times `scale`; a share, whose scale is 100, is at least `least` and at most 1.

    `values` are marks of examples, or draws of a bootstrap; fewer than `intervals.FEWEST` draws bound nothing.
    """
    count, mean = len(scores), fmean(scores)
    mean_values = np.mean(values, axis=0)
    bounded = marks or len(mean_values) >= intervals.FEWEST
    binary = bounded and set(np.unique(np.concatenate(values)).tolist()) <= {-1.0, 0.0, 1.0}
    # Of right and wrong the error of a mean over examples, or groups of them; draws of a bootstrap spread as the metric
    # itself does.
    units = len(set(groups)) if groups else len(mean_values)
    units = units if marks else min(units, len(mean_values))
    drawn = intervals.means_of_groups(mean_values, groups) if marks and groups else mean_values
    examples = float(drawn.var(ddof=1)) / (len(drawn) if marks and not groups else 1) if bounded else math.inf
    examples *= units / (units - 1) if groups and units > 1 else 1
    seeds = variance(scores) / count if count > 1 else 0.0
    total = seeds + examples
    half = 0.0
    if not bounded or (groups and units < 2):
        half = math.inf
    elif total:
        freedom = total**2 / ((seeds**2 / (count - 1) if count > 1 else 0) + examples**2 / max(units - 1, 1))
        half = intervals.student(0.975, freedom) * math.sqrt(total)
    if binary:
        half = max(half, intervals.never_seen(len(mean_values)))
    low, high = mean - half, mean + half
    if scale > 1:
        low, high = max(low, min(least, mean)), min(high, max(1.0, mean))
    return Estimate(scale * mean, scale * low, scale * high)


def pareto(rows: dict[str, tuple[float, ...]]) -> set[str]:
    """Return the names of rows that no other beats or equals everywhere and beats somewhere; more is better
    throughout."""
    return {
        name
        for name, row in rows.items()
        if not any(
            all(b >= a for a, b in zip(row, rival_row, strict=True)) and rival_row != row
            for rival, rival_row in rows.items()
            if rival != name
        )
    }
