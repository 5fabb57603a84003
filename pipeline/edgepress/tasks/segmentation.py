"""`segmentation`: a class for each pixel; outputs are logits (b, classes, height, width) as large as the picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from ..core.metrics import VOID
from .single_label import kappa
from .task import Loss, Skill, Task

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..data.dataset import Dataset

AT_ONCE = 64
"""Masks that are counted together."""
DICE = 1.0
"""What is added to numerator and denominator of Dice: a class that is absent and not predicted costs nothing."""


class Segmentation(Task):
    name: ClassVar[str] = "segmentation"
    alike: ClassVar[str] = "pixels"
    about_maps: ClassVar[bool] = True
    dense: ClassVar[bool] = True
    takes: ClassVar[frozenset[str]] = frozenset({"weights", "label_smoothing", "temperature"})

    def loss(self, data: Dataset, *, smoothing: float = 0.0, balanced: bool = False) -> Loss:
        """Return the cross-entropy of the pixels that are not void.

        `balanced` adds the Dice loss, in which every class counts the same however few pixels it has.
        """
        from torch.nn import functional

        def loss(z: Tensor, y: Tensor) -> Tensor:
            y = y.long()
            # The sum over pixels that count: the mean of none is not a number.
            total = functional.cross_entropy(z, y, ignore_index=VOID, label_smoothing=smoothing, reduction="sum")
            value = total / (y != VOID).sum().clamp(min=1)
            return value + dice(z, y) if balanced else value

        return loss

    def kd(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Return T² · KL(softmax(teacher/T) ‖ softmax(student/T)) of each pixel, mean over pixels and batch.

        Pixel-wise distillation is from Liu et al. (2019, "Structured Knowledge Distillation for Dense Prediction").
        """
        from torch.nn import functional

        q, p = (functional.log_softmax(z / temperature, 1) for z in (student, teacher))
        return temperature**2 * functional.kl_div(q, p, reduction="none", log_target=True).sum(1).mean()

    def nll(self, outputs: Tensor, y: Tensor) -> Tensor:
        from torch.nn import functional

        return functional.cross_entropy(outputs, y.long(), ignore_index=VOID)

    def predictions(self, outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the class of each pixel, uint8 (n, height, width); void where a logit is no finite number."""
        from ..core.metric_masks import classes

        return classes(outputs).astype("uint8")

    def agreement(self, outputs: np.ndarray, other: np.ndarray, y: np.ndarray) -> float:
        """Return the share of pixels of the same class; those without one are like no other."""
        return float(((outputs == other) & (outputs != VOID)).mean())

    def mean(self, outputs: Sequence[Tensor], shares: Tensor) -> Tensor:
        """Return the log of the mean probability of each pixel."""
        import torch

        stacked = torch.stack([z.log_softmax(1) for z in outputs])
        return (stacked + shares[:, :, None, None, None].log()).logsumexp(0)

    def skill(self, outputs: np.ndarray, y: np.ndarray, metric: str = "") -> Skill:
        """Return Cohen's kappa of the pixels that are not void; only pictures count as independent."""
        import numpy as np

        hits, largest, predicted, true = 0, 0, np.zeros(VOID + 1, np.int64), np.zeros(VOID + 1, np.int64)
        for at in range(0, len(y), AT_ONCE):
            part, found = y[at : at + AT_ONCE], outputs[at : at + AT_ONCE]
            found = found if found.ndim == part.ndim else self.predictions(found, part)
            known, largest = part != VOID, max(largest, int(found.max()))
            hits += int((found[known] == part[known]).sum())
            predicted += np.bincount(found[known], minlength=VOID + 1)
            true += np.bincount(part[known], minlength=VOID + 1)
        if not true.any():
            return Skill(0.0, 0.0, "every pixel is void")
        return kappa(hits, predicted, true, 1 + max(largest, int(np.flatnonzero(true).max())), len(y))


def dice(z: Tensor, y: Tensor) -> Tensor:
    """Return 1 − Dice = 1 − 2 Σ p·t / (Σ p + Σ t) of each class over the batch, mean over classes (Milletari, 2016).

    `z` are logits (b, classes, h, w), `y` classes int64 (b, h, w); void pixels are left out.
    """
    from torch.nn import functional

    known = (y != VOID)[:, None]
    p = z.softmax(1) * known
    t = functional.one_hot(y.clamp(max=z.shape[1] - 1), z.shape[1]).movedim(-1, 1) * known
    both, either = (p * t).sum((0, 2, 3)), (p + t).sum((0, 2, 3))
    return 1 - ((2 * both + DICE) / (either + DICE)).mean()
