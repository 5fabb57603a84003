"""Targets of `single-label`: a class each, int64 (n,)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from ...core.errors import UserError
from ..words import class_order, described, several
from .target import Link, Targets

if TYPE_CHECKING:
    import numpy as np

    from ..dataset import Task


class Classes(Targets):
    task: ClassVar[Task] = "single-label"
    link: ClassVar[Link] = "softmax"
    meaning: ClassVar[str] = "logits"
    classes: ClassVar[bool] = True
    noisy: ClassVar[bool] = True

    def checked(
        self, y: np.ndarray, labels: Sequence[str], size: tuple[int, ...] | None = None
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        if y.ndim != 1 or y.dtype.kind not in "iuU":
            raise UserError(
                f"`y` is {described(y)}, and {self.task} takes one whole number or one text an example",
                "`task: regression` learns numbers, and `task: multi-label` takes 0 and 1 of shape (n, labels)",
            )
        return counted(y, labels)

    def required(self, labels: int) -> frozenset[int]:
        return frozenset(range(labels))

    def present(self, y: np.ndarray) -> set[int]:
        return set(y.tolist())


def counted(y: np.ndarray, labels: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return classes counted from 0, and their names: `labels`, or the different values that there are."""
    import numpy as np

    if not labels:
        values, y = np.unique(y, return_inverse=True)
        present = list(map(str, values.tolist()))
        order = sorted(
            range(len(present)), key=lambda index: class_order(present[index]) if values.dtype.kind == "U" else index
        )
        return np.argsort(order)[y].astype(np.int64), tuple(present[index] for index in order)
    names = named_once(labels)
    if y.dtype.kind == "U":
        known = {label: index for index, label in enumerate(names)}
        if unknown := sorted(set(y.tolist()) - set(known)):
            raise UserError(f"`y` has {several(unknown)}, which `labels` does not have")
        return np.array([known[name] for name in y.tolist()], np.int64), names
    if y.min() < 0 or y.max() >= len(names):
        raise UserError(f"`y` has classes from {y.min()} to {y.max()}, and {len(names)} labels count from 0")
    return y.astype(np.int64), names


def named_once(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the names. Raises: UserError where two are the same."""
    names = tuple(map(str, labels))
    if len(set(names)) < len(names):
        raise UserError(f"two labels are called `{next(name for name, count in Counter(names).items() if count > 1)}`")
    return names
