"""Intervals that hold what they say, over seeds and examples, and what is beaten by nothing."""

from __future__ import annotations

import numpy as np
import pytest
from edgepress.commands.compare.statistics import Estimate, difference, level, pareto
from edgepress.core.results import ModelFile
from hypothesis import given
from hypothesis import strategies as st


def file(right: np.ndarray) -> ModelFile:
    return ModelFile(
        path="m.onnx", kind="onnx", precision="float32", bytes=1, sha256="0",
        scores={"test": {"accuracy": float(right.mean())}}, correct="".join("1" if each else "0" for each in right),
    )  # fmt: skip


def drawn(values: list[float], score: float) -> ModelFile:
    return ModelFile(
        path="m.onnx", kind="onnx", precision="float32", bytes=1, sha256="0", scores={"test": {"mae": score}},
        resampled=values,
    )  # fmt: skip


def simulated(random: np.random.Generator, gain: float, spread: float, seeds: int = 5, examples: int = 400) -> Estimate:
    """Two routes on the same examples, some of which are hard, with seeds that come out better or worse."""
    hard = random.random(examples)
    mine, theirs = [], []
    for _ in range(seeds):
        base, more = 0.8 + random.normal(0, spread), gain + random.normal(0, spread)
        theirs.append(file(hard < base))
        noise = random.random(examples) < 0.05
        mine.append(file((hard < base + more) ^ noise))
    return difference(mine, theirs, "accuracy", error=False)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    # 5% of the answers are flipped: of p right ones, 0.95 p + 0.05 (1 - p) stay right.
    truth = 100 * ((0.83 * 0.9 + 0.05) - 0.8)
    found = [simulated(random, 0.03, 0.01) for _ in range(300)]
    holds = np.mean([each.low <= truth <= each.high for each in found])
    assert 0.92 <= holds <= 1.0


def test_equal_routes_differ_by_nothing() -> None:
    right = np.arange(50) % 3 > 0
    found = difference([file(right)] * 3, [file(right)] * 3, "accuracy", error=False)
    assert (found.mean, found.low, found.high) == (0, 0, 0)
    assert not found.shown


def test_routes_that_no_example_tells_apart_may_differ_on_others() -> None:
    """50 examples, none of which is answered otherwise: 1 − 0.025^(1/50) of all others may be."""
    right = np.arange(50) % 3 > 0
    other = file(right).model_copy(update={"sha256": "1"})
    found = difference([file(right)] * 3, [other] * 3, "accuracy", error=False)
    assert (found.mean, found.low, found.high) == (0, pytest.approx(-7.11, abs=0.01), pytest.approx(7.11, abs=0.01))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_right_or_none_is_not_certain(share: float) -> None:
    found = level([file(np.full(10, share))] * 2, "accuracy", error=False)
    assert found.high - found.low == pytest.approx(30.85, abs=0.01), "1 − 0.025^(1/10), and no share beyond 0 and 100%"


def test_people_widen_the_interval_of_their_examples() -> None:
    right = np.repeat(np.arange(8) % 4 > 0, 50)
    people = np.repeat(np.arange(8), 50).tolist()
    alone, grouped, one = (
        level([file(right)], "accuracy", error=False, groups=each) for each in ((), people, [0] * 400)
    )
    assert grouped.high - grouped.low > 5 * (alone.high - alone.low)
    assert (one.low, one.high) == (0, 100), "one group bounds nothing"


def test_one_seed_knows_the_examples_alone() -> None:
    right = np.arange(400) % 4 > 0
    found = level([file(right)], "accuracy", error=False)
    assert found.mean == pytest.approx(75)
    assert found.high - found.low == pytest.approx(2 * 1.966 * 100 * np.sqrt(0.75 * 0.25 / 399), rel=0.01)


def test_seeds_that_disagree_widen_the_interval() -> None:
    one, two = np.arange(400) % 4 > 0, np.arange(400) % 2 > 0
    calm, wild = (level(files, "accuracy", error=False) for files in ([file(one)] * 2, [file(one), file(two)]))
    assert wild.high - wild.low > 3 * (calm.high - calm.low)


def test_an_error_is_in_its_own_unit_and_from_bootstrap_draws() -> None:
    random = np.random.default_rng(0)
    files = [drawn(random.normal(3 + 0.01 * k, 0.1, 1000).tolist(), 3 + 0.01 * k) for k in range(3)]
    found = level(files, "mae", error=True)
    assert found.mean == pytest.approx(3.01)
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.1 / np.sqrt(3), rel=0.15)


@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(*[st.integers(0, 3)] * 3), min_size=1))
def test_what_is_beaten_by_nothing(rows: dict[str, tuple[float, ...]]) -> None:
    found = pareto(rows)
    assert found, "there is always one"
    for name, row in rows.items():
        beaten = any(other != row and all(b >= a for a, b in zip(row, other, strict=True)) for other in rows.values())
        assert (name in found) != beaten


def test_an_interval_without_an_end_shows_nothing() -> None:
    assert not Estimate(1.0, float("nan"), float("nan")).shown
    assert Estimate(1.0, 0.5, 1.5).shown
    assert not Estimate(1.0, 0.0, 1.5).shown
