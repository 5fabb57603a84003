"""How alike outputs are: no number drowns another."""

from __future__ import annotations

import numpy as np
import pytest
from edgepress.core import likeness
from edgepress.core.columns import joined, split
from edgepress.core.metrics import METRICS

RANDOM = np.random.default_rng(0)
BOXES = RANDOM.uniform(0, 640, (20, 4, 50)).astype(np.float32)
SCORES = (RANDOM.uniform(0, 1, (20, 3, 50)) ** 4).astype(np.float32)
BOTH = np.concatenate([BOXES, SCORES], 1)


def test_arrays_are_joined_by_name_and_split_again() -> None:
    several = joined({"b": BOXES, "a": SCORES})
    assert (several.shape, several.dtype.names) == ((20,), ("b", "a"))
    assert np.array_equal(several[3:5]["a"], SCORES[3:5])
    assert [*split(np.concatenate([several[:2], several[2:]]))] == ["b", "a"]
    assert joined({"b": BOXES}) is BOXES


@pytest.mark.parametrize("axis", [1, 2])
def test_groups_are_found_from_the_ranges_on_either_axis(axis: int) -> None:
    outputs = BOTH if axis == 1 else BOTH.transpose(0, 2, 1)
    first, second = likeness.groups(outputs, "y")
    assert (str(first), str(second)) == ("y, channels 0–3", "y, channels 4–6")
    assert first.high > 600
    assert second.high <= 1


def test_a_score_that_no_example_has_is_of_the_scores() -> None:
    rare = BOTH.copy()
    rare[:, 5] *= 1e-5
    assert [group.channels for group in likeness.groups(rare)] == [(0, 1, 2, 3), (4, 5, 6)]


def test_ranges_that_fall_step_by_step_are_apart_too() -> None:
    columns = RANDOM.uniform(-1, 1, (50, 4)).astype(np.float32) * [640, 100, 10, 2]
    assert [group.channels for group in likeness.groups(columns)] == [(0, 1), (2, 3)]


def test_places_in_a_picture_are_no_channels() -> None:
    """Boxes near the corner are small numbers in every channel, and a border may be black."""
    corner = BOTH.copy()
    corner[:, :4, :10] /= 60
    for outputs in (corner, corner.transpose(0, 2, 1)):
        assert {group.channels for group in likeness.groups(outputs)} == {(0, 1, 2, 3), (4, 5, 6)}
    assert len(likeness.groups(corner[:, :4])) == 1
    pictures = RANDOM.uniform(0, 255, (9, 1, 12, 12)).astype(np.float32)
    pictures[..., :3] /= 300
    assert len(likeness.groups(pictures)) == 1
    assert [group.axis for group in likeness.groups(pictures.transpose(0, 2, 3, 1))] == [2]


def test_a_channel_that_never_changes_is_no_group() -> None:
    still = BOXES.copy()
    still[:, 2] = 0
    assert len(likeness.groups(still)) == 1


def test_the_worst_group_counts_and_not_the_largest_numbers() -> None:
    lost = BOTH.copy()
    lost[:, 4:] = 0
    assert likeness.likeness(BOTH, BOTH) == 1
    assert likeness.likeness(lost, BOTH) == 0
    worst, best = likeness.rows(lost, BOTH, "y")
    assert (worst["group"], worst["cosine"], best["likeness"]) == ("y, channels 4–6", None, 1.0)
    assert worst["sqnr"] <= 0 < best["sqnr"]


def test_one_percent_of_noise_is_twenty_decibels_and_one_point() -> None:
    expected = RANDOM.normal(size=(4000, 2)).astype(np.float32)
    noisy = expected + 0.1 * RANDOM.normal(size=expected.shape).astype(np.float32)
    (row,) = likeness.rows(noisy, expected)
    assert row["sqnr"] == pytest.approx(20, abs=0.3)
    assert row["likeness"] == pytest.approx(0.99, abs=1e-3)


def test_of_scores_with_nothing_to_find_rounding_costs_less_than_a_point() -> None:
    quiet = RANDOM.uniform(0.001, 0.004, (30, 2, 40)).astype(np.float32)
    rounded = np.rint(quiet * 255).astype(np.float32) / 255
    assert likeness.likeness(rounded, quiet) > 0.99
    assert likeness.likeness(quiet + np.float32(0.1), quiet) == 0, "seen where there is nothing"


def test_outputs_that_are_no_numbers_are_not_alike() -> None:
    broken = BOTH.copy()
    broken[0, 0, 0] = np.nan
    assert likeness.likeness(broken, BOTH) == 0


def test_what_is_the_same_for_every_example_is_found() -> None:
    outputs = joined({"still": np.ones((9, 3), np.float32), "moves": RANDOM.normal(size=(9, 3)).astype(np.float32)})
    assert likeness.constant(outputs, likeness.groups(outputs)) == ["still"]
    assert likeness.constant(outputs[:1], likeness.groups(outputs)) == []


def test_agreement_of_outputs_without_classes_is_their_likeness() -> None:
    several = joined({"b": BOXES, "s": SCORES})
    noisy = joined({"b": BOXES + 5 * RANDOM.normal(size=BOXES.shape).astype(np.float32), "s": SCORES})
    metric = METRICS["agreement"]
    assert metric(noisy, several) == likeness.likeness(noisy, several) < 1
    draws = metric.resampled(noisy, several)
    assert len(draws) == 1000
    assert min(draws) <= metric(noisy, several) <= max(draws)


def test_nothing_is_alike_to_what_is_never_finite() -> None:
    dead = BOTH.copy()
    dead[:, 4:] = np.nan
    of = likeness.groups(dead)
    assert [group.channels for group in of] == [(0, 1, 2, 3), (4, 5, 6)]
    assert likeness.by_group(likeness.parts(dead, dead, of).sum(0)).tolist() == [1, -np.inf]
    assert likeness.likeness(dead, dead) == likeness.likeness(BOTH, dead) == 0
    several = joined({"a": SCORES, "b": np.full_like(SCORES, np.inf)})
    assert likeness.likeness(several, several) == 0
    assert likeness.never_finite(several) == ["b"]
    assert likeness.never_finite(dead, "y") == ["y, channels 4–6"]
    assert METRICS["agreement"].resampled(dead, dead)[:3] == [0, 0, 0]


def test_one_infinite_number_hides_no_difference() -> None:
    expected = SCORES.copy()
    expected[3, 1, 7] = np.inf
    assert likeness.likeness(expected, expected) == 1
    assert likeness.likeness(1 - expected, expected) == 0
    assert likeness.never_finite(expected) == []
