"""Intervals of counts: those of scipy, without its seconds of import."""

from __future__ import annotations

import numpy as np
import pytest
from edgepress.core import intervals
from scipy import stats


@pytest.mark.parametrize("count", [1, 2, 10, 1000, 10**7])
def test_wilson_is_that_of_scipy(count: int) -> None:
    right = np.unique(np.linspace(0, count, 23).round().astype(int))
    low, high = intervals.wilson(right, np.full(len(right), count))
    expected = [stats.binomtest(int(k), count).proportion_ci(0.95, method="wilson") for k in right]
    np.testing.assert_allclose(low, [each.low for each in expected], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(high, [each.high for each in expected], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("freedom", [1, 2, 3.7, 30, 1e6])
def test_student_is_that_of_scipy(freedom: float) -> None:
    assert intervals.student(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-12)
