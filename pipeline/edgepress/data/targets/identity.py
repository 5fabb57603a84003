"""Targets of `embedding`: whom an example shows, int64 (n,); or a teacher's vectors, float32 (n, length)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from ...core.errors import UserError
from ..words import described
from .classes import counted
from .target import Targets, finite, verify_as_checked

if TYPE_CHECKING:
    import numpy as np

    from ..dataset import Task


class Identities(Targets):
    task: ClassVar[Task] = "embedding"
    meaning: ClassVar[str] = "embedding"
    per_label: ClassVar[bool] = False
    together: ClassVar[int] = 4
    least_units: ClassVar[int] = 2
    mixable: ClassVar[bool] = False

    def checked(
        self, y: np.ndarray, labels: Sequence[str], size: tuple[int, ...] | None = None
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        import numpy as np

        if y.ndim == 2 and y.dtype.kind == "f":
            if labels and len(labels) != y.shape[1]:
                raise UserError(f"the vectors have {y.shape[1]} numbers, and there are {len(labels)} `labels`")
            vectors = finite("y", y)
            if zero := np.flatnonzero(~vectors.any(1)).tolist():
                raise UserError(f"the vector of row {zero[0]} is zero, and has no direction", "leave the row out")
            return vectors, tuple(map(str, labels)) or tuple(f"y{column}" for column in range(y.shape[1]))
        if y.ndim != 1 or y.dtype.kind not in "iuU":
            raise UserError(
                f"`y` is {described(y)}, and embedding takes one whole number or one text an example",
                "who or what each example shows; or a teacher's vectors, float32 (n, length)",
            )
        y, names = counted(y, labels)
        if not np.ptp(y):
            raise UserError(f"there is one identity only, `{names[int(y[0])]}`", "an embedding tells several apart")
        return y, names

    def verify(self, y: np.ndarray, labels: Sequence[str], size: tuple[int, ...] | None = None) -> None:
        verify_as_checked(self, y, labels, size)

    def groups(self, y: np.ndarray) -> np.ndarray | None:
        return y if y.ndim == 1 else None

    def reject_split(self, y: np.ndarray, labels: Sequence[str]) -> tuple[str, str] | None:
        import numpy as np

        if y.ndim > 1:
            return None
        names, counts = np.unique(y, return_counts=True)
        if len(names) < 2:
            return (
                f"one identity only, `{labels[names[0]]}`",
                "six identities or more leave two to each split, where each is kept in one",
            )
        if counts.max() < 2:
            return "one example of each identity", "an embedding is learnt and judged by two or more of each"
        return None
