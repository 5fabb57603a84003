"""`embedding`: a vector each, whose directions tell identities apart; outputs are (b, length) of any size.

Training is on identities, by the supervised contrastive loss (Khosla et al., 2020), or towards a teacher's vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .task import Loss, Skill, Task

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..data.dataset import Dataset

CONTRAST = 0.1
"""Temperature of the contrastive loss, as in the paper."""
RELATIONS = 1.0
"""Weight of the distances between examples (RKD) beside the cosine of each with its teacher's vector."""
SAMPLE, BLOCK = 4096, 4
"""Examples whose contrastive loss `nll` is, and how many neighbours by identity are taken together."""


class Embedding(Task):
    name: ClassVar[str] = "embedding"
    alike: ClassVar[str] = ""

    def loss(self, data: Dataset, *, smoothing: float = 0.0, balanced: bool = False) -> Loss:
        """Return the contrastive loss of identities; where the targets are vectors, 1 − cosine."""
        return contrastive if data["train"].y.ndim == 1 else cosine

    def kd(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Return 1 − cosine, plus the difference of the similarities within the batch (after RKD, Park et al., 2019).

        Vectors of another length cannot be compared one by one, and their similarities can.
        """
        from torch.nn import functional

        own, other = (functional.normalize(z, dim=1) for z in (student, teacher))
        relations = functional.mse_loss(own @ own.T, other @ other.T)
        return relations if own.shape[1] != other.shape[1] else cosine(student, teacher) + RELATIONS * relations

    def nll(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the loss of all examples, but the contrastive one of `SAMPLE`: their similarities fit in memory."""
        if y.ndim > 1:
            return cosine(outputs, y.to(outputs.dtype))
        rows = sample(y)
        return contrastive(outputs[rows], y[rows])

    def skill(self, outputs: np.ndarray, y: np.ndarray, metric: str = "") -> Skill:
        """Return how much more often than by chance the nearest other example is of the same identity.

        Of vectors as targets it is the mean cosine, of which 0 is chance.
        """
        import numpy as np

        from ..core import metric_embeddings

        if y.ndim > 1:
            cosines = metric_embeddings.cosines(outputs, y)
            spread = float(cosines.std()) / len(y) ** 0.5
            return Skill(float(cosines.mean()), spread, f"mean cosine {cosines.mean():.3f} with the targets")
        counts = np.unique(y, return_counts=True)[1]
        chance = float((counts * (counts - 1)).sum()) / (len(y) * (len(y) - 1))
        right = float((y[metric_embeddings.nearest(outputs)] == y).mean())
        rest = max(1 - chance, 1e-9)
        spread = (max(right * (1 - right), chance * rest) / len(y)) ** 0.5
        words = f"the nearest is of the same identity for {right:.1%}, chance level {chance:.1%}"
        return Skill((right - chance) / rest, spread / rest, words)


def sample(y: Tensor) -> Tensor:
    """Return the rows of all identities `y` (n,), or of about `SAMPLE`, in blocks of four of an identity if it can."""
    import torch

    if len(y) <= SAMPLE:
        return torch.arange(len(y))
    starts = torch.linspace(0, len(y) - BLOCK, SAMPLE // BLOCK).long()
    return y.argsort(stable=True)[(starts[:, None] + torch.arange(BLOCK)).flatten().unique()]


def cosine(z: Tensor, target: Tensor) -> Tensor:
    """Return the mean of 1 − cosine."""
    from torch.nn import functional

    return 1 - functional.cosine_similarity(z, target, dim=1).mean()


def contrastive(z: Tensor, y: Tensor) -> Tensor:
    """Return the supervised contrastive loss of vectors (b, length) and identities (b,) (Khosla et al., 2020, 2).

    An example without another of its identity in the batch has none to be near, and counts as one to be far from.
    """
    from pytorch_metric_learning.losses import SupConLoss

    loss: Tensor = SupConLoss(temperature=CONTRAST)(z, y)
    return loss
