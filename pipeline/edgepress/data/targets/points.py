"""Targets of `keypoints`: float32 (n, points, 3), x and y as shares of the picture, and 1 where it is to be seen.

0, 0 is the upper left corner and 1, 1 the lower right one, so that a heat map of any size can be compared. What is read
has pixels, of which the first one's centre is 0, 0. A point that is not to be seen counts neither in training nor in
metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ...core.errors import UserError
from ..words import described, several
from .classes import named_once
from .target import Pairs, Targets, finite

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..dataset import Task


class Points(Targets):
    task: ClassVar[Task] = "keypoints"
    meaning: ClassVar[str] = "heatmaps"
    spatial: ClassVar[bool] = True
    immovable: ClassVar[tuple[str, ...]] = ("trivial",)
    mixable: ClassVar[bool] = False

    def checked(
        self, y: np.ndarray, labels: Sequence[str], size: tuple[int, ...] | None = None
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        import numpy as np

        if y.ndim != 3 or y.shape[2] not in (2, 3) or y.dtype.kind not in "iuf" or 0 in y.shape:
            raise UserError(
                f"the points are {described(y)}, and keypoints takes x, y and 1 or 0 of each point",
                "an array float32 (n, points, 3): pixels from the left and from the top, and whether it is to be seen",
            )
        if size is None:
            raise UserError("keypoints are of images, and `x` has none", "images are uint8 of 3 or 4 dimensions")
        names = named_once(labels) or tuple(f"point{number}" for number in range(y.shape[1]))
        if len(names) != y.shape[1]:
            raise UserError(f"there are {y.shape[1]} points an example, and {len(names)} `labels`", "one name a point")
        seen = y[..., 2] > 0 if y.shape[2] == 3 else np.ones(y.shape[:2], bool)
        points = finite("y", np.where(seen[..., None], y[..., :2], 0))
        height, width = size
        outside = seen & ((points < -0.5) | (points > (width - 0.5, height - 0.5))).any(2)
        if outside.any():
            row, point = np.argwhere(outside)[0]
            rows = np.flatnonzero(outside.any(1)).tolist()
            x, down = points[row, point]
            raise UserError(
                f"`{names[point]}` of row {row} is at ({x:g}, {down:g}), outside of a picture of {width} × {height} "
                f"pixels; rows from 0 with points outside: {several(rows)}",
                "x counts pixels from the left, y from the top; points that are not to be seen have 0 behind x and y",
            )
        shares = (points + 0.5) / (width, height) * seen[..., None]
        return np.concatenate([shares, seen[..., None]], 2).astype(np.float32), names

    def verify(self, y: np.ndarray, labels: Sequence[str], size: tuple[int, ...] | None = None) -> None:
        import numpy as np

        if size is None:
            raise UserError("keypoints are of images, and there is no input that alone is one", "give one image input")
        # What is no number is neither from 0 to 1 nor less or more.
        if (
            y.shape[1:] != (len(labels), 3)
            or y.dtype != np.float32
            or not ((y[..., :2] >= 0) & (y[..., :2] <= 1)).all()
            or not np.isin(y[..., 2], (0, 1)).all()
        ):
            raise UserError(
                f"the points are {described(y)}, and keypoints takes float32 (n, {len(labels)}, 3): x and y as shares "
                "of the picture, from 0 to 1, and 1 or 0",
                "`edgepress.Examples` takes points in pixels of images",
            )

    def reject_split(self, y: np.ndarray, labels: Sequence[str]) -> tuple[str, str] | None:
        unseen = [labels[point] for point in range(y.shape[1]) if not (y[:, point, 2] > 0).any()]
        if not unseen:
            return None
        return f"no example in which `{unseen[0]}` is to be seen", "add some, or take the point out"

    def moved(self, y: Tensor, flips: Tensor, moves: Tensor, size: tuple[int, int], pairs: Pairs = ()) -> Tensor:
        import torch

        x, down, seen = y.unbind(2)
        x = torch.where(flips[:, None], 1 - x, x) - moves[:, 1:] / size[1]
        y = _within(torch.stack([x, down - moves[:, :1] / size[0], seen], 2))
        order = list(range(y.shape[1]))
        for left, right in pairs:
            order[left], order[right] = right, left
        return torch.where(flips[:, None, None], y[:, order], y)

    def wrapped(self, y: Tensor, size: tuple[int, int]) -> Any:
        import torch
        from torchvision.tv_tensors import KeyPoints

        # From the edge of the picture, where torchvision's crop, resize and rotation have their 0.
        return KeyPoints(y[:, :2] * torch.tensor(size).flip(0), canvas_size=size)

    def unwrapped(self, moved: Any, y: Tensor, size: tuple[int, int]) -> Tensor:
        import torch

        shares = moved.as_subclass(torch.Tensor) / torch.tensor(size).flip(0)
        return _within(torch.cat([shares, y[:, 2:]], 1))


def _within(y: Tensor) -> Tensor:
    """Mark points (…, 3) that left the picture as not to be seen."""
    import torch

    inside = ((y[..., :2] >= 0) & (y[..., :2] <= 1)).all(-1, keepdim=True)
    kept: Tensor = torch.where(inside & (y[..., 2:] > 0), y, torch.zeros(()))
    return kept
