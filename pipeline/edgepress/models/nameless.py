"""Decode a detector's boxes where no data set names its classes: their number follows from the outputs.

The metadata of such a file has `boxes`, what `decode` of the stage `load` said; `decode` is that of classes with names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.columns import split
from ..core.errors import UserError
from . import decoder
from .decode import Decode

STRIDES = (8, 16, 32)
"""Of the usual YOLO's three maps."""


def described(contract: dict[str, Any]) -> Decode | None:
    """Return how outputs become boxes: as the metadata says, or as the usual one output of a YOLO does; None else.

    A YOLOv8 or YOLO11 that decodes in its graph has (1, 4 + classes, places), and a YOLOX (1, places, 5 + classes).
    """
    if "boxes" in contract:
        return decoder.read({"decode": contract["boxes"]})
    shape, outputs = contract["inputs"][0].get("shape", ()), contract["outputs"]
    sides = tuple(outputs[0]["shape"][1:])
    if contract["labels"] or len(shape) != 4 or len(outputs) != 1 or len(sides) != 2:
        return None
    names = (outputs[0]["name"],)
    grid = Decode(coding="yolox", boxes=names, strides=STRIDES, objectness="behind", activation="none")
    places = len(decoder.centres(grid, (shape[2], shape[3])))
    if sides[1] == places and 4 < sides[0] < places:
        return Decode(coding="centre", boxes=names, activation="none")
    return grid if sides[0] == places and 5 < sides[1] < places else None


def decoder_of(contract: dict[str, Any]) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return what decodes outputs (n, …), one array or structured, into boxes (n, most, 6); None of other models.

    Raises, when called: UserError for outputs that are not as described.
    """
    decode = described(contract)
    if decode is None:
        return None
    size = tuple(contract["inputs"][0]["shape"][2:])

    def detections(outputs: np.ndarray) -> np.ndarray:
        heads = decoder.joined(outputs, decode, classes(outputs, decode, size))
        return decoder.detections(heads, decode, size)

    return detections


def classes(outputs: np.ndarray, decode: Decode, size: tuple[int, int]) -> int:
    """Return of how many classes there are scores: what is left of the numbers of a place.

    In one output of decoded boxes the longer axis is that of the places. Raises: UserError where nothing is left.
    """
    if decode.coding == "detections":
        return 1  # its rows hold the class
    named = split(outputs)

    def sides(name: str) -> tuple[int, ...]:
        array = named.get(name, named.get(""))
        return () if array is None else array.shape[1:]

    def count(names: tuple[str, ...]) -> int:
        return sum(math.prod(sides(name)) for name in names)

    if decode.scores:
        places, known = count(decode.boxes) / decode.numbers, 0
    else:
        grid = decoder.anchors if decode.levels else decoder.centres if decode.strides else None
        places = len(grid(decode, size)) if grid else max(sides(decode.boxes[0]), default=0)
        known = decode.numbers + (decode.objectness == "behind")
    found = count(decode.scores or decode.boxes) / max(places, 1) - known - (decode.background is not None)
    if found < 1 or found != int(found):
        raise UserError(
            f"`decode` leaves {found:g} numbers of each place for the scores of classes",
            "are `boxes`, `scores`, `coding`, `strides` and `objectness` those of the model?",
        )
    return int(found)
