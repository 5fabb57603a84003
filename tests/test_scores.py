"""Accuracy and likelihood, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from pipeline import scores


def test_as_scikit_learn_has_them() -> None:
    random = np.random.default_rng(0)
    logits, labels = random.normal(0, 3, (200, 10)).astype(np.float32), random.integers(0, 10, 200)
    exponentials = np.exp(logits.astype(np.float64))
    shares = exponentials / exponentials.sum(1, keepdims=True)
    assert scores.accuracy(logits, labels) == accuracy_score(labels, logits.argmax(1))
    assert scores.nll(logits, labels) == pytest.approx(log_loss(labels, shares, labels=range(10)))


def test_logits_beyond_the_range_of_exp_stay_finite() -> None:
    logits = np.array([[3e4, 0.0], [0.0, -3e4]], np.float32)
    assert scores.nll(logits, np.array([0, 0])) == 0
    assert scores.nll(logits, np.array([1, 1])) == pytest.approx(3e4)


def test_a_constant_shift_changes_nothing() -> None:
    logits, labels = np.random.default_rng(1).normal(size=(50, 4)), np.arange(50) % 4
    assert scores.nll(logits + 100, labels) == pytest.approx(scores.nll(logits, labels))


def test_the_bounds_of_a_classifier_are_those_of_drawing_its_examples() -> None:
    random = np.random.default_rng(3)
    y = random.integers(0, 4, 600) % 3
    answers = np.eye(3)[np.where(random.uniform(size=600) < 0.8, y, (y + 1) % 3)] + random.normal(0, 0.1, (600, 3))
    found = scores.bounds(answers, y)
    for name, metric in (("macro_f1", scores.METRICS["macro-f1"]), ("worst_recall", scores.METRICS["worst-recall"])):
        value, low, high = found[name]
        assert value == pytest.approx(metric(answers, y))
        assert (low, high) == pytest.approx(np.percentile(metric.resampled(answers, y), [2.5, 97.5]), abs=0.012)
    assert scores.bounds(answers, np.eye(3)[y]) == {}
    assert scores.bounds(answers, y.astype(np.float32)) == {}
