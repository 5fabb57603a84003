"""Compare outputs of models with those that tasks are defined for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.errors import UserError

VECTORS = (
    "classification and regression have one vector of outputs per example; maps are for the tasks segmentation, "
    "keypoints and image, boxes for `task: detection`, and models of sequences as output are not supported"
)


def is_map(sides: Sequence[int]) -> bool:
    """Return whether more than one axis behind the batch is longer than 1; an open one has 0 or less."""
    return sum(side != 1 for side in sides[1:]) > 1


def words_of(sides: Sequence[int]) -> str:
    """Return the sides of one example's output: `2 × 16 × 16`."""
    return by(sides[1:])


def by(sides: Sequence[int]) -> str:
    """Return sides in words: `2 × 16 × 16`; an open one is `?`."""
    return " × ".join(str(side) if side > 0 else "?" for side in sides) or "a number"


def wanted(sides: Sequence[int]) -> str:
    """Return expected sides in words, where 0 stands for any."""
    return by(sides) + (", where ? is any size" if 0 in sides else "")


def fits(sides: Sequence[int], expected: Sequence[int]) -> bool:
    """Return whether sides are as expected, where 0 stands for any."""
    return len(sides) == len(expected) and all(want in (0, side) for side, want in zip(sides, expected, strict=True))


def open_shape(source: Path, name: str, why: str) -> UserError:
    """Return the error of an output whose size depends on the example."""
    return UserError(
        f"the output `{name}` of `{source}` has an open shape: {why}",
        "choose another output, `output: NAME`, or export the model without the step that counts, such as non-maximum "
        "suppression, which the application then does",
    )


def of_examples(source: Path, name: str, shapes: Sequence[Sequence[int]]) -> UserError:
    """Return the same error of examples that give outputs of several shapes, of which two are told."""
    words = " and ".join(" × ".join(map(str, sides)) or "a number" for sides in shapes[:2])
    return open_shape(source, name, f"examples give {words}")
