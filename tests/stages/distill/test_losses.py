"""The losses of distillation as their papers have them: identities, gradients, and what they do not see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from edgepress.stages.distill.losses import dist, dkd, dkd_terms, standardized
from edgepress.stages.distill.weighing import by_confidence, by_entropy, weighed
from edgepress.tasks import TASKS
from torch.nn import functional


def random_logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_equal_logits_lose_nothing(temperature: float) -> None:
    z = random_logits(6, 10)
    assert abs(float(TASKS["single-label"].kd(z, z, temperature))) < 1e-12
    assert abs(float(TASKS["single-label"].kd(z, z + 7, temperature))) < 1e-12, "softmax does not see a constant"


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_loss_is_the_written_formula(temperature: float) -> None:
    student, teacher = random_logits(6, 10), 3 * random_logits(6, 10, seed=1)
    p, q = (z.div(temperature).softmax(1).numpy() for z in (teacher, student))
    expected = temperature**2 * (p * np.log(p / q)).sum(1).mean()
    assert float(TASKS["single-label"].kd(student, teacher, temperature)) == pytest.approx(expected)


def test_gradient_keeps_its_size_when_the_temperature_rises() -> None:
    """At high T it becomes (z_s - z_t) / classes for logits of mean zero, whatever T is (Hinton et al., section 2)."""
    teacher, at = random_logits(4, 10, seed=1), random_logits(4, 10)
    teacher, at = (z - z.mean(1, keepdim=True) for z in (teacher, at))
    for temperature in (100.0, 400.0):
        student = at.clone().requires_grad_()
        TASKS["single-label"].kd(student, teacher, temperature).backward()
        assert student.grad is not None
        torch.testing.assert_close(student.grad, (at - teacher) / (10 * 4), atol=2e-3, rtol=0.05)


def test_confident_answers_give_finite_losses() -> None:
    student = torch.tensor([[1e4, 0.0, -1e4]], requires_grad=True)
    loss = TASKS["single-label"].kd(student, torch.tensor([[-1e4, 0.0, 1e4]]), 1.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


def test_label_order_breaks_the_loss() -> None:
    """The control: rows in another order are far from free."""
    teacher = 5 * functional.one_hot(torch.arange(10) % 10, 10).double()
    assert float(TASKS["single-label"].kd(teacher, teacher.flip(0), 2.0)) > 1


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_dkd_is_kd_taken_apart(temperature: float) -> None:
    """KD = TCKD + (1 - p) NCKD, example by example (Zhao et al., 2022, equation 5)."""
    student, teacher, y = random_logits(8, 10), 3 * random_logits(8, 10, seed=1), torch.arange(8)
    target, others = dkd_terms(student, teacher, y, temperature)
    p = (teacher / temperature).softmax(1)[torch.arange(8), y]
    whole = torch.stack(
        [TASKS["single-label"].kd(s[None], t[None], temperature) for s, t in zip(student, teacher, strict=True)]
    )
    torch.testing.assert_close(temperature**2 * (target + (1 - p) * others), whole)


def test_dkd_of_sure_teachers_is_finite() -> None:
    student, teacher = torch.zeros(2, 4, requires_grad=True), torch.tensor([[90.0, 0, 0, 0], [0, -90.0, 0, 0]])
    loss = dkd(student, teacher, torch.tensor([0, 1]), 1.0, 1.0, 8.0)
    loss.backward()
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


def test_standardized_answers_have_neither_place_nor_size() -> None:
    z = random_logits(5, 10)
    torch.testing.assert_close(standardized(3 * z + 7), standardized(z), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(standardized(z).mean(1), torch.zeros(5, dtype=z.dtype), atol=1e-9, rtol=0)
    teacher = random_logits(5, 10, seed=1)
    one, other = (TASKS["single-label"].kd(standardized(z), standardized(t), 2.0) for t in (teacher, 9 * teacher - 4))
    torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_standardized_constants_are_finite() -> None:
    assert torch.isfinite(standardized(torch.ones(2, 5))).all()


def test_dist_is_zero_for_equal_answers_and_does_not_see_the_size_of_probabilities() -> None:
    z = random_logits(40, 10)
    assert abs(float(dist(z, z, 1.0, 1.0, 1.0))) < 1e-6
    other = random_logits(40, 10, seed=1)
    q, p = z.softmax(1).numpy(), other.softmax(1).numpy()
    rows = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(q, p, strict=True)])
    columns = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(q.T, p.T, strict=True)])
    assert float(dist(z, other, 1.0, 2.0, 3.0)) == pytest.approx(2 * (1 - rows) + 3 * (1 - columns))


def test_the_gradient_of_the_mean_probability_is_the_mean_of_the_gradients() -> None:
    teachers = [3 * random_logits(6, 10, seed=seed) for seed in (1, 2, 3)]
    gradients = []
    for targets in (teachers, [weighed(teachers, torch.full((3,), 1 / 3), "single-label")]):
        student = random_logits(6, 10).requires_grad_()
        torch.stack([TASKS["single-label"].kd(student, t, 1.0) for t in targets]).mean().backward()
        gradients.append(student.grad)
    torch.testing.assert_close(*gradients)


def test_shares_of_teachers_by_example() -> None:
    y = torch.tensor([0, 1, 2, 0])
    right, wrong = 9.0 * functional.one_hot(y, 3), 9.0 * functional.one_hot((y + 1) % 3, 3)
    shares = by_confidence([right, wrong], y, labelled=3)
    torch.testing.assert_close(shares.sum(0), torch.ones(4))
    assert (shares[0, :3] > 0.9).all(), "the one that is right counts"
    assert shares[:, 3].tolist() == [0.5, 0.5], "without a label nobody is right"
    assert by_confidence([right], y, labelled=4).tolist() == [[1.0] * 4]
    sure = by_entropy([right, torch.zeros(4, 3)])
    torch.testing.assert_close(sure.sum(0), torch.ones(4))
    assert (sure[0] > 0.9).all()
    assert torch.isfinite(by_entropy([torch.zeros(4, 3)] * 2)).all()


def test_a_weight_of_zero_leaves_a_teacher_out() -> None:
    one, other = random_logits(4, 5), random_logits(4, 5, seed=1)
    found = weighed([one, other], torch.tensor([1.0, 0.0]), "single-label")
    torch.testing.assert_close(found, one.log_softmax(1))
    for task in ("regression", "multi-label"):
        torch.testing.assert_close(weighed([one, other], torch.tensor([1.0, 0.0]), task), one, atol=1e-4, rtol=1e-4)
