"""`detection`: boxes of objects and their classes.

In torch the outputs are the heads side by side (b, places, columns): boxes, objectness where there is one, and scores.
What metrics, comparisons and skill see is decoded: detections float32 (n, most, 6), x0, y0, x1, y1, score and class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .task import Loss, Skill, Task

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from ..data.dataset import Dataset

SHOWN = 0.3
"""Least score of a box that a user would be shown, and that two models are compared by."""
FEW = 50
"""Such boxes from which they tell how alike two models are."""


@dataclass(frozen=True)
class Detection(Task):
    """The losses are those of `module`, whose `decode` tells its heads."""

    name: ClassVar[str] = "detection"
    alike: ClassVar[str] = "boxes"
    dense: ClassVar[bool] = True
    averages: ClassVar[bool] = False
    takes: ClassVar[frozenset[str]] = frozenset({"temperature"})

    module: Any = None

    def bound(self, module: nn.Module) -> Task:
        return Detection(module)

    def loss(self, data: Dataset, *, smoothing: float = 0.0, balanced: bool = False) -> Loss:
        """Return the loss of the network: its own, or that of SSD or FCOS, by how its heads are coded."""
        from ..models.detection_losses import loss

        return lambda z, y: loss(self.module, z, y)

    def kd(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Return the distance of the heads, where the teacher is sure of an object; see `detection_losses.kd`."""
        from ..core.errors import UserError
        from ..models.detection_losses import kd

        if student.shape != teacher.shape:
            sides = (" × ".join(map(str, each.shape[1:])) for each in (student, teacher))
            raise UserError(
                "the student's heads are {} numbers, and the teacher's {}".format(*sides),
                "distil between networks of the same kind of head, whose maps have the same strides",
            )
        detector = self.module.edgepress
        return kd(student, teacher, detector.decode, detector.classes, temperature)

    def nll(self, outputs: Tensor, y: Tensor) -> Tensor:
        from ..models.detection_losses import loss

        return loss(self.module, outputs, y)

    def agreement(self, outputs: np.ndarray, other: np.ndarray, y: np.ndarray) -> float:
        """Return F1 of the boxes of two models that match: one to one, of one class, with an IoU of 0.5 or more."""
        from ..core.boxes import f1

        return f1(outputs, other, SHOWN)

    def mean(self, outputs: Sequence[Tensor], shares: Tensor) -> Tensor:
        """Return the mean of the heads of teachers with the same places."""
        stacked = (z * share[:, None, None] for z, share in zip(outputs, shares, strict=True))
        total: Tensor = sum(stacked)
        return total

    def skill(self, outputs: np.ndarray, y: np.ndarray, metric: str = "") -> Skill:
        """Return average precision at an IoU of 0.5, of which chance has next to none."""
        import numpy as np

        from ..core.metrics import METRICS

        value = METRICS["map50"](outputs, y)
        return Skill(0.0 if np.isnan(value) else value, 0.0, f"average precision at IoU 0.5 of {value:.1%}")
