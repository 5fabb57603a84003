"""The statistics against hand-computed numbers, the properties that a gate needs, and a replay of its error rates."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from edgepress.benchmark import statistics
from edgepress.core.results import Samples
from hypothesis import given
from hypothesis import strategies as st

LOGS = st.lists(st.floats(-2, 2), min_size=1, max_size=20)
LIMITS = st.floats(0.05, 20)
MARKS = st.lists(st.sampled_from("01"), min_size=1, max_size=60).map("".join)
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
    with pytest.raises(ValueError, match="zip"):
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


@pytest.mark.parametrize(
    ("right", "count", "limit", "status"),
    [(900, 1000, 0.85, "ok"), (900, 1000, 0.89, "undecided"), (900, 1000, 0.93, "FAIL"), (3, 3, 0.99, "undecided")],
)
def test_accuracy_by_wilsons_interval(right: int, count: int, limit: float, status: str) -> None:
    found = statistics.accuracy("1" * right + "0" * (count - right), limit)
    assert found.status == status
    assert found.value == right / count
    if right == 900:  # Wilson, 1927, by hand
        assert found.interval == pytest.approx((0.8799, 0.9170), abs=1e-4)


def test_drop_is_paired() -> None:
    reference, candidate = "1" * 1000, "1" * 970 + "0" * 30
    found = statistics.accuracy_drop(reference, candidate, 5.0)
    assert found.status == "ok"
    assert found.value == pytest.approx(3.0)
    assert found.interval == pytest.approx((3 - 1.0591, 3 + 1.0591), abs=1e-3)
    assert statistics.accuracy_drop(reference, candidate, 1.5).status == "FAIL"
    assert statistics.accuracy_drop(reference, candidate, 3.5).status == "undecided"


def test_a_drop_of_nothing_is_not_certain_on_few_images() -> None:
    few, many = statistics.accuracy_drop("1" * 20, "1" * 20, 1.0), statistics.accuracy_drop("1" * 2000, "1" * 2000, 1.0)
    assert (few.status, many.status) == ("undecided", "ok")
    assert few.interval == pytest.approx((-16.84, 16.84), abs=0.01)  # 1 - 0.025^(1/20)


def test_drop_needs_the_same_images() -> None:
    with pytest.raises(ValueError, match="zip"):
        statistics.accuracy_drop("11", "1", 1.0)


@given(MARKS, st.data(), st.floats(0, 50))
def test_one_more_error_never_turns_fail_into_ok(reference: str, data: st.DataObject, limit: float) -> None:
    candidate = data.draw(st.text("01", min_size=len(reference), max_size=len(reference)))
    at = data.draw(st.integers(0, len(reference) - 1))
    worse = candidate[:at] + "0" + candidate[at + 1 :]
    pairs = [
        (statistics.accuracy_drop(reference, candidate, limit), statistics.accuracy_drop(reference, worse, limit)),
        (statistics.accuracy(candidate, limit / 50), statistics.accuracy(worse, limit / 50)),
    ]
    for before, after in pairs:
        assert (before.status, after.status) != ("FAIL", "ok")


def groups(count: int, each: int) -> list[int]:
    return [group for group in range(count) for _ in range(each)]


def test_people_who_differ_widen_the_interval_of_their_photos() -> None:
    """12 people, half of them told right nine times in ten, half six times in ten: 2,400 photos are 12 draws."""
    marks = "".join("1" * 180 + "0" * 20 if person % 2 else "1" * 120 + "0" * 80 for person in range(12))
    alone, grouped = statistics.accuracy(marks, 0.7), statistics.accuracy(marks, 0.7, groups(12, 200))
    assert (alone.status, grouped.status) == ("ok", "undecided")
    assert alone.value == grouped.value == 0.75
    # Student's t over the 12 people: 0.75 ± 2.201 · 0.1567 / √12
    assert grouped.interval == pytest.approx((0.75 - 0.0995, 0.75 + 0.0995), abs=0.02)


def test_people_who_are_alike_are_no_narrower_than_their_photos() -> None:
    marks = ("1" * 90 + "0" * 10) * 12
    assert statistics.accuracy(marks, 0.8, groups(12, 100)).interval == statistics.accuracy(marks, 0.8).interval


@pytest.mark.parametrize("share", ["1", "0"])
def test_all_right_in_few_groups_is_bounded_by_the_groups(share: str) -> None:
    """4 people of whom nobody was told wrong: the fifth may be; 1 − 0.025^(1/4) = 0.602."""
    found = statistics.accuracy(share * 400, 0.9, groups(4, 100)).interval
    assert found is not None
    assert found[1] - found[0] == pytest.approx(0.602, abs=1e-3)


def test_one_group_bounds_nothing() -> None:
    one = [0] * 100
    for found in (
        statistics.accuracy("1" * 100, 0.1, one),
        statistics.accuracy_drop("1" * 100, "1" * 100, 50, one),
        statistics.metric_drop([0.9] * 9, [0.9] * 9, (0.9, 0.9), 50, higher=True, units=1),
    ):
        assert (found.status, found.interval) == ("undecided", None)


def test_a_drop_of_one_group_is_not_that_of_all() -> None:
    """All of the 40 photos that are lost are of one person of ten."""
    reference, candidate = "1" * 1000, "1" * 960 + "0" * 40
    alone, grouped = (statistics.accuracy_drop(reference, candidate, 6, each) for each in ((), groups(10, 100)))
    assert (alone.status, grouped.status) == ("ok", "undecided")
    assert grouped.interval is not None
    assert grouped.interval[1] > 10


def test_two_groups_know_little() -> None:
    """Student's t of one degree of freedom: 12.7 standard errors."""
    marks = "1" * 95 + "0" * 5 + "1" * 85 + "0" * 15
    found = statistics.accuracy(marks, 0.5, groups(2, 100))
    assert found.status == "undecided"
    assert found.interval == (pytest.approx(0.44, abs=0.02), 1.0)


def test_the_grouped_interval_holds_the_truth_as_often_as_it_says() -> None:
    random, held = np.random.default_rng(0), 0
    for _ in range(200):
        marks = "".join("01"[int(right)] for p in random.beta(5, 5, 8) for right in random.random(50) < p)
        low, high = statistics.accuracy(marks, 0.5, groups(8, 50)).interval or (1, 0)
        held += low <= 0.5 <= high
    assert held >= 0.92 * 200


def test_nothing_of_ten_is_not_certain() -> None:
    found = statistics.accuracy("0" * 10, 0.2)
    assert found.status == "undecided"
    assert found.interval == (0.0, pytest.approx(0.2775, abs=1e-3))


def test_draws_that_are_all_alike_are_bounded_by_the_rule_of_three() -> None:
    """0.05^(1/n): on 300 examples that answer as before, 1 point is met; on 100 it is not decided."""
    many, few = (
        statistics.metric_drop([0.9] * 9, [0.9] * 9, (0.9, 0.9), 1.0, higher=True, examples=count)
        for count in (300, 100)
    )
    assert (many.status, few.status) == ("ok", "undecided")
    assert few.interval == pytest.approx((-2.95, 2.95), abs=0.01)


def test_an_error_near_zero_grows_in_its_own_unit() -> None:
    """84,496,486,186,881% was printed where the labels were the float model's own answers."""
    reference, candidate = [6e-8, 5.9e-8, 6.1e-8] * 30, [0.05, 0.049, 0.051] * 30
    found = statistics.metric_drop(reference, candidate, (6e-8, 0.05), 1e-4, higher=False, units=90, near=1e-2)
    assert found.status == "FAIL"
    assert found.value == pytest.approx(0.05, abs=1e-6)
    assert found.interval == pytest.approx((0.049, 0.051), abs=1e-3)
    assert (
        statistics.metric_drop(reference, candidate, (6e-8, 0.05), 0.1, higher=False, units=90, near=1).status == "ok"
    )


@given(st.floats(0.0, 50))
def test_where_an_error_becomes_small_its_percent_go_over_into_its_unit(growth: float) -> None:
    """Just above and just below `near` the same growth takes the same share of its limit."""
    above, below = 1.0 + 1e-9, 1.0 - 1e-9
    percent = statistics.metric_drop([above], [above + growth / 100], (above, above + growth / 100), 10, higher=False,
                                  near=1.0)  # fmt: skip
    own = statistics.metric_drop([below], [below + growth / 100], (below, below + growth / 100), 0.1, higher=False,
                              near=1.0)  # fmt: skip
    assert percent.value / 10 == pytest.approx(own.value / 0.1, abs=1e-6)


def test_error_rates_on_processes_that_differ() -> None:
    """Processes differ by 0.7%, as measured on a busy machine: no false alarm at +5%, and +10% is always caught."""
    generator = random.Random(0)
    unchanged = [statistics.sequential([generator.gauss(0, 0.007) for _ in range(16)], 1.05) for _ in range(300)]
    slower = [statistics.sequential([generator.gauss(0.0953, 0.007) for _ in range(16)], 1.05) for _ in range(300)]
    assert {each.status for each in unchanged} == {"ok"}
    assert {each.status for each in slower} == {"FAIL"}
