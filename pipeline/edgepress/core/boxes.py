"""Compare boxes, rows of x0, y0, x1, y1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SCORE, CLASS, COLUMNS = 4, 5, 6
"""Columns of a detection behind its corners; one of the class −1 is none."""
IOUS = np.linspace(0.5, 0.95, 10)
"""Of average precision, as COCO has it."""


def areas(boxes: np.ndarray) -> np.ndarray:
    """Return the areas (…) of boxes (…, 4)."""
    area: np.ndarray = np.maximum(boxes[..., 2] - boxes[..., 0], 0) * np.maximum(boxes[..., 3] - boxes[..., 1], 0)
    return area


def intersections(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the areas (a, b) that boxes (a, 4) and (b, 4) share."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:4], other[None, :, 2:4])
    shared: np.ndarray = np.maximum(high - low, 0).prod(2)
    return shared


def ious(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return intersection / union (a, b) of boxes (a, 4) and (b, 4)."""
    shared = intersections(one, other)
    either = areas(one)[:, None] + areas(other)[None] - shared
    return shared / np.maximum(either, 1e-9)


def suppressed(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, iou: float, most: int) -> np.ndarray:
    """Return the rows, best first, that non-maximum suppression within each class leaves, `most` at most.

    Boxes are (n, 4), scores and classes (n,). A box goes where its IoU with a better one of its class is above `iou`.
    """
    order = np.argsort(-scores, kind="stable")
    left = np.ones(len(order), bool)
    for label in np.unique(classes):
        mine = np.flatnonzero(classes[order] == label)
        over = ious(boxes[order[mine]], boxes[order[mine]]) > iou
        for place, worse in enumerate(mine):
            if left[worse]:
                left[mine[place + 1 :]] &= ~over[place, place + 1 :]
    return order[left][:most]


def fused(found: Sequence[np.ndarray], shares: Sequence[float], iou: float = 0.55) -> np.ndarray:
    """Return the boxes (m, 6) of one picture that several models' (k, 6) become: weighted boxes fusion.

    Boxes of a class that overlap by more than `iou` are one: the mean of their corners, weighed by score times the
    model's share. Its score is their mean, less for what fewer models than all have (Solovyev et al., 2021). It is
    sorted, best first.
    """
    total, count = float(sum(shares)), len(found)
    rows = np.concatenate([np.column_stack([each[:, :SCORE], each[:, SCORE] * share, each[:, CLASS]])
                           for each, share in zip(found, shares, strict=True)]).astype(np.float64)  # fmt: skip
    rows = rows[(rows[:, CLASS] >= 0) & (rows[:, SCORE] > 0)]
    means, members = np.empty((len(rows), COLUMNS)), list[list[np.ndarray]]()
    for row in rows[np.argsort(-rows[:, SCORE], kind="stable")]:
        known = means[: len(members)]
        near = np.where(known[:, CLASS] == row[CLASS], ious(row[None], known)[0], 0)
        place = int(near.argmax()) if len(near) and near.max() > iou else len(members)
        if place == len(members):
            members.append([])
        members[place].append(row)
        of = np.stack(members[place])
        means[place] = *np.average(of[:, :SCORE], 0, of[:, SCORE]), of[:, SCORE].mean(), row[CLASS]
    means = means[: len(members)]
    means[:, SCORE] *= [min(len(of), count) / total for of in members]
    return means[np.argsort(-means[:, SCORE], kind="stable")].astype(np.float32)


def shown(found: np.ndarray, score: float) -> int:
    """Return how many of the detections (n, k, 6) have at least `score`."""
    return int((found[..., SCORE] >= score).sum())


def agreement(one: np.ndarray, other: np.ndarray, score: float) -> float:
    """Return `f1`, its mean over the IoUs 0.5, 0.55 … 0.95 that average precision has: how near boxes lie counts."""
    return float(np.mean([f1(one, other, score, iou) for iou in IOUS]))


def f1(one: np.ndarray, other: np.ndarray, score: float, iou: float = 0.5) -> float:
    """Return F1 = 2 · matches / (boxes of one + boxes of the other) of detections (n, k, 6) on the same pictures.

    Boxes of at least `score` count. A match is one to one, of the same class, and has at least `iou`; the best boxes of
    `one` choose first. Two models that find nothing agree.
    """
    matches, total = 0, 0
    for mine, theirs in zip(one, other, strict=True):
        a, b = (rows[(rows[:, CLASS] >= 0) & (rows[:, SCORE] >= score)] for rows in (mine, theirs))
        total += len(a) + len(b)
        if not len(a) or not len(b):
            continue
        a = a[np.argsort(-a[:, SCORE], kind="stable")]
        near = np.where(a[:, None, CLASS] == b[None, :, CLASS], ious(a, b), 0.0)
        for row in near:  # a view: what is taken is zero in the rows that follow
            place = int(row.argmax())
            if row[place] >= iou:
                matches += 1
                near[:, place] = 0
    return 2 * matches / total if total else 1.0
