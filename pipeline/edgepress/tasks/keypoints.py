"""`keypoints`: places in a picture; outputs are a heat map for each point (b, points, height, width) of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .task import Loss, Skill, Task

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..data.dataset import Dataset

SIGMA = 1 / 32
"""Deviation of a Gaussian as a share of the heat map's longer side, as 2 of 64 cells in Xiao et al. (2018)."""
SAME = 0.01
"""Share of the picture's sides within which two models agree on a point."""


class Keypoints(Task):
    name: ClassVar[str] = "keypoints"
    alike: ClassVar[str] = "points"
    about_maps: ClassVar[bool] = True
    dense: ClassVar[bool] = True

    def loss(self, data: Dataset, *, smoothing: float = 0.0, balanced: bool = False) -> Loss:
        """Return the squared error to Gaussians around the points; see `squared`."""
        return squared

    def kd(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Return the mean squared difference of the heat maps."""
        from torch.nn import functional

        return functional.mse_loss(student, at_cells(teacher, student))

    def nll(self, outputs: Tensor, y: Tensor) -> Tensor:
        return squared(outputs, y)

    def predictions(self, outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the places of the points, float32 (n, points, 2), as shares of the picture.

        A map that is not all numbers has no place: NaN.
        """
        import numpy as np

        from ..core.metric_points import places

        sound = np.isfinite(outputs).all((2, 3))[..., None]
        return np.where(sound, places(outputs), np.nan).astype("float32")

    def agreement(self, outputs: np.ndarray, other: np.ndarray, y: np.ndarray) -> float:
        """Return the share of points at the same place, within `SAME`."""
        return float((abs(outputs - other).max(2) <= SAME).mean())

    def skill(self, outputs: np.ndarray, y: np.ndarray, metric: str = "") -> Skill:
        """Return R² of the places, with the mean place of each point as what is always predicted."""
        import numpy as np

        found = outputs if outputs.ndim == y.ndim else self.predictions(outputs, y)
        seen = y[..., 2] > 0
        if not seen.any():
            return Skill(0.0, 0.0, "no point is to be seen")
        places = np.where(seen[..., None], y[..., :2], np.nan)
        found = np.where(np.isnan(found), places + 1, found)  # a picture's side off
        errors, spread = (float(np.nanmean(np.square(places - other))) for other in (found, np.nanmean(places, axis=0)))
        words = f"points {errors**0.5:.1%} of the picture's sides off, their mean places {spread**0.5:.1%}"
        return Skill(1 - errors / max(spread, 1e-12), 0.0, words)


def squared(z: Tensor, y: Tensor) -> Tensor:
    """Return the squared error of heat maps to Gaussians around the points that are to be seen, mean over cells."""
    seen = (y[..., 2] > 0).to(z.dtype)
    errors = (z - gaussians(y, (z.shape[2], z.shape[3])).to(z.dtype)).square().mean((2, 3))
    return (errors * seen).sum() / seen.sum().clamp(min=1)


def at_cells(maps: Tensor, other: Tensor) -> Tensor:
    """Return maps (b, points, …) read at the cells of `other`, maps of another stride."""
    from torch.nn import functional

    if maps.shape[2:] == other.shape[2:]:
        return maps
    return functional.interpolate(maps, other.shape[2:], mode="bilinear", align_corners=False)


def gaussians(y: Tensor, cells: tuple[int, int]) -> Tensor:
    """Return heat maps (b, points, *cells) of points (b, points, 3) in shares of the picture, 1 at the point."""
    import torch

    sigma = max(1.0, SIGMA * max(cells))
    parts = []
    for axis, count in ((1, cells[0]), (0, cells[1])):
        apart = torch.arange(count, device=y.device) - (y[..., axis, None] * count - 0.5)
        parts.append(torch.exp(-apart.square() / (2 * sigma**2)))
    return parts[0][..., :, None] * parts[1][..., None, :]
