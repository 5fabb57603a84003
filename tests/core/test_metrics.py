"""Accuracy and likelihood, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from edgepress.core import intervals, metric_functions, metric_intervals, metrics
from edgepress.core.metric import plain
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


def cases() -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Outputs and labels of each task, with ties among the scores."""
    random = np.random.default_rng(5)
    y, marks = random.integers(0, 5, 200), (random.random((150, 4)) < 0.3).astype(np.uint8)
    logits = (random.normal(size=(200, 5)) + np.eye(5)[y]).astype(np.float32)
    numbers = random.normal(size=(120, 3)).astype(np.float32)
    return [
        ("single-label", logits, y),
        ("multi-label", np.round(random.normal(size=(150, 4)) + marks, 1).astype(np.float32), marks),
        ("regression", numbers + random.normal(0, 0.1, (120, 3)).astype(np.float32), numbers),
    ]


def naive(name: str, outputs: np.ndarray, y: np.ndarray) -> float:
    """The metric as it was computed before it had parts, of all outputs at once."""
    from scipy.special import logsumexp
    from scipy.stats import rankdata

    if name == "mae":
        return float(np.abs(outputs - y).mean())
    classes = np.arange(outputs.shape[1])
    predicted = outputs > 0 if y.ndim > 1 else outputs.argmax(1)[:, None] == classes
    true = y > 0 if y.ndim > 1 else y[:, None] == classes
    seen, hits = true.any(0), (predicted & true).sum(0)
    if name == "macro-f1":
        return float((2 * hits / np.maximum(2 * hits + (predicted ^ true).sum(0), 1))[seen].mean())
    if name == "worst-recall":
        return float((hits[seen] / true.sum(0)[seen]).min())
    if name == "auc":
        odds, areas = outputs if y.ndim > 1 else outputs - logsumexp(outputs, axis=1, keepdims=True), []
        for score, mark in zip(odds.T, true.T, strict=True):
            positive, negative = int(mark.sum()), int((~mark).sum())
            if positive and negative:
                wins = rankdata(score)[mark].sum() - positive * (positive + 1) / 2
                areas.append(wins / (positive * negative))
        return float(np.mean(areas)) if areas else 0.5
    return float((outputs.argmax(1) == y).mean() if y.ndim == 1 else ((outputs > 0) == (y > 0)).mean())


@pytest.mark.parametrize("grouped", [False, True])
def test_draws_are_to_the_digit_those_of_scoring_anew(grouped: bool) -> None:
    """An accepted baseline keeps its draws, which those of today are paired with."""
    for task, outputs, y in cases():
        groups = np.arange(len(y)) % 7 if grouped else None
        random = np.random.default_rng(len(y))
        rows = [np.flatnonzero(groups == group) for group in range(7)] if groups is not None else []
        for name, metric in metrics.METRICS.items():
            if task not in metric.tasks:
                continue
            random = np.random.default_rng(len(y))
            if grouped:
                drawn = [np.concatenate([rows[g] for g in random.integers(0, 7, 7)]) for _ in range(60)]
            else:
                drawn = [random.integers(0, len(y), len(y)) for _ in range(60)]
            before = [round(naive(name, outputs[draw], y[draw]), 6) for draw in drawn]
            now = metric.resampled(outputs, y, groups)
            assert (now[:60], len(now)) == (before, 1000), (task, name)
            assert metric(outputs, y) == naive(name, outputs, y)


def test_the_sums_are_scikit_learns() -> None:
    from scipy.special import softmax
    from sklearn.metrics import f1_score, mean_absolute_error, recall_score, roc_auc_score

    (_, logits, y), (_, scores, marks), (_, numbers, truth) = cases()
    table = metrics.METRICS
    for outputs, labels, predicted in ((logits, y, logits.argmax(1)), (scores, marks, scores > 0)):
        mean = f1_score(labels, predicted, average="macro")
        assert table["macro-f1"](outputs, labels) == pytest.approx(mean, abs=1e-12)
        worst = recall_score(labels, predicted, average=None).min()
        assert table["worst-recall"](outputs, labels) == pytest.approx(worst, abs=1e-12)
    # A softmax in float32 rounds odds to ties, which rank otherwise.
    exact = roc_auc_score(y, softmax(logits.astype(np.float64), 1), multi_class="ovr")
    assert table["auc"](logits.astype(np.float64), y) == pytest.approx(exact, abs=1e-12)
    assert table["auc"](scores, marks) == pytest.approx(roc_auc_score(marks, scores), abs=1e-12)
    assert table["mae"](numbers, truth) == pytest.approx(mean_absolute_error(truth, numbers), abs=1e-7)


def test_a_score_that_is_no_number_ranks_nowhere() -> None:
    _, outputs, y = cases()[0]
    outputs = outputs.copy()
    outputs[3, 2] = np.nan
    assert np.isnan(metrics.METRICS["auc"](outputs, y))


@pytest.mark.parametrize(("seconds", "draws"), [(0.001, 1000), (0.21, 39), (0.39, 21), (0.5, 0)])
def test_a_slow_metric_is_drawn_for_a_few_seconds(seconds: float, draws: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def slow(outputs: np.ndarray, y: np.ndarray) -> float:
        clock[0] += seconds
        return float(np.abs(outputs - y).mean())

    monkeypatch.setattr("edgepress.core.metric.monotonic", lambda: clock[0])
    _, outputs, y = cases()[2]
    found = plain("slow", slow).resampled(outputs, y)
    assert len(found) == draws
    assert found == metrics.METRICS["mae"].resampled(outputs, y)[:draws], "the first of the same draws"


def test_few_draws_hold_the_truth_as_often_as_they_say() -> None:
    """Percentiles of 20 draws, which span them, hold it in 90% of samples; the cheap bootstrap in 95%."""
    random, held = np.random.default_rng(0), {"percentile": 0, "cheap": 0}
    for _ in range(1000):
        sample = random.normal(size=80)
        draws = sample[random.integers(0, 80, (20, 80))].mean(1)
        low, high = np.percentile(draws, [2.5, 97.5])
        held["percentile"] += low <= 0 <= high
        low, high = intervals.of_draws(float(sample.mean()), draws, 80)
        held["cheap"] += low <= 0 <= high
    assert held["percentile"] < 920
    assert held["cheap"] > 935
    assert intervals.of_draws(0.0, [0.0] * 19, 80) == (-np.inf, np.inf)


def test_what_is_no_number_is_never_right() -> None:
    """The largest of NaN is the first class for numpy, and NaN is not above 0: nearly all would be right."""
    nothing, y = np.full((100, 2), np.nan, np.float32), np.repeat([0, 1], [95, 5])
    for name in ("accuracy", "macro-f1", "worst-recall"):
        assert metrics.METRICS[name](nothing, y) == 0
    assert metric_intervals.worst(nothing, y, ("normal", "defect")) == ("normal", 0, 95)
    assert {value for value, _, _ in metric_intervals.bounds(nothing, y).values()} == {0.0}
    assert metric_functions.agreement(nothing, nothing, y) == 0
    some = np.where(np.arange(100)[:, None] < 20, nothing, np.eye(2, dtype=np.float32)[y])
    assert metrics.METRICS["accuracy"](some, y) == pytest.approx(0.8)
    marks = np.zeros((100, 2), np.float32)
    assert metrics.METRICS["accuracy"](nothing, marks) == 0
    assert metric_functions.agreement(nothing, marks - 1, marks) == 0
    assert metric_functions.agreement(marks - 1, nothing, marks) == 0


@pytest.mark.parametrize("name", ["macro-f1", "worst-recall"])
def test_a_draw_without_any_positive_counts_nothing(name: str) -> None:
    marks = np.zeros((50, 1), np.float32)
    marks[:2] = 1
    draws = metrics.METRICS[name].resampled(2 * marks - 1, marks)
    assert min(draws) == 0, "one of seven has no positive"
    assert not np.isnan(draws).any()
    assert np.isnan(metrics.METRICS[name](-marks, 0 * marks))
