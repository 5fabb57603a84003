"""Targets of `detection`: float32 (n, most, 6), x0, y0, x1 and y1 in pixels of the picture, the class, and 1 or 0.

0, 0 is the upper left corner of the picture, and its width and height the lower right one. A box with 0, such as a
crowd or a difficult one, counts neither in training nor in metrics. Rows of the class −1 are no box: pictures have
different numbers of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ...core.errors import UserError
from ..rows import Lazy
from ..words import by, described, several
from .classes import named_once
from .target import Pairs, Targets, finite

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..dataset import Task

CLASS, COUNTS, COLUMNS = 4, 5, 6
MOST = 1_000
"""Boxes of a picture: COCO has 93 at most, aerial photos several hundred."""
_TAKES = "a list with an array (boxes, 5) for each picture, or an array (n, most, 5) with class −1 for no box"
VISIBLE = 0.25
"""Share of a box that is left within the picture, below which it does not count: nobody could tell what it is of."""


class Boxes(Targets):
    task: ClassVar[Task] = "detection"
    meaning: ClassVar[str] = "boxes"
    spatial: ClassVar[bool] = True
    immovable: ClassVar[tuple[str, ...]] = ("trivial",)
    mixable: ClassVar[bool] = False

    def array(self, y: Any) -> np.ndarray:
        """Return targets as one array; of a list of arrays (boxes, 5 or 6), one a picture, with rows that are none."""
        import numpy as np

        if not isinstance(y, list | tuple):
            return np.asarray(y)
        rows = [np.asarray(each) for each in y]
        rows = [each.reshape(0, COLUMNS).astype(np.float64) if each.size == 0 else each for each in rows]
        for place, each in enumerate(rows):
            if each.ndim != 2 or each.shape[1] not in (CLASS + 1, COLUMNS) or each.dtype.kind not in "iuf":
                raise UserError(f"the boxes of picture {place} are {described(each)}", _TAKES)
        array = none((len(rows), max(1, *map(len, rows)), COLUMNS)).astype(np.float64)
        for place, each in zip(array, rows, strict=True):
            place[: len(each), : each.shape[1]] = each
            place[: len(each), COUNTS] = each[:, COUNTS] if each.shape[1] == COLUMNS else 1
        return array

    def checked(
        self, y: np.ndarray, labels: Sequence[str], size: tuple[int, ...] | None = None
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        import numpy as np

        if size is None:
            raise UserError("boxes are of images, and there is no input that alone is one", "give one image input")
        if isinstance(y, Lazy):  # those of annotations are examined where they are read
            return y, named_once(labels)
        if y.ndim != 3 or y.shape[2] not in (CLASS + 1, COLUMNS) or y.dtype.kind not in "iuf" or 0 in y.shape[:2]:
            raise UserError(
                f"the boxes are {described(y)}, and detection takes x0, y0, x1, y1 and class of each, in pixels",
                _TAKES,
            )
        values = finite("y", y)
        if y.shape[2] == CLASS + 1:
            values = np.concatenate([values, np.ones_like(values[..., :1])], 2)
        if values.shape[1] > MOST:
            raise UserError(
                f"a picture has {values.shape[1]:,} boxes, and {MOST:,} are the most", "divide it into tiles"
            )
        there = values[..., CLASS] >= 0
        classes = values[there][:, CLASS]
        if not len(classes):
            raise UserError("no picture has a box", "a class of −1 is no box")
        _require(
            values[..., CLASS] == values[..., CLASS].round(), "a class that is no whole number", "classes count from 0"
        )
        _require(
            np.isin(values[..., COUNTS], (0, 1)),
            "a last column other than 0 and 1",
            "0 is for a box that does not count",
        )
        known = set(classes.astype(int).tolist())
        if not labels and (gaps := set(range(max(known))) - known):
            raise UserError(
                f"boxes have the classes {several(sorted(known))}, and none has {several(sorted(gaps))}",
                "classes count from 0, and `labels` names each, also one without boxes; else change the values",
            )
        names = named_once(labels) or tuple(map(str, range(max(known) + 1)))
        if outside := sorted(each for each in known if each >= len(names)):
            raise UserError(
                f"boxes have the class {several(outside)}, and {len(names)} `labels` count from 0",
                "list a label for each class",
            )
        x0, y0, x1, y1 = np.moveaxis(values[..., :4], 2, 0)
        _require(~there | (x1 > x0) & (y1 > y0), "a box of no width or height, or with its corners in another order",
                 "x0, y0 is the upper left corner and x1, y1 the lower right one")  # fmt: skip
        _require(~there | (x1 > 0) & (y1 > 0) & (x0 < size[1]) & (y0 < size[0]),
                 f"a box outside of the picture of {by(size)} pixels", "boxes are in pixels of `x`")  # fmt: skip
        return within(values, size), names

    def verify(self, y: np.ndarray, labels: Sequence[str], size: tuple[int, ...] | None = None) -> None:
        import numpy as np

        made, _ = self.checked(y, labels, size)
        if (y.dtype, y.shape) != (made.dtype, made.shape) or not np.array_equal(y[:], made[:]):
            raise UserError(
                f"the boxes are {described(y)}, and a Dataset of detection takes {described(made)} within the picture",
                "return `edgepress.Examples`, whose boxes are cut at the edge of the picture",
            )

    def required(self, labels: int) -> frozenset[int]:
        return frozenset(range(labels))

    def present(self, y: np.ndarray) -> set[int]:
        import numpy as np

        rows = y[:]
        return set(np.unique(rows[..., CLASS][rows[..., COUNTS] > 0]).astype(int).tolist()) - {-1}

    def reject_split(self, y: np.ndarray, labels: Sequence[str]) -> tuple[str, str] | None:
        return None if self.present(y) else ("no box that counts", "add pictures with boxes to it")

    def moved(self, y: Tensor, flips: Tensor, moves: Tensor, size: tuple[int, int], pairs: Pairs = ()) -> Tensor:
        import torch

        x0, y0, x1, y1, classes, counts = y.unbind(2)
        x0, x1 = (torch.where(flips[:, None], size[1] - far, near) for near, far in ((x0, x1), (x1, x0)))
        down, right = moves[:, :1], moves[:, 1:]
        return _kept(torch.stack([x0 - right, y0 - down, x1 - right, y1 - down, classes, counts], 2), size)

    def wrapped(self, y: Tensor, size: tuple[int, int]) -> Any:
        from torchvision.tv_tensors import BoundingBoxes

        # Not clamped by the transforms: how much of a box left the picture is still to be seen.
        return BoundingBoxes(y[:, :4], format="XYXY", canvas_size=size, clamping_mode=None)

    def unwrapped(self, moved: Any, y: Tensor, size: tuple[int, int]) -> Tensor:
        import torch

        return _kept(torch.cat([moved.as_subclass(torch.Tensor), y[:, 4:]], 1), size)


def none(shape: Sequence[int]) -> np.ndarray:
    """Return rows float32 (…, 6) that are no box."""
    import numpy as np

    rows = np.zeros(tuple(shape), np.float32)
    rows[..., CLASS] = -1
    return rows


def within(y: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Return boxes float32 (…, 6) cut at the edge of a picture of `size`, height and width; see `VISIBLE`."""
    import numpy as np
    import torch

    kept: np.ndarray = _kept(torch.from_numpy(y), (size[0], size[1])).float().numpy()
    narrow = (kept[..., 2:4] <= kept[..., :2]).any(-1)  # in float32, which holds fewer digits
    return np.where(narrow[..., None], none(kept.shape), kept)


def _kept(y: Tensor, size: tuple[int, int]) -> Tensor:
    import torch

    corners = y[..., :4]
    cut = corners.clamp(min=0).minimum(torch.tensor([size[1], size[0]] * 2, dtype=y.dtype))
    whole, left = ((each[..., 2:] - each[..., :2]).clamp(min=0).prod(-1) for each in (corners, cut))
    there = (y[..., CLASS] >= 0) & (left > 0)
    counts = y[..., COUNTS] * (left >= VISIBLE * whole)
    kept = torch.cat([cut, y[..., CLASS, None], counts[..., None]], -1)
    return torch.where(there[..., None], kept, torch.tensor([0.0, 0, 0, 0, -1, 0], dtype=y.dtype))


def _require(sound: np.ndarray, wrong: str, help: str) -> None:
    """Raise UserError with the rows of `sound` (n, most) that are not."""
    import numpy as np

    if rows := np.flatnonzero(~sound.all(1)).tolist():
        raise UserError(f"{len(rows)} of {len(sound)} pictures have {wrong}; rows from 0: {several(rows)}", help)
