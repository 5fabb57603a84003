"""`single-label`: one class an example; outputs are logits (b, classes)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from .multi_label import ranked
from .task import LabelTask, Loss, Skill

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..data.dataset import Dataset


class SingleLabel(LabelTask):
    name: ClassVar[str] = "single-label"
    about_classes: ClassVar[bool] = True
    takes: ClassVar[frozenset[str]] = frozenset({"weights", "sampling", "label_smoothing", "temperature"})

    def loss(self, data: Dataset, *, smoothing: float = 0.0, balanced: bool = False) -> Loss:
        """Return the cross-entropy; `balanced` weighs each class by n / (classes · its number of training examples)."""
        from torch.nn import functional

        from ..training.balance import class_weights

        weight = class_weights(data) if balanced else None

        def loss(z: Tensor, y: Tensor) -> Tensor:
            share = None if weight is None else weight.to(z.device)
            return functional.cross_entropy(z, y, weight=share, label_smoothing=smoothing)

        return loss

    def kd(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Return T² · KL(softmax(teacher/T) ‖ softmax(student/T)), summed over classes, mean over the batch.

        T² keeps the gradient's size when T changes (Hinton et al., 2015, section 2).
        """
        from torch.nn import functional

        softened = functional.log_softmax(student / temperature, 1)
        target = functional.log_softmax(teacher / temperature, 1)
        return temperature**2 * functional.kl_div(softened, target, reduction="batchmean", log_target=True)

    def nll(self, outputs: Tensor, y: Tensor) -> Tensor:
        from torch.nn import functional

        return functional.cross_entropy(outputs, y)

    def mean(self, outputs: Sequence[Tensor], shares: Tensor) -> Tensor:
        """Return the log of the mean probability, without the floor that an exported graph needs."""
        import torch

        stacked = torch.stack([z.log_softmax(1) for z in outputs])
        return (stacked + shares[:, :, None].log()).logsumexp(0)

    def skill(self, outputs: np.ndarray, y: np.ndarray, metric: str = "") -> Skill:
        """Return Cohen's kappa, of a varied `y` with the metric `auc` Gini's 2·AUC − 1.

        Examples of one class have neither: that is held against a blind guess.
        """
        import numpy as np

        from ..core.metric_functions import predicted

        varied = bool(np.ptp(y))
        if metric == "auc" and varied:
            return ranked(outputs, y, varied=varied)
        return agreement(predicted(outputs), y, outputs.shape[1], len(y))


def agreement(predicted: np.ndarray, y: np.ndarray, classes: int, count: int) -> Skill:
    """Return Cohen's kappa of predicted and true classes, with the standard error of `count` independent ones."""
    import numpy as np

    each = np.bincount(predicted[predicted < classes], minlength=classes), np.bincount(y, minlength=classes)
    return kappa(int((predicted == y).sum()), *each, classes, count)


def kappa(hits: int, predicted: np.ndarray, true: np.ndarray, classes: int, count: int) -> Skill:
    """Return the same of how many are right, and of how often each class is predicted and true, int64 (classes,)."""
    total, varied = int(true.sum()), int((true > 0).sum()) > 1
    right = hits / total
    chance = float((predicted * true).sum()) / total**2 if varied else 1 / classes
    rest = max(1 - chance, 1e-9)
    spread = math.sqrt(max(right * (1 - right), chance * rest) / count)
    return Skill((right - chance) / rest, spread / rest, f"{right:.1%} right, chance level {chance:.1%}")
