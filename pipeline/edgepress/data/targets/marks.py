"""Targets of `multi-label`: 0 or 1 of each label, uint8 (n, labels)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from ...core.errors import UserError
from ..words import described
from .target import Link, Targets

if TYPE_CHECKING:
    import numpy as np

    from ..dataset import Task


class Marks(Targets):
    task: ClassVar[Task] = "multi-label"
    link: ClassVar[Link] = "sigmoid"
    meaning: ClassVar[str] = "logits"
    noisy: ClassVar[bool] = True

    def checked(
        self, y: np.ndarray, labels: Sequence[str], size: tuple[int, ...] | None = None
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        import numpy as np

        y, names = columns(y, labels, self.task)
        if not np.isin(y, (0, 1)).all():
            raise UserError("labels of a multi-label task are 0 or 1, and some are not")
        return y.astype(np.uint8), names

    def required(self, labels: int) -> frozenset[int]:
        return frozenset(range(labels))

    def present(self, y: np.ndarray) -> set[int]:
        import numpy as np

        return set(np.flatnonzero(y.any(axis=0)).tolist())


def columns(y: np.ndarray, labels: Sequence[str], task: Task) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return targets of a column a label, and the names of the labels. Raises: UserError."""
    y = y[:, None] if y.ndim == 1 else y
    if y.ndim != 2 or y.dtype.kind not in "biuf" or (labels and len(labels) != y.shape[1]):
        raise UserError(
            f"the labels are {described(y)}, and {task} takes a column for each of {len(labels) or 'the'} labels",
            "a class for each pixel is `task: segmentation`, a picture each `task: image`" if y.ndim > 2 else "",
        )
    return y, tuple(map(str, labels)) or tuple(f"y{column}" for column in range(y.shape[1]))
