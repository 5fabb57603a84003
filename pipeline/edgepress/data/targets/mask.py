"""Targets of `segmentation`: the class of each pixel, uint8 (n, height, width), 255 for void."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ...core.errors import UserError
from ...core.metrics import VOID
from ..rows import Lazy
from ..words import by, described, several
from .classes import named_once
from .target import Link, Pairs, Targets, verify_as_checked

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..dataset import Task


class Masks(Targets):
    task: ClassVar[Task] = "segmentation"
    link: ClassVar[Link] = "softmax"
    meaning: ClassVar[str] = "mask_logits"
    spatial: ClassVar[bool] = True
    immovable: ClassVar[tuple[str, ...]] = ("trivial",)
    mixable: ClassVar[bool] = False

    def checked(
        self, y: np.ndarray, labels: Sequence[str], size: tuple[int, ...] | None = None
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        import numpy as np

        if y.ndim != 3 or y.dtype.kind not in "iu" or 0 in y.shape:
            raise UserError(
                f"the masks are {described(y)}, and segmentation takes one whole number a pixel",
                "an array uint8 (n, height, width): the class of each pixel, 255 where it does not count",
            )
        if size is None:
            raise UserError("masks are for images, and `x` has none", "images are uint8 of 3 or 4 dimensions")
        if y.shape[1:] != size:
            raise UserError(
                f"the masks are of {by(y.shape[1:])} pixels, and the images of {by(size)}",
                "a mask has a class for each pixel of its image",
            )
        if not isinstance(y, Lazy):  # those in files are examined there
            low, high = y.min(), y.max()
            if low < 0 or high > VOID:
                raise UserError(f"the masks have values from {low} to {high}", "classes count from 0; 255 is void")
            y = y.astype(np.uint8, copy=False)
        seen = self.present(y)
        if not labels and (gaps := set(range(max(seen, default=0))) - seen):
            raise UserError(
                f"masks have the values {several(sorted(seen))}, and none has {several(sorted(gaps))}",
                "classes count from 0, and `labels` names each, also one without pixels; else change the values",
            )
        names = named_once(labels) or tuple(map(str, range(max(seen, default=0) + 1)))
        if len(names) > VOID:
            raise UserError(f"there are {len(names)} `labels`, and masks have {VOID} at most", f"{VOID} is void")
        if outside := sorted(value for value in seen if value >= len(names)):
            rows = np.flatnonzero([(mask[mask != VOID] >= len(names)).any() for mask in y])
            raise UserError(
                f"masks have the value {several(outside)}, and {len(names)} `labels` count from 0; "
                f"rows from 0: {several(rows.tolist())}",
                "list a label for each class; 255 marks pixels that do not count",
            )
        return y, names

    def present(self, y: np.ndarray) -> set[int]:
        import numpy as np

        if isinstance(y, Lazy) and y.seen is not None:
            seen = np.unpackbits(np.bitwise_or.reduce(y.seen, axis=0)).astype(bool)
        else:
            seen = np.zeros(VOID + 1, bool)
            for mask in y:
                seen[mask.reshape(-1)] = True
        return set(np.flatnonzero(seen[:VOID]).tolist())

    def reject_split(self, y: np.ndarray, labels: Sequence[str]) -> tuple[str, str] | None:
        seen = self.present(y)
        if not seen:
            return "masks in which every pixel is void (255)", "give some pixels a class, which counts from 0"
        if len(seen) == 1:
            only = labels[min(seen)]
            return (
                f"masks of one class only, `{only}`",
                "there is nothing to tell apart; void pixels have the value 255",
            )
        return None

    def verify(self, y: np.ndarray, labels: Sequence[str], size: tuple[int, ...] | None = None) -> None:
        verify_as_checked(self, y, labels, size)

    def moved(self, y: Tensor, flips: Tensor, moves: Tensor, size: tuple[int, int], pairs: Pairs = ()) -> Tensor:
        from ..moves import move

        return move(y[:, None], flips, moves)[:, 0].contiguous()

    def wrapped(self, y: Tensor, size: tuple[int, int]) -> Any:
        from torchvision.tv_tensors import Mask

        return Mask(y[None])

    def unwrapped(self, moved: Any, y: Tensor, size: tuple[int, int]) -> Tensor:
        import torch

        mask: Tensor = moved.as_subclass(torch.Tensor)[0]
        return mask
