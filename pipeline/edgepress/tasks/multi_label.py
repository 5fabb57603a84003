"""`multi-label`: any number of labels an example; outputs are a logit for each (b, labels)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from .task import LabelTask, Loss, Skill

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..data.dataset import Dataset


class MultiLabel(LabelTask):
    name: ClassVar[str] = "multi-label"
    takes: ClassVar[frozenset[str]] = frozenset({"weights", "temperature"})
    lenient: ClassVar[bool] = True

    def loss(self, data: Dataset, *, smoothing: float = 0.0, balanced: bool = False) -> Loss:
        """Return the cross-entropy of each label; `balanced` weighs presence by how rare it is."""
        from torch.nn import functional

        from ..training.balance import rarity

        pos_weight = rarity(data) if balanced else None

        def loss(z: Tensor, y: Tensor) -> Tensor:
            weight = None if pos_weight is None else pos_weight.to(z.device)
            return functional.binary_cross_entropy_with_logits(z, y.float(), pos_weight=weight)

        return loss

    def kd(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Return T² · KL of each label's two outcomes, mean over labels and batch."""
        from torch.nn import functional

        target = (teacher / temperature).sigmoid()
        entropy = functional.binary_cross_entropy(target, target)
        return temperature**2 * (functional.binary_cross_entropy_with_logits(student / temperature, target) - entropy)

    def nll(self, outputs: Tensor, y: Tensor) -> Tensor:
        from torch.nn import functional

        return functional.binary_cross_entropy_with_logits(outputs, y.to(outputs.dtype))

    def skill(self, outputs: np.ndarray, y: np.ndarray, metric: str = "") -> Skill:
        """Return Gini's 2·AUC − 1; marks that are all the same have none (NaN)."""
        import numpy as np

        return ranked(outputs, y, varied=bool(np.ptp(y, axis=0).any()))


def ranked(outputs: np.ndarray, y: np.ndarray, *, varied: bool) -> Skill:
    """Return Gini's 2·AUC − 1."""
    from ..core.metrics import METRICS

    value = METRICS["auc"](outputs, y) if varied else math.nan
    return Skill(2 * value - 1, 1 / math.sqrt(3 * len(y)), f"AUC {value:.3f}, chance level 0.5")
