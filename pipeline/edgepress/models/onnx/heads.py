"""Describe the outputs of a detector in an ONNX file: as the recipe does, the file itself, or by their shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.boxes import CLASS
from ...core.errors import UserError
from ..decode import Decode
from ..decoder import corners, joined, read, scores
from ..nameless import classes
from ..output_shape import by
from ..usual_yolo import LARGEST, by_shape

if TYPE_CHECKING:
    from ...data.dataset import Dataset


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
    found = decode or stated(own) or by_shape(shapes, len(data.labels), (data.input.shape[1], data.input.shape[2]))
    if found is None:
        words = ", ".join(f"`{name}` {by(sides)}" for name, sides in shapes.items())
        raise UserError(
            f"`{source}` does not say how its outputs become boxes of {len(data.labels)} classes: {words}",
            "describe them: `decode: {coding: distances, boxes: [boxes], scores: [scores], strides: [8, 16]}`",
        )
    return found.model_dump(mode="json", exclude_defaults=True)


def nameless_heads(
    source: Path, shapes: Mapping[str, Sequence[int]], decode: Decode | None, own: dict[str, Any] | None, data: Dataset
) -> dict[str, Any] | None:
    """Return how the outputs become boxes where no class has a name, if recipe or file says it. Raises: UserError."""
    how, one = decode or stated(own), len(data.inputs) == 1 and data.input.kind == "image"
    if decode is not None and not one:
        raise UserError(f"`decode` is of boxes in one picture, which `{source}` does not take alone", "leave it out")
    if how is None or not one or (decode is None and not {*how.names()} <= shapes.keys()):
        return None
    return how.model_dump(mode="json", exclude_defaults=True)


def require_heads(source: Path, outputs: np.ndarray, contract: Mapping[str, Any], data: Dataset) -> None:
    """Raise UserError unless outputs can be decoded as the contract describes them."""
    decode, size = stated(dict(contract)), (data.input.shape[1], data.input.shape[2])
    assert decode is not None, "the metadata was written with it"
    try:
        count = len(data.labels) or classes(outputs, decode, size)
        found = joined(outputs, decode, count)
    except UserError as error:
        raise UserError(f"`{source}`: {error.problems[0].message}", error.problems[0].help) from error
    try:
        corners(found[:1], decode, size)
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
    if decode.coding == "yolox" and found[..., 2:4].max(initial=0) > LARGEST:
        raise UserError(
            f"`{source}` has sides of up to {found[..., 2:4].max():.3g} where `coding: yolox` has their logarithms",
            "are they decoded? `decode: {coding: centre, boxes: [NAME], objectness: behind, activation: none}`",
        )
    values = scores(found, decode)
    if values.min() < -1e-3 or values.max() > 1 + 1e-3:
        raise UserError(
            f"`{source}` has scores from {values.min():.3g} to {values.max():.3g}, and they are from 0 to 1",
            "is there an `activation` to apply, `sigmoid` or `softmax`?",
        )
