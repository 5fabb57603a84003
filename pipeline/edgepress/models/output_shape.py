"""Distinguish outputs that tasks are defined for, vectors, from maps."""

from __future__ import annotations

from collections.abc import Sequence

VECTORS = (
    "supported tasks have one vector of outputs per example: classification and regression; models of detection, "
    "segmentation, or of sequences as output are not supported"
)


def is_map(sides: Sequence[int]) -> bool:
    """Return whether more than one axis behind the batch is longer than 1; an open one has 0 or less."""
    return sum(side != 1 for side in sides[1:]) > 1


def words_of(sides: Sequence[int]) -> str:
    """Return the sides of one example's output: `2 × 16 × 16`."""
    return " × ".join(str(side) if side > 0 else "?" for side in sides[1:])
