"""Targets of `image`: pictures, uint8 (n, channels, height, width); of a depth or a flow float32.

They may be larger than the examples by one whole factor on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from ...core.errors import UserError
from ..words import by, described
from .target import Pairs, Targets, finite, verify_as_checked

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..dataset import Task

CHANNELS = (1, 2, 3, 4)


class Pictures(Targets):
    task: ClassVar[Task] = "image"
    meaning: ClassVar[str] = "image"
    spatial: ClassVar[bool] = True
    immovable: ClassVar[tuple[str, ...]] = ("rotate", "crop", "jitter", "trivial", "erase")
    mixable: ClassVar[bool] = False

    def checked(
        self, y: np.ndarray, labels: Sequence[str], size: tuple[int, ...] | None = None
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        y = y[:, None] if y.ndim == 3 else y
        if y.ndim != 4 or (y.dtype != "uint8" and y.dtype.kind != "f") or y.shape[1] not in CHANNELS or 0 in y.shape:
            raise UserError(
                f"the target pictures are {described(y)}, and image takes one picture an example",
                "an array (n, channels, height, width): uint8 of 0 to 255, or float32 such as a depth",
            )
        if size is None:
            raise UserError("pictures as targets are for images, and `x` has none", "images are uint8")
        if scale(size, y.shape[2:]) is None:
            raise UserError(
                f"the target pictures are of {by(y.shape[2:])} pixels, and the images of {by(size)}",
                "as large, or larger by one whole factor on both sides",
            )
        if labels and len(labels) != y.shape[1]:
            raise UserError(f"the target pictures have {y.shape[1]} channels, and there are {len(labels)} `labels`")
        names = tuple(map(str, labels)) or _NAMES.get(y.shape[1], tuple(f"y{number}" for number in range(y.shape[1])))
        return (y if y.dtype == "uint8" else finite("y", y)), names

    def verify(self, y: np.ndarray, labels: Sequence[str], size: tuple[int, ...] | None = None) -> None:
        verify_as_checked(self, y, labels, size)

    def moved(self, y: Tensor, flips: Tensor, moves: Tensor, size: tuple[int, int], pairs: Pairs = ()) -> Tensor:
        from ..moves import move

        return move(y, flips, moves, y.shape[2] // size[0]).contiguous()


_NAMES = {1: ("grey",), 3: ("red", "green", "blue")}


def scale(size: Sequence[int], target: Sequence[int]) -> int | None:
    """Return how many times larger pictures of `target` are than those of `size`; None where no factor is whole."""
    (height, width), (high, wide) = size, target
    whole = high % height == 0 and wide % width == 0 and high // height == wide // width
    return high // height if whole else None
