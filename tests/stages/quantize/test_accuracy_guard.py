"""What integers may lose: points of a share, percent of an error, and without labels points of likeness."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from edgepress.core.metric import plain
from edgepress.core.metrics import METRICS
from edgepress.data.dataset import Dataset
from edgepress.stages.quantize.accuracy_guard import guard, likeness


def logits(seed: int = 0, count: int = 400, classes: int = 10, sure: float = 4.0) -> np.ndarray:
    return (sure * np.random.default_rng(seed).normal(size=(count, classes))).astype(np.float32)


def test_a_share_falls_by_points(few: Dataset) -> None:
    expected = logits(count=100)
    y = expected.argmax(1)
    y[:10] = (y[:10] + 1) % 10
    kept = guard(expected, y, few, METRICS["accuracy"], 2.0, None)
    assert [(each.by, each.of, round(each.least, 9)) for each in kept.criteria] == [("accuracy", "stage", 0.88)]
    worse = expected.copy()
    worse[10:12] = -worse[10:12]
    assert kept.margin(worse) == 0, "two points exactly are two points"
    worse[12] = -worse[12]
    assert kept.margin(worse) == -1
    notes = kept.notes({"x86": expected, "xnnpack": worse})[0]
    assert notes["found"] == {"x86": pytest.approx(0.9), "xnnpack": pytest.approx(0.87)}
    assert notes["missed"] == ["xnnpack"]


def test_the_recipe_asks_beside_the_stage(few: Dataset) -> None:
    """As far as the float model has it: integers are not asked for more than that."""
    expected = logits(count=100)
    y = expected.argmax(1)
    for floor, least in ((99.5, 0.995), (80.0, 0.8), (200.0, 1.0)):
        kept = guard(expected, y, few, METRICS["accuracy"], 1.0, floor)
        assert [each.of for each in kept.criteria] == ["stage", "recipe"]
        assert kept.criteria[1].least == pytest.approx(least)


@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e4], ids=str)
@pytest.mark.parametrize("name", ["mae", "own"])
def test_an_error_grows_by_percent_of_itself_whatever_its_unit(name: str, unit: float, few: Dataset) -> None:
    random = np.random.default_rng(0)
    y = (unit * random.normal(size=(200, 2))).astype(np.float32)
    data = replace(few, task="regression", labels=("a", "b"))
    own = plain("own", lambda answers, y: float(np.abs(answers - y).mean()), higher=False)
    expected = y + np.float32(unit)
    kept = guard(expected, y, data, own if name == "own" else METRICS[name], 5.0, None)
    assert kept.criteria[0].least == pytest.approx(1.05 * unit, rel=1e-4)
    assert kept.margin(y + np.float32(1.04 * unit)) > 0
    assert kept.margin(y + np.float32(1.06 * unit)) < 0


def test_an_error_near_zero_may_grow_by_what_8_bits_cannot_tell(few: Dataset) -> None:
    """The labels are the float model's own answers: percent of nothing would ask for the impossible."""
    y = np.random.default_rng(0).uniform(-1, 1, size=(200, 1)).astype(np.float32)
    data = replace(few, task="regression", labels=("a",))
    kept = guard(y, y, data, METRICS["mae"], 1.0, None)
    assert 0 < kept.criteria[0].least <= 2 / 510
    asked = guard(y, y, data, METRICS["mae"], 1.0, 0.0)
    assert asked.criteria[1].least == 0, "the recipe's own is what it is"


def test_the_recipes_error_is_a_share_on_other_examples_too(few: Dataset) -> None:
    """On the examples that decide, the float model may be worse than on all that the recipe's limit is from."""
    y = np.random.default_rng(0).normal(size=(200, 1)).astype(np.float32)
    data = replace(few, task="regression", labels=("a",))
    kept = guard(y + 2, y, data, METRICS["mae"], 50.0, 105.0, None, 1.0)
    assert kept.criteria[1].least == pytest.approx(2.1)


def test_an_error_of_classes_has_a_share_too(few: Dataset) -> None:
    """A user's metric where lower is better: no label is a number there to compare it with."""
    expected = logits(count=100)
    y = (expected.argmax(1) + (np.arange(100) < 20)) % 10
    wrong = plain("wrong", lambda answers, y: float((answers.argmax(1) != y).mean()), higher=False)
    kept = guard(expected, y, few, wrong, 10.0, None)
    assert kept.criteria[0].least == pytest.approx(0.22)


def test_answers_that_are_no_numbers_keep_nothing(few: Dataset) -> None:
    """The largest of no numbers is the first, which may be right."""
    expected = logits(count=50)
    kept = guard(expected, np.zeros(50, np.int64), few, METRICS["accuracy"], 100.0, None)
    assert kept.margin(expected) >= 0
    assert kept.margin(np.full_like(expected, np.nan)) == -np.inf


def test_without_labels_likeness_is_asked_for(few: Dataset) -> None:
    bare = replace(few, labelled=False)
    expected = logits()
    kept = guard(expected, np.zeros(400, np.int64), bare, METRICS["agreement"], 1.0, None)
    assert [(each.by, each.least) for each in kept.criteria] == [("likeness", 0.99)]
    assert kept.margin(expected) == pytest.approx(1)
    assert kept.margin(logits(seed=1)) < -90, "answers of another model"
    noise = np.random.default_rng(2).normal(size=expected.shape).astype(np.float32)
    assert kept.margin(expected + 0.05 * noise) > 0
    assert kept.margin(expected + 4 * noise) < 0


def test_boxes_of_a_detector_without_labels_have_to_stay_where_they_are(few: Dataset) -> None:
    """Numbers may be alike by 99.9% where boxes are not: corners lie all over the picture."""
    random, count = np.random.default_rng(0), 40
    at = random.uniform(0, 400, (count, 2, 2))
    sides = np.full((count, 2, 2), 16.0)
    row = np.concatenate([at, at + sides, np.full((count, 2, 1), 0.9), np.zeros((count, 2, 1))], 2).astype(np.float32)
    bare = replace(few, labels=(), labelled=False)
    asked = (row, np.zeros(count, np.int64), bare, METRICS["agreement"], 1.0, None)
    kept = guard(*asked, detections=lambda outputs: outputs)
    assert [(each.by, each.least) for each in kept.criteria] == [("agreement of boxes", 0.95)]
    moved = row + np.array([3, 3, 3, 3, 0, 0], np.float32)
    assert guard(*asked).margin(moved) > 0, "alike as numbers"
    assert kept.margin(moved) < -50
    assert kept.margin(row) == pytest.approx(5)
    assert kept.holds_boxes(row)
    assert not kept.holds_boxes(moved)
    lax = guard(*asked[:4], 30.0, None, detections=lambda outputs: outputs)
    assert [each.least for each in lax.criteria] == [0.5], "never a file that finds other boxes"
    few_boxes = guard(*asked[:1], *asked[1:], detections=lambda outputs: outputs[:20])
    assert [each.by for each in few_boxes.criteria] == ["likeness"]


def test_with_labels_agreement_does_not_count_by_them(few: Dataset) -> None:
    expected = logits(count=100)
    kept = guard(expected, np.zeros(100, np.int64), few, METRICS["agreement"], 1.0, 90.0, expected.argmax(1))
    assert [(each.by, each.of, each.reference) for each in kept.criteria] == [
        ("likeness", "stage", 1.0),
        ("agreement", "recipe", 1.0),
    ]


def test_where_the_float_model_hesitates_either_answer_is_nearly_right() -> None:
    expected = logits(sure=0.0)
    expected[:, 3], expected[:, 4] = 5.0, 5.01
    other = expected.copy()
    other[:, 3] = 5.02
    assert (other.argmax(1) != expected.argmax(1)).all()
    assert likeness(other, expected) > 0.98
    other[:, 5] = 6
    assert likeness(other, expected) < -0.01 + 0.02


@pytest.mark.parametrize("sure", [0.01, 1.0, 20.0])
def test_chance_is_no_likeness_however_sure_the_model_is(sure: float) -> None:
    """An untrained network gives all classes nearly the same: a loss in probability alone would be small."""
    assert likeness(logits(seed=1, count=5000), logits(count=5000, sure=sure)) == pytest.approx(0, abs=0.05)
    assert likeness(logits(sure=sure), logits(sure=sure)) == 1
    assert likeness(np.full((400, 10), np.nan, np.float32), logits(sure=sure)) == 0


def test_likeness_is_the_accuracy_that_is_left_where_probabilities_are_right() -> None:
    """Labels drawn by the float model's own probabilities, and noisy answers: the loss is told without them."""
    random = np.random.default_rng(0)
    expected = logits(count=20_000, sure=2.0)
    shares = np.exp(expected) / np.exp(expected).sum(1, keepdims=True)
    y = (shares.cumsum(1) > random.random((len(shares), 1))).argmax(1)
    found = expected + random.normal(size=expected.shape).astype(np.float32)
    before, after = ((each.argmax(1) == y).mean() for each in (expected, found))
    assert likeness(found, expected) == pytest.approx((after - 0.1) / (before - 0.1), abs=0.02)
