"""Describe the outputs of a detector in an ONNX file: as the recipe does, the file itself, or by their shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import UserError
from ..decode import Decode
from ..decoder import centres, corners, joined, scores
from ..output_shape import by

if TYPE_CHECKING:
    import numpy as np

    from ...data.dataset import Dataset

STRIDES = (8, 16, 32)
"""Of the usual YOLO's three maps."""


def heads(decode: Decode | None, own: Mapping[str, Any] | None) -> list[str]:
    """Return the outputs that `decode`, or else that of the file's own metadata, names; none without either."""
    known = decode or (Decode.model_validate(own["decode"]) if own and "decode" in own else None)
    return known.names() if known else []


def described_heads(
    source: Path,
    shapes: Mapping[str, Sequence[int]],
    decode: Decode | None,
    own: Mapping[str, Any] | None,
    data: Dataset,
) -> dict[str, Any]:
    """Return how the outputs, of these shapes with a batch of 1, become boxes. Raises: UserError where nobody knows."""
    if decode is None and own and "decode" in own:
        kept: dict[str, Any] = own["decode"]
        return kept
    found = decode or _recognized(shapes, len(data.labels), (data.input.shape[1], data.input.shape[2]))
    if found is None:
        words = ", ".join(f"`{name}` {by(sides)}" for name, sides in shapes.items())
        raise UserError(
            f"`{source}` does not say how its outputs become boxes of {len(data.labels)} classes: {words}",
            "describe them: `decode: {coding: distances, boxes: [boxes], scores: [scores], strides: [8, 16]}`",
        )
    return found.model_dump(mode="json", exclude_defaults=True)


def _recognized(shapes: Mapping[str, Sequence[int]], classes: int, size: tuple[int, int]) -> Decode | None:
    """Return the description of one output of a YOLOX, or of a YOLOv8 or YOLO11 that decodes in its graph; else None.

    They are told by the number of places, that of three maps, and of numbers for each. Scores are made in the graph.
    """
    if len(shapes) != 1 or len(sides := next(iter(shapes.values()))) != 3:
        return None
    grid = Decode(coding="yolox", boxes=tuple(shapes), strides=STRIDES, objectness="behind", activation="none")
    places = len(centres(grid, size))
    if sorted(sides[1:]) == sorted((places, classes + 5)):
        return grid
    if sorted(sides[1:]) == sorted((places, classes + 4)):
        return Decode(coding="centre", boxes=tuple(shapes), activation="none")
    return None


def require_heads(source: Path, outputs: np.ndarray, contract: Mapping[str, Any], data: Dataset) -> None:
    """Raise UserError unless outputs can be decoded as the contract describes them."""
    decode, size = Decode.model_validate(contract["decode"]), (data.input.shape[1], data.input.shape[2])
    try:
        found = joined(outputs, decode, len(data.labels))
        corners(found[:1], decode, size)
    except UserError as error:
        raise UserError(f"`{source}`: {error.problems[0].message}", error.problems[0].help) from error
    except ValueError as error:
        raise UserError(
            f"`{source}` has {found.shape[1]} places, and `decode` has others for {by(size)} pixels",
            "are `strides`, or `levels`, those of the maps, finest first?",
        ) from error
    values = scores(found, decode)
    if values.min() < -1e-3 or values.max() > 1 + 1e-3:
        raise UserError(
            f"`{source}` has scores from {values.min():.3g} to {values.max():.3g}, and they are from 0 to 1",
            "is there an `activation` to apply, `sigmoid` or `softmax`?",
        )
