"""What training lowers, for each kind of task."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from .ensemble import blend

if TYPE_CHECKING:
    from .data import Dataset

Loss = Callable[[Tensor, Tensor], Tensor]
"""(answers (b, labels), labels as `data.Split` has them) → a scalar."""


def of_labels(data: Dataset, *, smoothing: float = 0.0, balanced: bool = False) -> Loss:
    """The loss against the labels: cross-entropy, cross-entropy of each label, or the squared error.

    `balanced` weighs each class by n / (classes · its number of training examples), as scikit-learn does.
    """
    if data.task == "regression":
        return functional.mse_loss
    if data.task == "multi-label":
        rare = _rarity(data) if balanced else None
        return lambda z, y: functional.binary_cross_entropy_with_logits(z, y.float(), pos_weight=rare)
    weight = class_weights(data) if balanced else None
    return lambda z, y: functional.cross_entropy(z, y, weight=weight, label_smoothing=smoothing)


def of_teacher(task: str, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """The distance of the student's answers (b, labels) from the teacher's.

    single-label: T² · KL(softmax(teacher/T) ‖ softmax(student/T)), summed over classes, mean over b; T² keeps the
    gradient's size when T changes (Hinton et al., 2015, section 2). multi-label: the same of each label's two
    outcomes. regression: the squared difference.
    """
    if task == "regression":
        return functional.mse_loss(student, teacher)
    if task == "multi-label":
        target = (teacher / temperature).sigmoid()
        entropy = functional.binary_cross_entropy(target, target)
        return temperature**2 * (functional.binary_cross_entropy_with_logits(student / temperature, target) - entropy)
    softened = functional.log_softmax(student / temperature, 1)
    target = functional.log_softmax(teacher / temperature, 1)
    return temperature**2 * functional.kl_div(softened, target, reduction="batchmean", log_target=True)


def mean_answer(answers: list[Tensor], task: str) -> Tensor:
    """The mean of teachers' answers, each counting the same; of single-label ones the log of the mean probability."""
    if task == "single-label":  # without the floor that an exported graph needs
        return torch.stack([z.log_softmax(1) for z in answers]).logsumexp(0) - torch.tensor(len(answers)).log()
    return blend(answers, [1 / len(answers)] * len(answers), task)


def class_weights(data: Dataset) -> Tensor:
    """float32 (classes,): n / (classes · count); a class without an example counts nothing."""
    counts = torch.bincount(torch.from_numpy(data["train"].y), minlength=len(data.labels)).float()
    return torch.where(counts > 0, counts.sum() / (len(counts) * counts.clamp(min=1)), torch.zeros(()))


def _rarity(data: Dataset) -> Tensor:
    """float32 (labels,): how many examples lack a label for each that has it."""
    y = torch.from_numpy(data["train"].y.copy()).float()
    return ((1 - y).sum(0) / y.sum(0).clamp(min=1)).clamp(min=1e-3)
