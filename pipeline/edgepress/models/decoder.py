"""Decode the raw outputs of a detector into boxes, scores and classes, as `Decode` describes them.

It is numpy alone, and the same in evaluation as on a device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from ..core import boxes as of_boxes
from ..core.columns import split
from ..core.errors import UserError
from .decode import GRID, Decode

CANDIDATES = 400
"""Of a picture, the best boxes and classes that non-maximum suppression looks at."""
LARGEST = 4.135
"""Of the logarithm of a side: 1000 / 16 times the anchor, torchvision's bound."""


def joined(outputs: Any, decode: Decode, classes: int, concatenate: Callable[..., Any] = np.concatenate) -> np.ndarray:
    """Return the heads side by side, float32 (n, places, columns): boxes, objectness, scores.

    Outputs, a structured array or by name, are maps (n, columns, height, width) or tables, whose axis of places is
    either one; they are tensors of torch with `concatenate=torch.cat`. Raises: UserError where a file has others than
    are described.
    """
    named = outputs if isinstance(outputs, Mapping) else split(outputs)
    if lacking := [name for name in decode.names() if name not in named and named.keys() != {""}]:
        raise UserError(
            f"`decode` names the output `{lacking[0]}`, and the file has {', '.join(named)}", "see its outputs"
        )
    scores = classes + (decode.background is not None)
    if decode.background is not None and decode.background >= scores:
        raise UserError(
            f"`background` is score {decode.background}, and there are {scores} from 0", "0, or the last one"
        )
    behind = decode.columns(classes) - bool(decode.objectness) * (decode.objectness != "behind")
    kinds = [(decode.boxes, decode.numbers if decode.scores else behind), (decode.scores, scores)]
    if decode.objectness != "behind":
        kinds.insert(1, (decode.objectness, 1))
    parts = [concatenate([_table(named.get(name, named.get("")), width, name) for name in names], 1)
             for names, width in kinds if names]  # fmt: skip
    if len({part.shape[1] for part in parts}) > 1:
        counts = " and ".join(str(part.shape[1]) for part in parts)
        raise UserError(
            f"the outputs of `decode` are of different numbers of places: {counts}", "name those of every level"
        )
    found: np.ndarray = concatenate(parts, 2)
    return found


def _table(values: Any, width: int, name: str) -> Any:
    assert values is not None, "its name was looked up"
    if values.ndim == 4 and math.prod(values.shape[1:]) % width == 0:
        values = values.swapaxes(1, 3).swapaxes(1, 2) if channels_first(values.shape[1:], width) else values
        values = values.reshape(len(values), -1, width)
    if values.ndim == 2 and width == 1:
        values = values[..., None]
    if values.ndim != 3 or width not in values.shape[1:]:
        shape = " × ".join(map(str, values.shape[1:]))
        raise UserError(
            f"the output `{name}` is {shape} for each example, and `decode` takes {width} numbers of each place",
            "are the classes those of the model, and `coding` and `objectness` right?",
        )
    return values if values.shape[2] == width else values.swapaxes(1, 2)


def channels_first(sides: Sequence[int], width: int) -> bool:
    """Whether a map of three `sides` has its numbers, `width` of each place, along the first, as ONNX has, or the last.

    Where both are multiples of `width`, a map of another number of rows than columns is ONNX's.
    """
    first, rows, last = sides
    return first % width == 0 and not (last % width == 0 and first == rows != last)


def centres(decode: Decode, size: tuple[int, int]) -> np.ndarray:
    """Return x, y and stride of each centre point, float32 (places, 3), in pixels of the input."""
    found = []
    for stride in decode.strides:
        down, across = (np.arange(-(-side // stride)) + decode.shift for side in size)
        grid = np.stack(np.meshgrid(across, down), -1).reshape(-1, 2) * stride
        found.append(np.concatenate([grid, np.full((len(grid), 1), stride)], 1))
    return np.concatenate(found).astype(np.float32)


def anchors(decode: Decode, size: tuple[int, int]) -> np.ndarray:
    """Return x, y, width and height of each anchor, float32 (places, 4), in pixels of the input."""
    found = []
    for level in decode.levels:
        down, across = (
            (np.arange(count) + decode.shift) * side / count for count, side in zip(level.cells, size, strict=True)
        )
        grid = np.stack(np.meshgrid(across, down), -1).reshape(-1, 1, 2)
        sizes = np.broadcast_to(np.array(level.sizes), (len(grid), len(level.sizes), 2))
        found.append(np.concatenate([np.broadcast_to(grid, sizes.shape), sizes], 2).reshape(-1, 4))
    return np.concatenate(found).astype(np.float32)


def corners(heads: np.ndarray, decode: Decode, size: tuple[int, int]) -> np.ndarray:
    """Return x0, y0, x1 and y1 of each place (n, places, 4), in pixels of the input, cut at its edge."""
    raw = heads[..., : decode.numbers]  # of detections, too, the first four
    if decode.coding == "anchors":
        at = anchors(decode, size)
        moved = raw / np.array(decode.weights, np.float32)
        middle = at[:, :2] + moved[..., :2] * at[:, 2:]
        boxes = _around(middle, at[:, 2:] * np.exp(np.minimum(moved[..., 2:], LARGEST)))
    elif decode.coding in GRID:
        at = centres(decode, size)
        points, stride = at[:, :2], at[:, 2:]
        if decode.coding == "yolox":
            boxes = _around(points + raw[..., :2] * stride, np.exp(np.minimum(raw[..., 2:], 10)) * stride)
        else:
            if decode.coding == "dfl":
                bins = raw.reshape(*raw.shape[:2], 4, decode.bins)
                raw = _softmax(bins) @ np.arange(decode.bins, dtype=np.float32)
            boxes = np.concatenate([points - raw[..., :2] * stride, points + raw[..., 2:] * stride], 2)
    else:
        boxes = raw * np.array([size[1], size[0]] * 2, np.float32) if decode.scale == "shares" else raw
        boxes = _around(boxes[..., :2], boxes[..., 2:]) if decode.coding == "centre" else boxes
    return np.clip(boxes, 0, np.array([size[1], size[0]] * 2, np.float32))


def scores(heads: np.ndarray, decode: Decode) -> np.ndarray:
    """Return the score of each class (n, places, classes), from 0 to 1; of `detections` the score (n, places, 1)."""
    if decode.coding == "detections":
        return heads[..., of_boxes.SCORE : of_boxes.CLASS]
    rest = heads[..., decode.numbers :]
    own = rest[..., 1:] if decode.objectness else rest
    values = (
        _softmax(own) if decode.activation == "softmax" else _sigmoid(own) if decode.activation == "sigmoid" else own
    )
    if decode.background is not None:
        values = np.delete(values, decode.background, -1)
    if decode.objectness:
        any_object = _sigmoid(rest[..., :1]) if decode.activation != "none" else rest[..., :1]
        values = values * any_object
    return np.sqrt(values) if decode.root else values


def detections(heads: np.ndarray, decode: Decode, size: tuple[int, int]) -> np.ndarray:
    """Return x0, y0, x1, y1, score and class of the boxes that are left, best first, float32 (n, most, 6).

    Rows of the class −1 are none. A place counts once for each of its classes, as in torchvision.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        boxes, values = corners(heads, decode, size), scores(heads, decode)
    found = np.zeros((len(heads), decode.most, of_boxes.COLUMNS), np.float32)
    found[..., of_boxes.CLASS] = -1
    sound = np.isfinite(boxes).all(2)[..., None]
    if decode.coding == "detections":
        return _ready(found, boxes, heads, sound[..., 0] & (values[..., 0] >= decode.score))
    for row, each, value, finite in zip(found, boxes, values, sound, strict=True):
        place, label = np.nonzero((value >= decode.score) & finite)
        score = value[place, label]
        best = np.argsort(-score, kind="stable")[:CANDIDATES]
        place, label, score = place[best], label[best], score[best]
        kept = of_boxes.suppressed(each[place], score, label, decode.iou, decode.most)
        row[: len(kept)] = np.column_stack([each[place], score, label])[kept]
    return found


def _ready(found: np.ndarray, boxes: np.ndarray, heads: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Return `found` with the rows of `detections` that are `left` (n, places), best first."""
    for row, each, corner, mine in zip(found, heads, boxes, left & (heads[..., of_boxes.CLASS] >= 0), strict=True):
        places = np.flatnonzero(mine)
        best = places[np.argsort(-each[places, of_boxes.SCORE], kind="stable")][: len(row)]
        row[: len(best)] = np.concatenate([corner[best], each[best, of_boxes.SCORE :]], 1)
    return found


def _around(middle: np.ndarray, sides: np.ndarray) -> np.ndarray:
    return np.concatenate([middle - sides / 2, middle + sides / 2], -1)


def _softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def read(contract: dict[str, Any]) -> Decode:
    """Return the description in the metadata of a file. Raises: UserError where there is none, or a wrong one."""
    if "decode" not in contract:
        raise UserError("the metadata does not say how boxes are decoded", "`decode:` of the stage `load` describes it")
    try:
        return Decode.model_validate(contract["decode"])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("decode", *first["loc"])))
        message = f"the metadata says wrongly how boxes are decoded: `{where}`: {first['msg'].lower()}"
        raise UserError(message, "`decode:` of the stage `load` describes it") from error
