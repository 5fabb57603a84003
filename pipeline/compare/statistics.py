"""How much better one route is than another, with an interval that covers other seeds and other test examples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

import numpy as np

from ..facts import ModelFile


@dataclass(frozen=True)
class Estimate:
    """A mean over repetitions with its 95% interval: points of a share, the metric's own unit of an error."""

    mean: float
    low: float
    high: float

    @property
    def shown(self) -> bool:
        """Whether the interval leaves zero out."""
        return not self.low <= 0 <= self.high


def level(files: Sequence[ModelFile], metric: str, *, error: bool) -> Estimate:
    """The metric of a route on the test examples."""
    return _estimate([_values(file) for file in files], [_score(file, metric) for file in files], error=error)


def difference(mine: Sequence[ModelFile], theirs: Sequence[ModelFile], metric: str, *, error: bool) -> Estimate:
    """The metric of one route less that of another, paired by repetition and by test example.

    Two sources of chance, taken as independent: the seeds, whose share is the variance of the repetitions'
    differences, and the examples, whose share is that of the mean difference over them (or over bootstrap draws of
    them); the degrees of freedom are Satterthwaite's (1946). One repetition has examples alone.
    """
    values = [_values(one) - _values(other) for one, other in zip(mine, theirs, strict=True)]
    scores = [_score(one, metric) - _score(other, metric) for one, other in zip(mine, theirs, strict=True)]
    return _estimate(values, scores, error=error)


def _values(file: ModelFile) -> np.ndarray:
    """Right or wrong by example, or the metric by bootstrap draw."""
    if file.correct:
        return np.frombuffer(file.correct.encode(), np.uint8).astype(float) - ord("0")
    return np.asarray(file.resampled, float)


def _score(file: ModelFile, metric: str) -> float:
    return file.scores["test"][metric]


def _estimate(values: list[np.ndarray], scores: list[float], *, error: bool) -> Estimate:
    from scipy import stats

    scale, count = 1.0 if error else 100.0, len(scores)
    mean_values = np.mean(values, axis=0)
    # Of right and wrong the error of a mean over examples; draws of a bootstrap spread as the metric itself does.
    binary = set(np.unique(np.concatenate(values)).tolist()) <= {-1.0, 0.0, 1.0}
    examples = float(mean_values.var(ddof=1)) / (len(mean_values) if binary else 1)
    seeds = variance(scores) / count if count > 1 else 0.0
    total = seeds + examples
    if not total:
        return Estimate(scale * fmean(scores), scale * fmean(scores), scale * fmean(scores))
    freedom = total**2 / ((seeds**2 / (count - 1) if count > 1 else 0) + examples**2 / (len(mean_values) - 1))
    half = float(stats.t.ppf(0.975, freedom)) * math.sqrt(total)
    mean = fmean(scores)
    return Estimate(scale * mean, scale * (mean - half), scale * (mean + half))


def pareto(rows: dict[str, tuple[float, ...]]) -> set[str]:
    """The names of rows that no other beats or equals everywhere and beats somewhere; more is better throughout."""
    return {
        name
        for name, row in rows.items()
        if not any(
            all(b >= a for a, b in zip(row, other, strict=True)) and other != row
            for rival, other in rows.items()
            if rival != name
        )
    }
