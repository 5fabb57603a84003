"""Score heat maps (n, points, h, w) against points float32 (n, points, 3): x and y as shares of the picture, and 1
where a point is to be seen."""

from __future__ import annotations

import numpy as np

WITHIN = 0.1
"""Distance of a point that is found, as a share of the picture's larger side."""
Size = tuple[int, ...]
"""Height and width of the pictures; where it is not known, the heat maps' own."""


def found(outputs: np.ndarray, y: np.ndarray, size: Size | None = None) -> np.ndarray:
    """Return of each example (n, 2): how many points are within `WITHIN` of their place, of how many to be seen.

    It is the percentage of correct keypoints, PCK (Yang and Ramanan, 2013), by the picture's size.
    """
    distance, seen = _distances(outputs, y, size)
    near = distance <= WITHIN * max(size or outputs.shape[2:])
    return np.stack([(near & seen).sum(1), seen.sum(1)], 1)


def apart(outputs: np.ndarray, y: np.ndarray, size: Size | None = None) -> np.ndarray:
    """Return of each example (n, 2): the sum in pixels of the distances of points to be seen, and their number."""
    distance, seen = _distances(outputs, y, size)
    return np.stack([np.where(seen, distance, 0).sum(1), seen.sum(1)], 1)


def to_be_seen(y: np.ndarray) -> np.ndarray:
    """Return (n,) whether any point of an example is to be seen."""
    seen: np.ndarray = (y[..., 2] > 0).any(1)
    return seen


def places(heatmaps: np.ndarray) -> np.ndarray:
    """Return the places (n, points, 2) of the highest cells, moved towards the higher neighbour by a quarter of a cell.

    The quarter is of Newell et al. (2016): a map is coarser than the picture.
    """
    height, width = heatmaps.shape[2:]
    flat = heatmaps.reshape(*heatmaps.shape[:2], -1)
    highest = flat.argmax(2)
    down, across = np.divmod(highest, width)
    axes = []
    for at, step, count in ((across, 1, width), (down, width, height)):
        before, after = (
            np.take_along_axis(flat, np.clip(highest + way, 0, flat.shape[2] - 1)[..., None], 2)[..., 0]
            for way in (-step, step)
        )
        quarter = np.where((at > 0) & (at < count - 1), np.sign(after - before) / 4, 0)
        axes.append((at + 0.5 + quarter) / count)
    return np.stack(axes, 2)


def _distances(outputs: np.ndarray, y: np.ndarray, size: Size | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances (n, points) in pixels, and which points are to be seen.

    Maps of no numbers are a diagonal off.
    """
    height, width = size or outputs.shape[2:]
    distance = np.linalg.norm((places(outputs) - y[..., :2]) * (width, height), axis=2)
    broken = ~np.isfinite(outputs).all((2, 3))
    return np.where(broken, np.hypot(width, height), distance), y[..., 2] > 0
