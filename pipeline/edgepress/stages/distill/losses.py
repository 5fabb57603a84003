"""Compute distillation losses of (b, classes) logits or of maps (b, channels, …): a scalar per batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ...tasks.keypoints import at_cells


def standardized(z: Tensor) -> Tensor:
    """Return (z − mean) / std of each example (Sun et al., 2024, "Logit Standardization in Knowledge Distillation")."""
    return (z - z.mean(1, keepdim=True)) / (z.std(1, keepdim=True) + 1e-7)


def dkd_terms(student: Tensor, teacher: Tensor, y: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return KD of "the label or not", and KD among the other classes, (b,) each, without T².

    After Zhao et al. (2022, section 3). KD of an example is the first plus (1 − the teacher's probability of the label)
    times the second.
    """
    p, q = (functional.log_softmax(z / temperature, 1) for z in (teacher, student))
    label = functional.one_hot(y, student.shape[1]).bool()
    p_is, q_is = p[label], q[label]
    p_not, q_not = (z.masked_fill(label, -torch.inf).logsumexp(1) for z in (p, q))
    target = p_is.exp() * (p_is - q_is) + p_not.exp() * (p_not - q_not)
    other_p, other_q = (z[~label].reshape(len(z), -1) - rest[:, None] for z, rest in ((p, p_not), (q, q_not)))
    return target, (other_p.exp() * (other_p - other_q)).sum(1)


def dkd(student: Tensor, teacher: Tensor, y: Tensor, temperature: float, alpha: float, beta: float) -> Tensor:
    """Return T² · mean of alpha · TCKD + beta · NCKD (Zhao et al., 2022, equation 7)."""
    target, non_target = dkd_terms(student, teacher, y, temperature)
    return temperature**2 * (alpha * target + beta * non_target).mean()


def dist(student: Tensor, teacher: Tensor, temperature: float, beta: float, gamma: float) -> Tensor:
    """Return T² · (beta · (1 − correlation of each example) + gamma · (1 − correlation of each class over the batch)).

    Pearson's, of the softened probabilities (Huang et al., 2022, "Knowledge Distillation from A Stronger Teacher").
    """
    q, p = ((z / temperature).softmax(1) for z in (student, teacher))
    between, within = 1 - _pearson(q, p).mean(), 1 - _pearson(q.T, p.T).mean()
    return temperature**2 * (beta * between + gamma * within)


def cwd(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T² · KL between maps of a channel, each a softmax over its pixels; mean over channels and batch.

    "Channel-wise Knowledge Distillation for Dense Prediction" (Shu et al., 2021, equation 4). Maps of another stride
    are read at the student's cells.
    """
    maps = student, at_cells(teacher, student)
    q, p = (functional.log_softmax(z.flatten(2) / temperature, 2) for z in maps)
    return temperature**2 * functional.kl_div(q, p, reduction="none", log_target=True).sum(2).mean()


def _pearson(first: Tensor, second: Tensor) -> Tensor:
    """Return the correlation of each pair of rows."""
    first, second = (x - x.mean(1, keepdim=True) for x in (first, second))
    return functional.cosine_similarity(first, second, dim=1, eps=1e-8)
