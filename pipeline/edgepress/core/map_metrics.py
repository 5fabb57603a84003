"""Score mask logits (n, classes, h, w) and heat maps (n, points, h, w): what each example counts.

scikit-learn's `jaccard_score` takes all pixels at once, and has no void ones; a test holds mIoU to it.
"""

from __future__ import annotations

import numpy as np

VOID = 255
"""The class of pixels that do not count, as `data.targets.mask` has it."""
NEAR = 0.1
"""Of the picture's larger side, within which a point is found; 0.1 of a box is `PCK@0.1` (Yang, Ramanan, 2013)."""
SHIFT = 0.25
"""Of a cell, from the highest one towards the higher neighbour (Xiao et al., 2018)."""


def overlaps(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return (n, classes, 2): of each class how many pixels are in both masks, and how many in either."""
    classes = outputs.shape[1]
    parts = np.empty((len(y), classes, 2))
    for part, logits, true in zip(parts, outputs, y, strict=True):
        known = true != VOID
        found, wanted = logits.argmax(0)[known], true[known].astype(int)
        both = np.bincount(wanted[found == wanted], minlength=classes)
        sizes = np.bincount(found, minlength=classes) + np.bincount(wanted, minlength=classes)
        part[:, 0], part[:, 1] = both, sizes - both
    return parts


def mean_iou(parts: np.ndarray) -> float:
    """Return the mean over classes of intersection over union, of `overlaps`."""
    return float(_iou(parts).mean())


def worst_iou(parts: np.ndarray) -> float:
    return float(_iou(parts).min())


def _iou(parts: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each class that is in a target or a prediction."""
    both, either = parts.sum(0).T
    seen = either > 0
    found: np.ndarray = both[seen] / either[seen] if seen.any() else np.zeros(1)
    return found


def pixels(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return (n, 2): how many pixels have the right class, and how many are not void."""
    known = y != VOID
    right = (outputs.argmax(1) == y) & known
    return np.stack([right.sum((1, 2)), known.sum((1, 2))], 1)


def peaks(heatmaps: np.ndarray) -> np.ndarray:
    """Return the places (n, points, 2) of the highest cells, shifted by `SHIFT`, as shares of the picture."""
    count, points, height, width = heatmaps.shape
    down, across = np.divmod(heatmaps.reshape(count, points, -1).argmax(2), width)
    rows, columns = np.ogrid[:count, :points]

    def towards(cell: np.ndarray, cells: int, at: bool) -> np.ndarray:
        """Return where the peak is on one axis: at its ends there are no two neighbours."""
        before, after = np.clip(cell - 1, 0, cells - 1), np.clip(cell + 1, 0, cells - 1)
        ahead, behind = (
            heatmaps[rows, columns, *((down, place) if at else (place, across))] for place in (after, before)
        )
        inside = (cell > 0) & (cell < cells - 1)
        return (cell + 0.5 + SHIFT * np.sign(ahead - behind) * inside) / cells

    return np.stack([towards(across, width, True), towards(down, height, False)], 2)


def near(outputs: np.ndarray, y: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return (n, 2): how many points are within `NEAR` of their place, and how many are to be seen.

    `size` is the height and width of the pictures, without which that of the heat maps counts.
    """
    sides = size or outputs.shape[2:]
    seen = y[..., 2] > 0
    return np.stack([((_distances(outputs, y, sides) <= NEAR * max(sides)) & seen).sum(1), seen.sum(1)], 1)


def distances(outputs: np.ndarray, y: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return (n, 2): the sum of the points' distances from their places in pixels, and how many are to be seen."""
    seen = y[..., 2] > 0
    return np.stack([(_distances(outputs, y, size or outputs.shape[2:]) * seen).sum(1), seen.sum(1)], 1)


def _distances(outputs: np.ndarray, y: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Return the distances (n, points) in pixels of a picture of `size`."""
    apart = (peaks(outputs) - y[..., :2]) * (size[1], size[0])
    found: np.ndarray = np.hypot(apart[..., 0], apart[..., 1])
    return found
