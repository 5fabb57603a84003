"""A coin, a majority and a mean have no skill, and a weak model has some."""

from __future__ import annotations

import numpy as np
from edgepress.tasks import TASKS, Skill

RANDOM = np.random.default_rng(0)


def skill(outputs: np.ndarray, y: np.ndarray, metric: str = "accuracy") -> Skill:
    task = "regression" if y.dtype.kind == "f" else "single-label" if y.ndim == 1 else "multi-label"
    return TASKS[task].skill(outputs, y, metric)


def one_hot(told: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[told]


def test_a_coin_and_a_majority_are_near_chance_and_a_weak_model_is_not() -> None:
    y = RANDOM.integers(0, 12, 2000)
    assert skill(one_hot(RANDOM.integers(0, 12, 2000), 12), y).near_chance
    rare = (RANDOM.random(2000) < 0.1).astype(np.int64)
    assert skill(one_hot(np.zeros(2000, np.int64), 2), rare).near_chance, "90% right by saying no"
    some = np.where(RANDOM.random(2000) < 0.3, y, RANDOM.integers(0, 12, 2000))
    assert not skill(one_hot(some, 12), y).near_chance


def test_few_examples_show_little() -> None:
    y = np.arange(10) % 2
    seven = np.where(np.arange(10) < 7, y, 1 - y)
    assert skill(one_hot(seven, 2), y).near_chance, "7 of 10 may be chance"
    assert not skill(one_hot(y, 2), y).near_chance


def test_labels_that_are_all_the_same_are_no_sign_of_a_wrong_model() -> None:
    """Kappa, the AUC and R² are 0 or undefined there, for whatever is answered."""
    y = np.full(50, 3)
    nearly = np.where(np.arange(50) < 49, 3, 1)
    for metric in ("accuracy", "auc"):
        assert not skill(one_hot(nearly, 10), y, metric).near_chance
        assert skill(one_hot(np.arange(50) % 10, 10), y, metric).near_chance
    marks = np.ones((50, 2), np.uint8)
    assert not skill(marks.astype(np.float32), marks).near_chance
    numbers = np.full((50, 1), 7, np.float32)
    assert not skill(numbers + RANDOM.normal(0, 0.1, numbers.shape), numbers).near_chance
    assert skill(numbers / 1000, numbers).near_chance


def test_numbers_are_held_against_their_mean_and_labels_of_each_against_a_coin() -> None:
    y = RANDOM.normal(20, 5, (200, 1)).astype(np.float32)
    assert skill(np.full_like(y, 20), y).near_chance
    assert skill(y / 100, y).near_chance, "another unit"
    assert not skill(y + RANDOM.normal(0, 2, y.shape), y).near_chance
    marks = RANDOM.integers(0, 2, (200, 4)).astype(np.uint8)
    assert skill(RANDOM.normal(size=marks.shape), marks).near_chance
    assert not skill(marks + RANDOM.normal(0, 0.5, marks.shape), marks).near_chance
