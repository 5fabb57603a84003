"""Count by class what a file gets right on the test split, and which classes it takes for each other.

Of classes these are counts of examples, of masks of pixels, and of boxes of boxes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..core.boxes import CLASS, SCORE, ious
from ..core.results import CONFUSED
from ..data.targets.boxes import CLASS as TARGET_CLASS
from ..data.targets.boxes import COUNTS
from ..tasks.detection import SHOWN

CLASSES = 1000
"""Most classes whose recalls a report lists."""
MATCH = 0.5
"""IoU from which a box is found."""


class ByClass(NamedTuple):
    """By class how many are right, of how many; and the most frequent mistakes: class, predicted class, how many."""

    recalls: dict[str, tuple[int, int]]
    confused: list[tuple[str, str, int]]


def of_classes(predicted: np.ndarray, y: np.ndarray, labels: Sequence[str]) -> ByClass:
    """Count predicted classes of any shape against `y`. Values without a label, such as `VOID`, are left out."""
    known = (y < len(labels)) & (predicted < len(labels))
    pairs = np.bincount(y[known].astype(np.int64) * len(labels) + predicted[known], minlength=len(labels) ** 2).reshape(
        len(labels), -1
    )
    count = np.bincount(y[y < len(labels)].astype(np.int64), minlength=len(labels))
    recalls = {label: (int(pairs[k, k]), int(count[k])) for k, label in enumerate(labels)}
    wrong = pairs - np.diag(pairs.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSED]
    places = [(*np.unravel_index(place, wrong.shape), int(wrong.flat[place])) for place in order]
    return ByClass(recalls, [(labels[a], labels[b], many) for a, b, many in places if many])


def of_boxes(found: np.ndarray, y: np.ndarray, labels: Sequence[str]) -> ByClass:
    """Count boxes that a detection of their class, of at least the score `SHOWN`, matches by an IoU of `MATCH`.

    Matches are one to one, the best detections choose first. A box that is left and that a detection left of another
    class matches is taken for that one. Boxes that do not count are left out.
    """
    right, count, taken = Counter[int](), Counter[int](), Counter[tuple[int, int]]()
    for outcome, target in zip(found, y, strict=True):
        boxes = target[(target[:, COUNTS] > 0) & (target[:, TARGET_CLASS] >= 0)]
        known = (outcome[:, CLASS] >= 0) & (outcome[:, CLASS] < len(labels))
        shown = outcome[known & (outcome[:, SCORE] >= SHOWN)]
        shown = shown[np.argsort(-shown[:, SCORE], kind="stable")]
        own, found_as = boxes[:, TARGET_CLASS].astype(int), shown[:, CLASS].astype(int)
        count.update(own.tolist())
        near = ious(shown, boxes)
        for row, box in _matches(np.where(found_as[:, None] == own, near, 0.0)):
            right[int(own[box])] += 1
            near[row], near[:, box] = 0, 0
        taken.update((int(own[box]), int(found_as[row])) for row, box in _matches(near))
    recalls = {label: (right[k], count[k]) for k, label in enumerate(labels)}
    return ByClass(recalls, [(labels[a], labels[b], many) for (a, b), many in taken.most_common(CONFUSED)])


def _matches(near: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs of IoUs (detections, boxes) that match one to one; the first detections choose first."""
    left, found = near.copy(), []
    for row, each in enumerate(left):  # a view: what is taken is zero in the rows that follow
        if len(each) and each[box := int(each.argmax())] >= MATCH:
            found.append((row, box))
            left[:, box] = 0
    return found
