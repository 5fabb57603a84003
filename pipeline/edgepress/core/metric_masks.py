"""Score masks against masks: what each image counts of each class, and what all of them make.

Outputs are logits (n, classes, h, w), or classes (n, h, w); targets are classes uint8 (n, h, w). Pixels of the target
`VOID` count nowhere. scikit-learn's `jaccard_score` and `accuracy_score` of all pixels are what these sums make, too.
"""

from __future__ import annotations

import numpy as np

from .metrics import VOID


def overlaps(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return of each image int64 (n, 2, VOID): the pixels of intersection and of union of each class.

    It has as many classes as a target may have, since classes that no output names are not known from one chunk.
    """
    predicted, true = classes(outputs)[y != VOID], y[y != VOID]
    image = np.repeat(np.arange(len(y)), (y != VOID).reshape(len(y), -1).sum(1)) * (VOID + 1)
    hits = predicted == true

    def counted(cells: np.ndarray) -> np.ndarray:
        return np.bincount(cells, minlength=len(y) * (VOID + 1)).reshape(len(y), VOID + 1)[:, :VOID]

    both = counted((image + true)[hits])
    return np.stack([both, counted(image + true) + counted(image + predicted) - both], 1)


def present(parts: np.ndarray) -> np.ndarray:
    """Return `overlaps` of the classes that some image has or some output names."""
    kept: np.ndarray = parts[:, :, parts[:, 1].any(0)]
    return kept


def mean_iou(parts: np.ndarray) -> float:
    """Return the mean over classes of intersection / union, each over all images; absent classes are left out."""
    return float(_ious(parts).mean())


def worst_iou(parts: np.ndarray) -> float:
    """Return the smallest intersection / union of a class that some image has or some output names."""
    return float(_ious(parts).min())


def right_pixels(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return of each image (n, 2): how many pixels are right, of how many that are not void."""
    hits = (classes(outputs) == y) & (y != VOID)
    return np.stack([each.reshape(len(y), -1).sum(1) for each in (hits, y != VOID)], 1)


def classes(outputs: np.ndarray) -> np.ndarray:
    """Return the class of each pixel (n, h, w); `VOID`, which is never right, where a logit is no finite number."""
    if outputs.ndim != 4:
        return outputs
    return np.where(np.isfinite(outputs).all(1), outputs.argmax(1), VOID)


def not_all_void(y: np.ndarray) -> np.ndarray:
    """Return (n,) whether any pixel of an image counts."""
    known: np.ndarray = (y != VOID).any((1, 2))
    return known


def _ious(parts: np.ndarray) -> np.ndarray:
    both, either = parts.sum(0)
    ious: np.ndarray = both[either > 0] / either[either > 0]
    return ious if len(ious) else np.full(1, np.nan)  # every pixel is void
