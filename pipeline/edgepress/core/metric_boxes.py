"""Score detections float32 (n, k, 6), x0, y0, x1, y1, score and class, against boxes float32 (n, most, 6).

The metric is COCO's average precision (Lin et al., 2014), as pycocotools and faster-coco-eval compute it: a test holds
ours to the latter. These match all pictures anew for every draw of the bootstrap; here a picture is matched once. Its
part has which detections are right at which IoU, and a draw counts these again. Sizes are those of COCO, 32² and 96²
pixels, here of the network's input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from .boxes import CLASS, IOUS, SCORE, areas, intersections

RECALLS = np.linspace(0, 1, 101)
SIZES = {"all": (0.0, math.inf), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, math.inf)}
_CLASS, _COUNTS = 4, 5
"""Columns of a target."""


def matched(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the part of each picture, a structured array (n,).

    `score` and `class` (k,) are the detections'. `right` and `left` (sizes, k) have a bit for each of `IOUS`: the
    detection is of a box, or it is left out, as it is of a box that does not count, or of another size. `true` (most,)
    is the class of each box, and `counts` has a bit for each of `SIZES` that it counts in.
    """
    count, most = outputs.shape[1], y.shape[1]
    bits = ("u2", (len(SIZES), count))
    parts = np.zeros(
        len(y),
        [
            ("score", "f4", (count,)),
            ("class", "i2", (count,)),
            ("right", *bits),
            ("left", *bits),
            ("true", "i2", (most,)),
            ("counts", "u1", (most,)),
        ],
    )
    for part, outcome, boxes in zip(parts, outputs, y, strict=True):
        part["class"], part["true"] = -1, boxes[:, _CLASS]
        sound = outcome[np.isfinite(outcome).all(1) & (outcome[:, CLASS] >= 0)]
        found = sound[np.argsort(-sound[:, SCORE], kind="stable")]
        part["score"][: len(found)], part["class"][: len(found)] = found[:, SCORE], found[:, CLASS]
        inside = _in_sizes(areas(boxes)) & (boxes[:, _COUNTS] > 0)
        part["counts"] = (inside << np.arange(len(SIZES))[:, None]).sum(0)
        for label in np.unique(found[:, CLASS]):
            rows, mine = np.flatnonzero(found[:, CLASS] == label), boxes[:, _CLASS] == label
            right, left = _of_class(found[rows], boxes[mine], inside[:, mine])
            bit = 1 << np.arange(len(IOUS))
            part["right"][:, rows], part["left"][:, rows] = (each @ bit for each in (right, left))
    return parts


def _in_sizes(area: np.ndarray) -> np.ndarray:
    """Return bool (sizes, …)."""
    return np.stack([(area >= low) & (area <= high) for low, high in SIZES.values()])


def _of_class(found: np.ndarray, boxes: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which detections (sizes, d, ious) are right, and which are left out, best first.

    A detection takes the nearest box that is free and counts, else one that does not count; a crowd, of which any
    number of detections is, takes all that lie within it.
    """
    shape = (len(SIZES), len(found), len(IOUS))
    right, taken_over = np.zeros(shape, bool), np.zeros(shape, bool)
    if len(boxes):
        shared, own = intersections(found, boxes), areas(found)[:, None]
        crowd = boxes[:, _COUNTS] == 0
        near = shared / np.maximum(np.where(crowd, own, own + areas(boxes) - shared), 1e-9)
        free = np.ones((len(SIZES), len(IOUS), len(boxes)), bool)
        for place in np.flatnonzero(near.max(1) >= IOUS[0]):
            fits = (near[place] >= IOUS[:, None] - 1e-10) & free
            counted = np.where(fits & inside[:, None], near[place], -1)
            other = np.where(fits & ~inside[:, None], near[place], -1)
            right[:, place] = counted.max(2) >= 0
            taken_over[:, place] = ~right[:, place] & (other.max(2) >= 0)
            best = np.where(right[:, place], counted.argmax(2), other.argmax(2))
            size, iou = np.nonzero(right[:, place] | taken_over[:, place])
            free[size, iou, best[size, iou]] = crowd[best[size, iou]]
    outside = ~_in_sizes(areas(found))
    return right, taken_over | (outside[..., None] & ~right)


class _Curve(NamedTuple):
    """A class: the pictures of its detections, best first, those of its boxes, and by IoU which detections are right,
    and whether each is left out, if any is."""

    found: np.ndarray
    boxes: np.ndarray
    at: list[tuple[np.ndarray, np.ndarray | None]]

    def precisions(self, counts: np.ndarray) -> list[float] | None:
        """Return the average precision at each IoU where pictures count so often; None without a box."""
        total = counts[self.boxes].sum()
        if not total:
            return None
        weights = counts[self.found]
        seen = weights.cumsum()
        return [_average(weights, seen, right, left, total) for right, left in self.at]


def _average(weights: np.ndarray, seen: np.ndarray, right: np.ndarray, left: np.ndarray | None, total: int) -> float:
    """Return the mean over `RECALLS` of the best precision at that recall or a higher one; 0 where none is."""
    hits = weights[right].cumsum()
    of = seen[right] if left is None else seen[right] - (weights * left).cumsum()[right]
    best = np.maximum.accumulate((hits / np.maximum(of, 1))[::-1])[::-1]
    at = np.searchsorted(hits / total, RECALLS, side="left")
    return float(best[at[at < len(best)]].sum()) / len(RECALLS)


def _curves(parts: np.ndarray, size: str, ious: slice) -> Iterator[tuple[int, _Curve]]:
    number = list(SIZES).index(size)
    picture, place = np.nonzero(parts["class"] >= 0)
    order = np.argsort(-parts["score"][picture, place], kind="stable")
    picture, place = picture[order], place[order]
    classes, right, left = (
        each[picture, place] for each in (parts["class"], parts["right"][:, number], parts["left"][:, number])
    )
    owner, column = np.nonzero((parts["true"] >= 0) & (parts["counts"] >> number & 1 > 0))
    true = parts["true"][owner, column]
    for label in np.unique(true):
        mine = np.flatnonzero(classes == label)
        at = []
        for bit in range(len(IOUS))[ious]:
            out = left[mine] >> bit & 1
            at.append((np.flatnonzero(right[mine] >> bit & 1), out if out.any() else None))
        yield int(label), _Curve(picture[mine], owner[true == label], at)


def weighing(parts: np.ndarray, *, size: str = "all", most: int = 10) -> Callable[[np.ndarray], float]:
    """Return mean average precision, over classes and the first `most` of `IOUS`, by how often each picture counts."""
    curves = [curve for _, curve in _curves(parts, size, slice(most))]

    def value(counts: np.ndarray) -> float:
        found = [each for curve in curves if (each := curve.precisions(counts)) is not None]
        return float(np.mean(found)) if found else math.nan

    return value


def mean_precision(parts: np.ndarray, *, size: str = "all", most: int = 10) -> float:
    return weighing(parts, size=size, most=most)(np.ones(len(parts), np.int64))


def by_class(parts: np.ndarray) -> dict[int, float]:
    """Return the average precision, over `IOUS`, of each class that has boxes."""
    every = np.ones(len(parts), np.int64)
    found = {label: curve.precisions(every) for label, curve in _curves(parts, "all", slice(None))}
    return {label: float(np.mean(each)) for label, each in found.items() if each}
