"""Recognize the one output of a usual YOLO: with class names by its shape, and without them by its values too.

A YOLOv8 or YOLO11 that decodes in its graph has (4 + classes, places), a YOLOX (places, 5 + classes); their places are
those of three maps. A YOLOv10 has some hundred rows of six numbers. Scores are made in the graph.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from .decode import COLUMNS, Decode

STRIDES = (8, 16, 32)
MOST = 1000
"""Rows of detections: YOLOv10 has 300."""
LARGEST = 10
"""Logarithm of a side, in strides: no picture is as large."""
_NEAR = 1e-3


def usual_places(size: tuple[int, int]) -> int:
    """Return the places of the three maps of a picture of height and width."""
    return sum(math.prod(-(-side // stride) for side in size) for stride in STRIDES)


def by_shape(shapes: Mapping[str, Sequence[int]], classes: int, size: tuple[int, int]) -> Decode | None:
    """Return how outputs of these shapes, with the batch of 1, become boxes of so many classes; None of others."""
    if len(shapes) != 1 or len(sides := next(iter(shapes.values()))) != 3:
        return None
    (name,), places = shapes, usual_places(size)
    if sorted(sides[1:]) == sorted((places, classes + 5)):
        return _grid(name)
    if sorted(sides[1:]) == sorted((places, classes + 4)):
        return Decode(coding="centre", boxes=(name,), activation="none")
    if sides[2] == COLUMNS and sides[1] <= MOST:
        return Decode(coding="detections", boxes=(name,))
    return None


def by_outputs(outputs: np.ndarray, name: str, size: tuple[int, int]) -> Decode | None:
    """Return how the one output called `name`, float32 (n, …), becomes boxes; None of others.

    Of a YOLOX the sides are logarithms, or pixels where it decodes in its graph. Scores are from 0 to 1: keypoints and
    angles are not.
    """
    sides, places = outputs.shape[1:], usual_places(size)
    if outputs.dtype.names or len(sides) != 2 or places not in sides:
        return None
    rows = sides[0] == places
    table = outputs if rows else outputs.swapaxes(1, 2)
    decode = Decode(coding="centre", boxes=(name,), objectness="behind" if rows else (), activation="none")
    if rows and np.abs(table[..., 2:4]).max(initial=0) <= LARGEST:
        decode = _grid(name)
    scores = table[..., decode.numbers :]
    if scores.shape[2] < 1 + rows or not (scores.min() >= -_NEAR and scores.max() <= 1 + _NEAR):
        return None
    return decode


def _grid(name: str) -> Decode:
    return Decode(coding="yolox", boxes=(name,), strides=STRIDES, objectness="behind", activation="none")
