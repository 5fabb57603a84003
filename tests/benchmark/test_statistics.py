"""The statistics against hand-computed numbers, the properties that a gate needs, and a replay of its error rates."""

from __future__ import annotations

import math
import random

import pytest
from edgepress.benchmark import statistics
from edgepress.core.errors import UserError
from edgepress.core.results import Samples
from hypothesis import given
from hypothesis import strategies as st

LOGS = st.lists(st.floats(-2, 2), min_size=1, max_size=20)
LIMITS = st.floats(0.05, 20)
ORDER = ["ok", "undecided", "FAIL"]


def samples(cpu: list[list[float]], wall: list[list[float]] | None = None, threads: int = 1) -> Samples:
    return Samples(path="a", runtime="onnxruntime", threads=threads, wall=wall or cpu, cpu=cpu)


def test_ratio_is_the_median_over_rounds_of_cpu_time() -> None:
    mine, theirs = [[2.0, 4.0, 99.0], [3.0, 3.0, 3.0]], [[1.0, 2.0, 3.0], [3.0, 3.0, 3.0]]
    noisy_wall = [[50.0, 60.0, 70.0]] * 2
    found = statistics.log_ratios(samples(mine, noisy_wall), samples(theirs))
    assert found == pytest.approx([math.log(2), 0])


def test_several_threads_compare_the_lower_quartile_of_wall_time() -> None:
    wall = [[1.0, 2.0, 3.0, 4.0, 5.0]]
    mine = samples([[9.0] * 5], wall, threads=2)
    theirs = samples([[1.0] * 5], [[2 * time for time in wall[0]]], threads=2)
    assert statistics.log_ratios(mine, theirs) == pytest.approx([math.log(0.5)])


def test_pairs_need_the_same_processes_and_rounds() -> None:
    with pytest.raises(UserError, match="not timed in the same processes and rounds"):
        statistics.log_ratios(samples([[1.0], [1.0]]), samples([[1.0]]))


def test_interval_is_students_at_a_fifth_of_alpha() -> None:
    logs = [0.1, 0.2, 0.3, 0.4]
    value, interval = statistics.spread(logs)
    half = 8.0526 * 0.12909944 / 2  # the 0.998 quantile of t with 3 degrees of freedom
    assert value == pytest.approx(math.exp(0.25))
    assert interval == pytest.approx((math.exp(0.25 - half), math.exp(0.25 + half)), rel=1e-4)


def test_processes_that_disagree_wildly_know_nothing() -> None:
    _, interval = statistics.spread([0.0, -11.5])
    assert interval is not None
    assert math.isfinite(interval[1])
    assert statistics.sequential([0.0, -11.5], 1.0).status == "undecided"


def test_one_process_decides_nothing() -> None:
    found = statistics.sequential([-5.0], 1.0)
    assert (found.status, found.interval) == ("undecided", None)


def test_the_first_look_that_decides_stands() -> None:
    calm, wild = [-0.10, -0.11, -0.10, -0.11], [9.0, -9.0]
    assert statistics.sequential(calm, 1.0).status == "ok"
    found = statistics.sequential(calm + wild, 1.0)
    assert found.status == "ok"
    assert found.interval == statistics.spread(calm)[1]


def test_equal_to_the_limit_is_not_decided() -> None:
    assert statistics.sequential([0.0] * 16, 1.0).status == "undecided"


@given(LOGS, LIMITS, st.floats(1, 5))
def test_slower_is_never_better(logs: list[float], limit: float, factor: float) -> None:
    slower = statistics.sequential([log + math.log(factor) for log in logs], limit)
    assert ORDER.index(slower.status) >= ORDER.index(statistics.sequential(logs, limit).status) or factor < 1 + 1e-9


@given(LOGS, LIMITS, st.floats(1, 5))
def test_a_larger_limit_is_never_worse(logs: list[float], limit: float, factor: float) -> None:
    before, after = statistics.sequential(logs, limit).status, statistics.sequential(logs, limit * factor).status
    assert (before, after) not in {("ok", "FAIL"), ("ok", "undecided"), ("undecided", "FAIL")}


def test_contention_is_wall_over_cpu() -> None:
    assert statistics.contention(samples([[1.0, 1.0, 1.0]], [[1.0, 1.4, 9.0]])) == pytest.approx(1.4)
    assert statistics.contention(samples([[2.0]], [[1.0]], threads=2)) == pytest.approx(1.0)


def test_error_rates_on_processes_that_differ() -> None:
    """Processes differ by 0.7%, as measured on a busy machine: no false alarm at +5%, and +10% is always caught."""
    generator = random.Random(0)
    unchanged = [statistics.sequential([generator.gauss(0, 0.007) for _ in range(16)], 1.05) for _ in range(300)]
    slower = [statistics.sequential([generator.gauss(0.0953, 0.007) for _ in range(16)], 1.05) for _ in range(300)]
    assert {each.status for each in unchanged} == {"ok"}
    assert {each.status for each in slower} == {"FAIL"}
