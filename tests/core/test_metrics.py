"""Accuracy and likelihood, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from edgepress.core import intervals, metric_functions, metric_intervals, metrics
from sklearn.metrics import accuracy_score, log_loss


def test_as_scikit_learn_has_them() -> None:
    random = np.random.default_rng(0)
    logits, labels = random.normal(0, 3, (200, 10)).astype(np.float32), random.integers(0, 10, 200)
    exponentials = np.exp(logits.astype(np.float64))
    shares = exponentials / exponentials.sum(1, keepdims=True)
    assert metric_functions.accuracy(logits, labels) == accuracy_score(labels, logits.argmax(1))
    assert metric_functions.nll(logits, labels) == pytest.approx(log_loss(labels, shares, labels=range(10)))


def test_logits_beyond_the_range_of_exp_stay_finite() -> None:
    logits = np.array([[3e4, 0.0], [0.0, -3e4]], np.float32)
    assert metric_functions.nll(logits, np.array([0, 0])) == 0
    assert metric_functions.nll(logits, np.array([1, 1])) == pytest.approx(3e4)


def test_a_constant_shift_changes_nothing() -> None:
    logits, labels = np.random.default_rng(1).normal(size=(50, 4)), np.arange(50) % 4
    assert metric_functions.nll(logits + 100, labels) == pytest.approx(metric_functions.nll(logits, labels))


def test_the_bounds_of_a_classifier_are_those_of_drawing_its_examples() -> None:
    random = np.random.default_rng(3)
    y = random.integers(0, 4, 600) % 3
    answers = np.eye(3)[np.where(random.uniform(size=600) < 0.8, y, (y + 1) % 3)] + random.normal(0, 0.1, (600, 3))
    found = metric_intervals.bounds(answers, y)
    for name, metric in (("macro_f1", metrics.METRICS["macro-f1"]), ("worst_recall", metrics.METRICS["worst-recall"])):
        value, low, high = found[name]
        assert value == pytest.approx(metric(answers, y))
        assert (low, high) == pytest.approx(np.percentile(metric.resampled(answers, y), [2.5, 97.5]), abs=0.012)
    assert metric_intervals.bounds(answers, np.eye(3)[y]) == {}
    assert metric_intervals.bounds(answers, y.astype(np.float32)) == {}


def told(*rows: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Answers and labels of (class, right, of how many); what is wrong is told as the next class."""
    y = np.concatenate([np.full(count, label) for label, _, count in rows])
    marks = np.concatenate([np.arange(count) < right for _, right, count in rows])
    return np.eye(len(rows))[np.where(marks, y, (y + 1) % len(rows))], y


def test_nothing_right_of_ten_is_no_certain_zero() -> None:
    """Every draw of 0 of 10 is 0 of 10; Wilson's interval goes up to 28%, and 10 of 10 down to 72%."""
    answers, y = told((0, 0, 10), (1, 190, 190))
    value, low, high = metric_intervals.bounds(answers, y)["worst_recall"]
    assert (value, low, high) == (0, 0, pytest.approx(0.2775, abs=1e-3))
    assert metric_intervals.worst(answers, y, ("cat", "dog")) == ("cat", 0, 10)
    answers, y = told((0, 10, 10), (1, 10, 10))
    for name, least in (("worst_recall", 0.7225), ("macro_f1", 0.025 ** (1 / 20))):
        assert metric_intervals.bounds(answers, y)[name] == (1, pytest.approx(least, abs=1e-3), 1)


def test_a_rare_class_that_was_all_right_bounds_the_worst() -> None:
    """3 of 3 right may be a class of 44%, whatever the 80% of the other says."""
    answers, y = told((0, 3, 3), (1, 800, 1000))
    value, low, _ = metric_intervals.bounds(answers, y)["worst_recall"]
    assert (value, low) == (0.8, pytest.approx(0.438, abs=1e-3))


def test_groups_are_drawn_whole() -> None:
    """Eight people, two of whom are never told right: draws of people spread, draws of photos hardly do."""
    answers, y = told((0, 600, 800), (1, 800, 800))
    people = np.concatenate([np.arange(800) // 100, np.arange(800) // 100])
    for name in ("macro_f1", "worst_recall"):
        alone, grouped = metric_intervals.bounds(answers, y)[name], metric_intervals.bounds(answers, y, people)[name]
        assert alone[0] == grouped[0]
        assert grouped[2] - grouped[1] > 4 * (alone[2] - alone[1])
    one = metric_intervals.bounds(answers, y, np.zeros(1600, int))
    assert {each[1:] for each in one.values()} == {(0, 1)}, "one group bounds nothing"
    metric = metrics.METRICS["macro-f1"]
    assert np.std(metric.resampled(answers, y, people)) > 4 * np.std(metric.resampled(answers, y))


def test_a_thousand_classes_take_the_memory_of_their_examples() -> None:
    import tracemalloc

    random = np.random.default_rng(0)
    y = random.integers(0, 1000, 500)
    answers = random.normal(size=(500, 1000)).astype(np.float32)
    tracemalloc.start()
    metric_intervals.bounds(answers, y)
    assert tracemalloc.get_traced_memory()[1] < 20e6, "a table of a million cells a draw was 8 GB"
    tracemalloc.stop()


def test_draws_of_many_groups_are_not_in_memory_together() -> None:
    import tracemalloc

    values = np.random.default_rng(0).random(5_000)
    tracemalloc.start()
    means = intervals.means_of_groups(values, np.arange(5_000))
    assert tracemalloc.get_traced_memory()[1] < 2e6, "all draws at once are 80 MB"
    tracemalloc.stop()
    assert means.shape == (intervals.DRAWS,)
    assert means.std() == pytest.approx(values.std() / 5_000**0.5, rel=0.1)
