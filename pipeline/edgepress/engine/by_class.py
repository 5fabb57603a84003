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

    A box whose only match is of another class is taken for that one. Boxes that do not count are left out.
    """
    right, count, taken = Counter[int](), Counter[int](), Counter[tuple[int, int]]()
    for outcome, target in zip(found, y, strict=True):
        boxes = target[(target[:, COUNTS] > 0) & (target[:, TARGET_CLASS] >= 0)]
        known = (outcome[:, CLASS] >= 0) & (outcome[:, CLASS] < len(labels))
        shown = outcome[known & (outcome[:, SCORE] >= SHOWN)]
        near = ious(boxes, shown) if len(boxes) and len(shown) else np.zeros((len(boxes), len(shown)))
        for box, row in zip(boxes, near, strict=True):
            label, matches = int(box[TARGET_CLASS]), shown[row >= MATCH][:, [CLASS, SCORE]]
            count[label] += 1
            if (matches[:, 0] == label).any():
                right[label] += 1
            elif len(matches):
                taken[label, int(matches[matches[:, 1].argmax(), 0])] += 1
    recalls = {label: (right[k], count[k]) for k, label in enumerate(labels)}
    return ByClass(recalls, [(labels[a], labels[b], many) for (a, b), many in taken.most_common(CONFUSED)])
