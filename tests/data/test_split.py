"""Dividing: disjoint, stratified, the same each time; groups and copies stay together."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset
from edgepress.data.examples import Examples
from edgepress.data.source import Shares
from edgepress.data.split import divide
from hypothesis import given, settings
from hypothesis import strategies as st


def numbered(y: np.ndarray, **options: object) -> Examples:
    """Examples whose value is their number, so that they can be followed."""
    return Examples(np.arange(len(y), dtype=np.float32)[:, None], y, **options).checked("numbered")


def rows(data: Dataset) -> dict[str, list[int]]:
    return {name: split.x[:, 0].astype(int).tolist() for name, split in data.splits.items()}


@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=8).filter(lambda counts: sum(counts) >= 12),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_every_example_is_in_one_split_and_every_class_in_train(counts: list[int], seed: int) -> None:
    y = np.repeat(np.arange(len(counts)), counts)
    data = divide(numbered(y), None, seed)
    assert sorted(itertools.chain(*rows(data).values())) == list(range(len(y)))
    assert set(data["train"].y.tolist()) == set(range(len(counts)))
    for name, share in (("train", 0.7), ("validation", 0.1), ("test", 0.2)):
        assert len(data[name].y) > 0
        # The first of each class goes to train; else no split is a whole example off.
        assert abs(len(data[name].y) - share * len(y)) <= 2 + len(counts)


def test_the_shares_hold_in_each_class() -> None:
    y = np.repeat(np.arange(4), [400, 200, 100, 50])
    data = divide(numbered(y), Shares(validation="20%", test="10%"))
    for name, share in (("train", 0.7), ("validation", 0.2), ("test", 0.1)):
        found = np.bincount(data[name].y)
        assert np.abs(found - share * np.array([400, 200, 100, 50])).max() <= 2, name


def test_the_seed_decides_and_nothing_else() -> None:
    y = np.arange(200) % 4
    assert divide(numbered(y), None, 3).digest == divide(numbered(y), None, 3).digest
    assert rows(divide(numbered(y), None, 3)) != rows(divide(numbered(y), None, 4))


def test_the_first_rows_are_of_all_classes() -> None:
    """A smoke run and calibration take the first."""
    data = divide(numbered(np.repeat(np.arange(4), 100)))
    for split in data.splits.values():
        assert len(set(split.y[:25].tolist())) == 4


@given(seed=st.integers(0, 20), people=st.integers(3, 30))
@settings(max_examples=40, deadline=None)
def test_a_group_is_in_one_split(seed: int, people: int) -> None:
    random = np.random.default_rng(seed)
    groups = np.array([f"person {i}" for i in np.r_[np.arange(people), random.integers(0, people, 20 * people)]])
    y = np.r_[np.zeros(people, int), random.integers(0, 3, 20 * people)]
    found = rows(divide(numbered(y, groups=groups), None, seed))
    people_of = {name: set(groups[numbers].tolist()) for name, numbers in found.items()}
    assert all(people_of.values())
    assert not any(a & b for a, b in itertools.combinations(people_of.values(), 2))
    if people >= 20:
        assert 0.6 < len(found["train"]) / len(y) < 0.8


def test_groups_of_one_class_each_leave_every_class_in_train() -> None:
    """As when every object was photographed many times."""
    groups = np.repeat(np.arange(30), 10)
    data = divide(numbered(groups % 5, groups=groups))
    for split in data.splits.values():
        assert set(split.y.tolist()) == set(range(5)) or len(split.y) == 30
    assert len(data["train"].y) == 210


def test_groups_that_hold_all_of_a_class_go_to_train() -> None:
    groups = np.array([0] * 10 + [1] * 10 + [2] * 10 + [3] * 10)
    y = np.array([0] * 30 + [1] * 10)
    assert set(divide(numbered(y, groups=groups))["train"].y.tolist()) == {0, 1}


def test_too_few_groups_for_every_class_to_be_learnt() -> None:
    groups = np.repeat(np.arange(3), 10)
    with pytest.raises(UserError) as error:
        divide(numbered(groups, groups=groups))
    assert str(error.value) == (
        "error: `examples` has 3 groups; train needs 3 of them to have every class, and validation and test one each"
    )


def test_copies_stay_in_one_split() -> None:
    """A photo that was saved three times is else learnt and then tested."""
    x = np.random.default_rng(0).integers(0, 256, (100, 5, 5), dtype=np.uint8)
    found = divide(Examples(np.tile(x, (3, 1, 1)), np.tile(np.arange(100) % 2, 3)).checked("copies"))
    seen = [{each.tobytes() for each in split.x} for split in found.splits.values()]
    assert not any(a & b for a, b in itertools.combinations(seen, 2))
    assert sum(map(len, seen)) == 100


def test_splits_that_are_given_are_kept_and_a_missing_one_is_taken_from_train() -> None:
    part = np.array(["train"] * 80 + ["test"] * 20)
    found = rows(divide(numbered(np.arange(100) % 2, part=part), Shares(validation="25%", test="20%")))
    assert sorted(found["test"]) == list(range(80, 100))
    assert len(found["validation"]) == 20
    assert sorted(found["train"] + found["validation"]) == list(range(80))


def test_groups_that_lie_in_several_given_splits_are_named() -> None:
    """Given splits are kept; a person who is learnt and then tested is told."""
    y, part = np.arange(60) % 2, np.repeat(["train", "validation", "test"], 20)
    groups = np.array([f"p{number // 4:02}" for number in range(60)])
    assert divide(numbered(y, groups=groups, part=part)).warnings == ()
    groups[:2] = groups[-1]
    assert divide(numbered(y, groups=groups, part=part)).warnings == (
        "`examples`: 1 group is in more than one of the given splits: `p14`; what is learnt of a group is then tested "
        "on it: give all of its examples one split",
    )
    few = np.array([f"p{number % 20:02}" for number in range(60)])
    (warning,) = divide(numbered(y, groups=few, part=part, warnings=("another",))).warnings[1:]
    assert (
        "20 groups are in more than one of the given splits: `p00`, `p01`, `p02`, `p03`, `p04` and 15 more" in warning
    )
    assert divide(numbered(y, groups=few)).warnings == ()
    known = Examples(np.arange(60, dtype=np.float32)[:, None], np.arange(60) % 3, part=part, task="embedding")
    assert divide(known.checked("known")).warnings == (), "identities may be in all of the given splits"


def test_shares_of_given_splits_are_refused() -> None:
    part = np.repeat(["train", "validation", "test"], 10)
    assert sorted(rows(divide(numbered(np.arange(30) % 2, part=part)))["test"]) == list(range(20, 30))
    with pytest.raises(UserError, match="gives its splits"):
        divide(numbered(np.arange(30) % 2, part=part), Shares())
    with pytest.raises(UserError, match="a split `dev`"):
        divide(numbered(np.arange(30) % 2, part=np.repeat(["train", "dev", "test"], 10)))


def test_moments_are_of_the_training_values_alone() -> None:
    x = np.r_[np.random.default_rng(0).normal(3, 2, (500, 1)), np.full((100, 1), 1e6)].astype(np.float32)
    part = np.array(["train"] * 500 + ["test"] * 50 + ["validation"] * 50)
    (input,) = divide(Examples(x, np.arange(600) % 2, part=part).checked("x")).inputs
    assert input.mean[0] == pytest.approx(3, abs=0.3)
    assert input.std[0] == pytest.approx(2, abs=0.3)


def test_other_tasks() -> None:
    random = np.random.default_rng(0)
    several = divide(numbered(random.integers(0, 2, (100, 3)), labels=("a", "b", "c")))
    assert (several.task, several["train"].y.dtype, several["train"].y.shape[1]) == ("multi-label", np.uint8, 3)
    number = divide(numbered(random.normal(size=100)))
    assert (number.task, number["test"].y.dtype, number["test"].y.shape) == ("regression", np.float32, (20, 1))
    with pytest.raises(UserError, match="no training examples of `never`"):
        divide(numbered(np.c_[np.ones(20, int), np.zeros(20, int)], labels=("always", "never")))


def test_the_groups_of_the_test_split_go_along_and_change_no_digest() -> None:
    """Intervals are over them; caches of data without groups, and of data whose groups nobody asked for, stay."""
    y = np.arange(60) % 3
    people = np.array([f"p{number // 5}" for number in range(60)])
    data = divide(numbered(y, groups=people))
    assert data.groups is not None
    assert len(data.groups) == len(data["test"].y)
    names = people[rows(data)["test"]]
    assert len(set(zip(names.tolist(), data.groups.tolist(), strict=True))) == len(set(names.tolist()))
    assert sorted(set(data.groups.tolist())) == list(range(len(set(names.tolist()))))
    assert replace(data, groups=None).digest == data.digest
    few = data.limited(3)
    assert few.groups is not None
    assert len(few.groups) == 3
    assert divide(numbered(y)).groups is None
