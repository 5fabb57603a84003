"""Targets of `regression`: numbers, float32 (n, quantities)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from .marks import columns
from .target import Targets, finite

if TYPE_CHECKING:
    import numpy as np

    from ..dataset import Task


class Numbers(Targets):
    task: ClassVar[Task] = "regression"

    def checked(
        self, y: np.ndarray, labels: Sequence[str], size: tuple[int, ...] | None = None
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        y, names = columns(y, labels, self.task)
        return finite("y", y), names
