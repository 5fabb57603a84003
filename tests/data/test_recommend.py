"""The made-up ratings: the same each time, no pair twice, and a share of them that taste explains."""

from __future__ import annotations

import numpy as np
import pytest
from edgepress.data import recommend
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset


@pytest.fixture(scope="module")
def loaded() -> Dataset:
    return load_dataset("recommend")


def test_rows_and_inputs(loaded: Dataset) -> None:
    assert [(each.name, each.kind, each.shape, each.vocabulary) for each in loaded.inputs] == [
        ("user", "tokens", (1,), 2000), ("item", "tokens", (1,), 1000),
    ]  # fmt: skip
    for x, y in loaded.splits.values():
        user, item = loaded.to_model_inputs(x[:7])
        assert (user.shape, item.shape, user.dtype, y.dtype) == ((7, 1), (7, 1), np.int64, np.int64)
        assert 0.47 < y.mean() < 0.53
    assert {name: len(split.y) for name, split in loaded.splits.items()} == {
        "train": 77815, "validation": 9726, "test": 9728,
    }  # fmt: skip


def test_no_pair_is_rated_twice(loaded: Dataset) -> None:
    x = np.concatenate([split.x for split in loaded.splits.values()])
    pairs = x["user"][:, 0] * recommend.ITEMS + x["item"][:, 0]
    assert len(np.unique(pairs)) == len(pairs)
    assert len(np.unique(x["user"])) == recommend.USERS
    assert len(np.unique(x["item"])) == recommend.ITEMS


def test_the_same_each_time(loaded: Dataset) -> None:
    assert load_dataset("recommend").digest == loaded.digest


def test_taste_explains_more_than_popularity_and_noise_hides_the_rest(loaded: Dataset) -> None:
    _, like, expected = recommend.generate()
    assert 0.83 < (like == expected).mean() < 0.85
    train, validation = loaded["train"], loaded["validation"]
    items = train.x["item"][:, 0]
    means = np.bincount(items, train.y, recommend.ITEMS) / np.bincount(items, minlength=recommend.ITEMS)
    popular = ((means > 0.5)[validation.x["item"][:, 0]] == validation.y).mean()
    assert 0.55 < popular < 0.7, "an item alone says something, not much"


def test_a_few_items_and_users_make_most_ratings() -> None:
    x, _, _ = recommend.generate()
    counts = np.sort(np.bincount(x["item"][:, 0]))[::-1]
    assert counts[:100].sum() > 0.25 * counts.sum()
    active = np.bincount(x["user"][:, 0])
    assert (active.min(), active.max() > 200) == (10, True)
