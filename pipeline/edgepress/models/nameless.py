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
from .usual_yolo import by_outputs, usual_places


def decoder_of(contract: dict[str, Any], expected: np.ndarray) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return what decodes outputs (n, …), one array or structured, into boxes (n, most, 6); None of other models.

    `expected` are outputs of the float model, which a guess has to explain. Raises, when called: UserError for outputs
    that are not as described.
    """
    inputs = contract["inputs"]
    if contract["labels"] or len(inputs) != 1 or inputs[0]["kind"] != "image":
        return None
    size = tuple(inputs[0]["size"])
    stated = decoder.read({"decode": contract["boxes"]}) if "boxes" in contract else None
    decode = stated or by_outputs(expected, contract["outputs"][0]["name"], size)
    if decode is None:
        return None

    def detections(outputs: np.ndarray) -> np.ndarray:
        heads = decoder.joined(outputs, decode, classes(outputs, decode, size))
        return decoder.detections(heads, decode, size)

    return detections


def classes(outputs: np.ndarray, decode: Decode, size: tuple[int, int]) -> int:
    """Return of how many classes there are scores: what is left of the numbers of a place.

    Decoded boxes are maps, or tables whose axis of places is that of the usual maps, or else the longer one. Raises:
    UserError where nothing is left.
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
        places = len(grid(decode, size)) if grid else sum(_places(sides(name), size) for name in decode.boxes)
        known = decode.numbers + (decode.objectness == "behind")
    found = count(decode.scores or decode.boxes) / max(places, 1) - known - (decode.background is not None)
    if found < 1 or found != int(found):
        raise UserError(
            f"`decode` leaves {found:g} numbers of each place for the scores of classes",
            "are `boxes`, `scores`, `coding`, `strides` and `objectness` those of the model?",
        )
    return int(found)


def _places(sides: tuple[int, ...], size: tuple[int, int]) -> int:
    """Return how many places a map (columns, height, width) or a table has."""
    usual = usual_places(size)
    return math.prod(sides[1:]) if len(sides) == 3 else usual if usual in sides else max(sides, default=0)
