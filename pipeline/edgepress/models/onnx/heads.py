"""Describe the outputs of a detector in an ONNX file: as the recipe does, the file itself, or by their shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.boxes import CLASS
from ...core.errors import UserError
from ..decode import COLUMNS, Decode
from ..decoder import centres, corners, joined, read, scores
from ..nameless import STRIDES, classes
from ..output_shape import by

if TYPE_CHECKING:
    from ...data.dataset import Dataset

MOST = 1000
"""Rows of detections: YOLOv10 has 300."""


def stated(own: dict[str, Any] | None) -> Decode | None:
    """Return how boxes are decoded by a file's own metadata, if that says it."""
    key = next((key for key in ("decode", "boxes") if own and key in own), None)
    return read({"decode": own[key]}) if own and key else None


def heads(decode: Decode | None, own: dict[str, Any] | None) -> list[str]:
    """Return the outputs that `decode`, or else that of the file's own metadata, names; none without either."""
    known = decode or stated(own)
    return known.names() if known else []


def described_heads(
    source: Path,
    shapes: Mapping[str, Sequence[int]],
    decode: Decode | None,
    own: dict[str, Any] | None,
    data: Dataset,
) -> dict[str, Any]:
    """Return how the outputs, of these shapes with a batch of 1, become boxes. Raises: UserError where nobody knows."""
    found = decode or stated(own) or _recognized(shapes, len(data.labels), (data.input.shape[1], data.input.shape[2]))
    if found is None:
        words = ", ".join(f"`{name}` {by(sides)}" for name, sides in shapes.items())
        raise UserError(
            f"`{source}` does not say how its outputs become boxes of {len(data.labels)} classes: {words}",
            "describe them: `decode: {coding: distances, boxes: [boxes], scores: [scores], strides: [8, 16]}`",
        )
    return found.model_dump(mode="json", exclude_defaults=True)


def _recognized(shapes: Mapping[str, Sequence[int]], classes: int, size: tuple[int, int]) -> Decode | None:
    """Return the description of one output of a YOLOX, a YOLOv8 or YOLO11 that decodes in its graph, or a YOLOv10.

    The former have the places of three maps; the latter has some hundred rows of six numbers. Scores are made in the
    graph. None for any other.
    """
    if len(shapes) != 1 or len(sides := next(iter(shapes.values()))) != 3:
        return None
    grid = Decode(coding="yolox", boxes=tuple(shapes), strides=STRIDES, objectness="behind", activation="none")
    places = len(centres(grid, size))
    if sorted(sides[1:]) == sorted((places, classes + 5)):
        return grid
    if sorted(sides[1:]) == sorted((places, classes + 4)):
        return Decode(coding="centre", boxes=tuple(shapes), activation="none")
    if sides[2] == COLUMNS and sides[1] <= MOST:
        return Decode(coding="detections", boxes=tuple(shapes))
    return None


def require_heads(source: Path, outputs: np.ndarray, contract: Mapping[str, Any], data: Dataset) -> None:
    """Raise UserError unless outputs can be decoded as the contract describes them."""
    decode, size = stated(dict(contract)), (data.input.shape[1], data.input.shape[2])
    assert decode is not None, "the metadata was written with it"
    try:
        count = len(data.labels) or classes(outputs, decode, size)
        found = joined(outputs, decode, count)
        corners(found[:1], decode, size)
    except UserError as error:
        raise UserError(f"`{source}`: {error.problems[0].message}", error.problems[0].help) from error
    except ValueError as error:
        raise UserError(
            f"`{source}` has {found.shape[1]} places, and `decode` has others for {by(size)} pixels",
            "are `strides`, or `levels`, those of the maps, finest first?",
        ) from error
    if decode.coding == "detections" and data.labels and not np.isin(found[..., CLASS], range(-1, count)).all():
        raise UserError(
            f"`{source}` has rows of six numbers whose last one is no class from 0 to {count - 1}",
            "`detections` are x0, y0, x1, y1, score and class; describe others by `decode:`",
        )
    values = scores(found, decode)
    if values.min() < -1e-3 or values.max() > 1 + 1e-3:
        raise UserError(
            f"`{source}` has scores from {values.min():.3g} to {values.max():.3g}, and they are from 0 to 1",
            "is there an `activation` to apply, `sigmoid` or `softmax`?",
        )
