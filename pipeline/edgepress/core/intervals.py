"""Compute 95% intervals of counts on test examples.

They hold for few examples, for examples that are all alike, and for groups.

The unit that varies is what was drawn independently: an example, or a group of them (a person, a device). An interval
that would be ±0 by its formula, for nothing varied in the sample, has the width that so many units allow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

DRAWS = 1000
FEWEST = 20
"""Draws below which there is no interval: of 20, Student's t is 6% above the normal quantile."""
_Z = 1.959963984540054
"""The 97.5% quantile of the normal distribution."""


def never_seen(units: int, alpha: float = 0.025) -> float:
    """Bound the share of an event seen in none of `units`: 0.025 = (1 − p)^n, near 3.7/n (Clopper, Pearson, 1934).

    With `alpha` 0.05 it is the rule of three, near 3/n, for a bound on one side.
    """
    return 1 - alpha ** (1 / max(units, 1))


def student(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t with so many degrees of freedom.

    `scipy.special` has it as `scipy.stats` does, which takes a second to import.
    """
    from scipy import special

    return float(special.stdtrit(freedom, probability))


def wilson(right: np.ndarray | int, count: np.ndarray | int) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's interval (1927) of each share `right / count`, as two arrays of their shape."""
    import numpy as np

    right, count = np.asarray(right, float), np.asarray(count, float)
    width = 2 * (count + _Z**2)
    middle = (2 * right + _Z**2) / width
    half = _Z * np.sqrt(4 * right * (1 - right / count) + _Z**2) / width
    return np.where(right == 0, 0.0, middle - half), np.where(right == count, 1.0, middle + half)


def of_draws(value: float, draws: Sequence[float] | np.ndarray, units: int) -> tuple[float, float]:
    """Return the 2.5% and 97.5% percentiles of bootstrap draws, widened by Student's t for few `units`.

    A percentile interval of n units is too narrow by √((n − 1)/n) and by the normal quantile in place of t's
    (Hesterberg, 2015, https://doi.org/10.1080/00031305.2015.1089789): 0.1% at 2,000, a quarter at 10, 9 times at 2.
    One unit has no spread, and no bound: infinite. Nor have fewer draws than `FEWEST` a bound.
    """
    if units < 2 or len(draws) < FEWEST:
        return -math.inf, math.inf
    wider = student(0.975, units - 1) / _Z * math.sqrt(units / (units - 1))
    low, high = percentiles(value, draws)
    return value - wider * max(value - low, 0.0), value + wider * max(high - value, 0.0)


def percentiles(value: float, draws: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return the 2.5% and 97.5% percentiles of bootstrap draws, widened for fewer than `DRAWS` of them.

    The tails of k draws are too few for percentiles. But the root mean square of their distances from the value is a
    standard error with k degrees of freedom (the cheap bootstrap; Lam, 2022, https://arxiv.org/abs/2202.00090): the
    interval reaches Student's t of it to both sides, where that is wider.
    """
    import numpy as np

    if len(draws) < FEWEST:
        return -math.inf, math.inf
    low, high = map(float, np.percentile(draws, [2.5, 97.5]))
    if len(draws) < DRAWS:
        error = math.sqrt(float(np.mean((np.asarray(draws) - value) ** 2)))
        half = student(0.975, len(draws)) * error
        low, high = min(low, value - half), max(high, value + half)
    return low, high


def means_of_groups(values: np.ndarray, groups: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the mean of `values` (n,) on `DRAWS` draws of whole groups, with repetition; `groups` count from 0."""
    import numpy as np

    counts = np.bincount(groups)
    sums = np.bincount(groups, weights=values)
    random, shares = np.random.default_rng(len(values)), np.full(len(counts), 1 / len(counts))
    # One draw after the other: all of them together take 8 kB for each group.
    draws = (random.multinomial(len(counts), shares) for _ in range(DRAWS))
    return np.array([draw @ sums / np.maximum(draw @ counts, 1) for draw in draws])
