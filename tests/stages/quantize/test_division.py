"""Which validation examples ranges come from, and which decide."""

from __future__ import annotations

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.stages.quantize.division import divided


def test_both_are_apart_and_spread_over_the_split() -> None:
    seen, held = divided(4000, 256)
    assert (len(seen), len(held)) == (256, 512)
    assert not {*seen} & {*held}
    for rows in (np.sort(seen), held):
        assert np.diff(rows).max() < 4000 / len(rows) + 3


def test_the_first_examples_of_a_split_that_is_sorted_by_class_are_of_every_class() -> None:
    """Operators are ranked on the first ones alone."""
    classes = np.arange(4000) // 400
    assert len({*classes[divided(4000, 256)[0][:16]]}) == 10


@pytest.mark.parametrize("count", [2, 3, 10])
def test_few_examples_leave_some_for_both(count: int) -> None:
    seen, held = divided(count, 256)
    assert sorted([*seen, *held]) == [*range(count)]
    assert len(seen)
    assert len(held)


def test_one_example_is_refused() -> None:
    with pytest.raises(UserError):
        divided(1, 256)
