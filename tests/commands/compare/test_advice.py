"""What to try next: from the gain of more labels, of more compute, and of better or more different teachers."""

from __future__ import annotations

import pytest
from edgepress.commands.compare import advice, verdict
from edgepress.commands.compare.results import Comparison

from tests.commands.compare.test_verdict import comparison, words


def said(found: Comparison) -> str:
    (line,) = advice.next_step(found)
    return line


def test_the_labels_that_would_do_as_well_are_extrapolated_from_the_second_half() -> None:
    """A doubling brought 4 points and distilling 8: two doublings, so 4 times 90 labels."""
    found = comparison({"plain": 0.80, "half": 0.76, "longer": 0.80, "distill": 0.88, "teacher": 0.90})
    line = said(found)
    assert "about 4" in line or "about 3.9" in line or "about 4.1" in line, line
    assert "times as many" in line
    assert line in words(found)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"plain": 0.80, "half": 0.795, "distill": 0.92, "teacher": 0.93}, "keep distilling: labels alone would need"),
        ({"plain": 0.80, "half": 0.76, "distill": 0.80, "teacher": 0.9}, "more labels, since the second half of these"),
        ({"plain": 0.80, "half": 0.80, "longer": 0.90, "distill": 0.80, "teacher": 0.9}, "train the student longer"),
        ({"plain": 0.80, "longer": 0.85, "distill": 0.85, "teacher": 0.90}, "train the student longer on labels"),
        ({"plain": 0.80, "distill": 0.80, "teacher": 0.80, "fuse": 0.85}, "a stronger teacher"),
        ({"plain": 0.80, "distill": 0.84, "teacher": 0.90, "fuse": 0.90}, "teachers that differ more"),
    ],
    ids=lambda each: each if isinstance(each, str) else None,
)  # fmt: skip
def test_the_first_thing_that_would_help(shares: dict[str, float], expected: str) -> None:
    assert expected in said(comparison(shares))


def test_nothing_is_said_where_everything_helped_or_where_recipes_stand_side_by_side() -> None:
    found = comparison({"plain": 0.80, "distill": 0.84, "both": 0.87, "teacher": 0.90, "fuse": 0.93})
    assert advice.next_step(found) == []
    alike = comparison(dict.fromkeys(("plain", "teacher", "fuse"), 0.8)).model_copy(update={"source": ["a", "b"]})
    assert advice.next_step(alike) == []


def test_the_route_that_only_estimates_is_never_picked() -> None:
    found = comparison({"plain": 0.80, "half": 0.90})
    assert "Verdict: plain" in " ".join(verdict.words(found))
    assert "against half" not in words(found)
