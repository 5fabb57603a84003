"""Scores and their drops: intervals of Wilson, of pairs, of the bootstrap and of groups."""

from __future__ import annotations

import numpy as np
import pytest
from edgepress.gate import scores
from hypothesis import given
from hypothesis import strategies as st

MARKS = st.lists(st.sampled_from("01"), min_size=1, max_size=60).map("".join)
ORDER = ["ok", "undecided", "FAIL"]


@pytest.mark.parametrize(
    ("right", "count", "limit", "status"),
    [(900, 1000, 0.85, "ok"), (900, 1000, 0.89, "undecided"), (900, 1000, 0.93, "FAIL"), (3, 3, 0.99, "undecided")],
)
def test_accuracy_by_wilsons_interval(right: int, count: int, limit: float, status: str) -> None:
    found = scores.accuracy("1" * right + "0" * (count - right), limit)
    assert found.status == status
    assert found.value == right / count
    if right == 900:  # Wilson, 1927, by hand
        assert found.interval == pytest.approx((0.8799, 0.9170), abs=1e-4)


def test_drop_is_paired() -> None:
    reference, candidate = "1" * 1000, "1" * 970 + "0" * 30
    found = scores.accuracy_drop(reference, candidate, 5.0)
    assert found.status == "ok"
    assert found.value == pytest.approx(3.0)
    assert found.interval == pytest.approx((3 - 1.0591, 3 + 1.0591), abs=1e-3)
    assert scores.accuracy_drop(reference, candidate, 1.5).status == "FAIL"
    assert scores.accuracy_drop(reference, candidate, 3.5).status == "undecided"


def test_a_drop_of_nothing_is_not_certain_on_few_images() -> None:
    few, many = scores.accuracy_drop("1" * 20, "1" * 20, 1.0), scores.accuracy_drop("1" * 2000, "1" * 2000, 1.0)
    assert (few.status, many.status) == ("undecided", "ok")
    assert few.interval == pytest.approx((-16.84, 16.84), abs=0.01)  # 1 - 0.025^(1/20)


def test_drop_needs_the_same_images() -> None:
    with pytest.raises(ValueError, match="zip"):
        scores.accuracy_drop("11", "1", 1.0)


@given(MARKS, st.data(), st.floats(0, 50))
def test_one_more_error_never_turns_fail_into_ok(reference: str, data: st.DataObject, limit: float) -> None:
    candidate = data.draw(st.text("01", min_size=len(reference), max_size=len(reference)))
    at = data.draw(st.integers(0, len(reference) - 1))
    worse = candidate[:at] + "0" + candidate[at + 1 :]
    pairs = [
        (scores.accuracy_drop(reference, candidate, limit), scores.accuracy_drop(reference, worse, limit)),
        (scores.accuracy(candidate, limit / 50), scores.accuracy(worse, limit / 50)),
    ]
    for before, after in pairs:
        assert (before.status, after.status) != ("FAIL", "ok")


def groups(count: int, each: int) -> list[int]:
    return [group for group in range(count) for _ in range(each)]


def test_people_who_differ_widen_the_interval_of_their_photos() -> None:
    """12 people, half of them told right nine times in ten, half six times in ten: 2,400 photos are 12 draws."""
    marks = "".join("1" * 180 + "0" * 20 if person % 2 else "1" * 120 + "0" * 80 for person in range(12))
    alone, grouped = scores.accuracy(marks, 0.7), scores.accuracy(marks, 0.7, groups(12, 200))
    assert (alone.status, grouped.status) == ("ok", "undecided")
    assert alone.value == grouped.value == 0.75
    # Student's t over the 12 people: 0.75 ± 2.201 · 0.1567 / √12
    assert grouped.interval == pytest.approx((0.75 - 0.0995, 0.75 + 0.0995), abs=0.02)


def test_people_who_are_alike_are_no_narrower_than_their_photos() -> None:
    marks = ("1" * 90 + "0" * 10) * 12
    assert scores.accuracy(marks, 0.8, groups(12, 100)).interval == scores.accuracy(marks, 0.8).interval


@pytest.mark.parametrize("share", ["1", "0"])
def test_all_right_in_few_groups_is_bounded_by_the_groups(share: str) -> None:
    """4 people of whom nobody was told wrong: the fifth may be; 1 − 0.025^(1/4) = 0.602."""
    found = scores.accuracy(share * 400, 0.9, groups(4, 100)).interval
    assert found is not None
    assert found[1] - found[0] == pytest.approx(0.602, abs=1e-3)


def test_one_group_bounds_nothing() -> None:
    one = [0] * 100
    for found in (
        scores.accuracy("1" * 100, 0.1, one),
        scores.accuracy_drop("1" * 100, "1" * 100, 50, one),
        scores.metric_drop([0.9] * 9, [0.9] * 9, (0.9, 0.9), 50, higher=True, units=1),
    ):
        assert (found.status, found.interval) == ("undecided", None)


def test_a_drop_of_one_group_is_not_that_of_all() -> None:
    """All of the 40 photos that are lost are of one person of ten."""
    reference, candidate = "1" * 1000, "1" * 960 + "0" * 40
    alone, grouped = (scores.accuracy_drop(reference, candidate, 6, each) for each in ((), groups(10, 100)))
    assert (alone.status, grouped.status) == ("ok", "undecided")
    assert grouped.interval is not None
    assert grouped.interval[1] > 10


def test_two_groups_know_little() -> None:
    """Student's t of one degree of freedom: 12.7 standard errors."""
    marks = "1" * 95 + "0" * 5 + "1" * 85 + "0" * 15
    found = scores.accuracy(marks, 0.5, groups(2, 100))
    assert found.status == "undecided"
    assert found.interval == (pytest.approx(0.44, abs=0.02), 1.0)


def test_the_grouped_interval_holds_the_truth_as_often_as_it_says() -> None:
    random, held = np.random.default_rng(0), 0
    for _ in range(200):
        marks = "".join("01"[int(right)] for p in random.beta(5, 5, 8) for right in random.random(50) < p)
        low, high = scores.accuracy(marks, 0.5, groups(8, 50)).interval or (1, 0)
        held += low <= 0.5 <= high
    assert held >= 0.92 * 200


def test_nothing_of_ten_is_not_certain() -> None:
    found = scores.accuracy("0" * 10, 0.2)
    assert found.status == "undecided"
    assert found.interval == (0.0, pytest.approx(0.2775, abs=1e-3))


def test_draws_that_are_all_alike_are_bounded_by_the_rule_of_three() -> None:
    """0.05^(1/n): on 300 examples that answer as before, 1 point is met; on 100 it is not decided."""
    alike = [0.9] * 1000
    many, few = (scores.metric_drop(alike, alike, (0.9, 0.9), 1.0, higher=True, examples=count) for count in (300, 100))
    assert (many.status, few.status) == ("ok", "undecided")
    assert few.interval == pytest.approx((-2.95, 2.95), abs=0.01)


def test_an_error_near_zero_grows_in_its_own_unit() -> None:
    """84,496,486,186,881% was printed where the labels were the float model's own answers."""
    reference, candidate = [6e-8, 5.9e-8, 6.1e-8] * 30, [0.05, 0.049, 0.051] * 30
    found = scores.metric_drop(reference, candidate, (6e-8, 0.05), 1e-4, higher=False, units=90, near=1e-2)
    assert found.status == "FAIL"
    assert found.value == pytest.approx(0.05, abs=1e-6)
    assert found.interval == pytest.approx((0.049, 0.051), abs=1e-3)
    assert scores.metric_drop(reference, candidate, (6e-8, 0.05), 0.1, higher=False, units=90, near=1).status == "ok"


@given(st.floats(0.0, 50))
def test_where_an_error_becomes_small_its_percent_go_over_into_its_unit(growth: float) -> None:
    """Just above and just below `near` the same growth takes the same share of its limit."""
    above, below = 1.0 + 1e-9, 1.0 - 1e-9
    percent = scores.metric_drop([above], [above + growth / 100], (above, above + growth / 100), 10, higher=False,
                                  near=1.0)  # fmt: skip
    own = scores.metric_drop([below], [below + growth / 100], (below, below + growth / 100), 0.1, higher=False,
                              near=1.0)  # fmt: skip
    assert percent.value / 10 == pytest.approx(own.value / 0.1, abs=1e-6)


def test_few_draws_are_paired_with_the_first_of_many_and_are_never_surer() -> None:
    """A drop of 1 point, ±1 by chance: 1,000 draws of an accepted baseline, 30 of a metric that became slow."""
    random = np.random.default_rng(0)
    reference = 0.9 + random.normal(0, 0.02, 1000)
    candidate = reference - 0.01 + random.normal(0, 0.01, 1000)
    for limit, status in ((4.5, "ok"), (2.0, "undecided"), (-2.5, "FAIL")):
        many, few, back, none = (
            scores.metric_drop(one.tolist(), other.tolist(), (0.9, 0.89), limit, higher=True, units=400)
            for one, other in (
                (reference, candidate),
                (reference, candidate[:30]),
                (reference[:30], candidate),
                (reference, candidate[:19]),
            )
        )
        assert (many.status, few.status, none.status) == (status, status, "undecided")
        assert few == back
        assert few.interval is not None
        assert few.interval[0] < 1 < few.interval[1]
        assert none.interval is None
    alike = scores.metric_drop([0.5] * 20, [0.5] * 20, (0.5, 0.5), 1, higher=True, examples=100)
    assert alike.status == "undecided", "that no draw tells them apart is not certainty"
