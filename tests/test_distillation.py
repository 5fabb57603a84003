"""The distillation loss as its paper has it, and teachers' answers that are kept without a change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline import zoo
from pipeline.data import Dataset
from pipeline.distillation import teacher_logits
from pipeline.errors import UserError
from pipeline.losses import of_teacher
from pipeline.stage import Context
from pipeline.train import Examples, Rows, Schedule, logits
from tests.conftest import fresh


def random_logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_equal_logits_lose_nothing(temperature: float) -> None:
    z = random_logits(6, 10)
    assert abs(float(of_teacher("single-label", z, z, temperature))) < 1e-12
    assert abs(float(of_teacher("single-label", z, z + 7, temperature))) < 1e-12, "softmax does not see a constant"


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_loss_is_the_written_formula(temperature: float) -> None:
    student, teacher = random_logits(6, 10), 3 * random_logits(6, 10, seed=1)
    p, q = (z.div(temperature).softmax(1).numpy() for z in (teacher, student))
    expected = temperature**2 * (p * np.log(p / q)).sum(1).mean()
    assert float(of_teacher("single-label", student, teacher, temperature)) == pytest.approx(expected)


def test_gradient_keeps_its_size_when_the_temperature_rises() -> None:
    """At high T it becomes (z_s - z_t) / classes for logits of mean zero, whatever T is (Hinton et al., section 2)."""
    teacher, at = random_logits(4, 10, seed=1), random_logits(4, 10)
    teacher, at = (z - z.mean(1, keepdim=True) for z in (teacher, at))
    for temperature in (100.0, 400.0):
        student = at.clone().requires_grad_()
        of_teacher("single-label", student, teacher, temperature).backward()
        assert student.grad is not None
        torch.testing.assert_close(student.grad, (at - teacher) / (10 * 4), atol=2e-3, rtol=0.05)


def test_confident_answers_give_finite_losses() -> None:
    student = torch.tensor([[1e4, 0.0, -1e4]], requires_grad=True)
    loss = of_teacher("single-label", student, torch.tensor([[-1e4, 0.0, 1e4]]), 1.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


def test_kept_answers_are_the_live_ones_bit_for_bit_and_in_order(
    tiny: zoo.Network, few: Dataset, tmp_path: Path, context: Callable[..., Context]
) -> None:
    path, schedule = fresh(tiny, few, tmp_path / "t").path, Schedule(shift=1)
    kept = teacher_logits([path], schedule, 3, 5, context(few))
    again = teacher_logits([path], schedule, 3, 5, context(few))
    pixels = Examples(few, "train", 5, flip=True, shift=1)
    teacher, _ = zoo.load(path)
    for view in range(3):
        live = torch.from_numpy(logits(teacher, pixels, view)).log_softmax(1)
        assert torch.equal(kept[view], live)
        assert torch.equal(kept[view], again[view])
    assert not torch.equal(kept[0], kept[1]), "each view is another picture"
    with torch.inference_mode():
        alone = teacher(*pixels.batch(Rows(torch.tensor([17]), 2))).log_softmax(1)
    torch.testing.assert_close(kept[2][17], alone[0], atol=1e-4, rtol=1e-4)


def test_several_teachers_answer_with_their_mean_probability(
    tiny: zoo.Network, few: Dataset, tmp_path: Path, context: Callable[..., Context]
) -> None:
    paths = [fresh(tiny, few, tmp_path / str(seed), seed).path for seed in range(3)]
    schedule = Schedule(flip=False, shift=0)
    (found,) = teacher_logits(paths, schedule, 1, 0, context(few))
    pixels = Examples(few, "train", 0)
    mean = torch.stack([torch.from_numpy(logits(zoo.load(p)[0], pixels)).softmax(1) for p in paths]).mean(0)
    torch.testing.assert_close(found.exp(), mean, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(len(found)))


@pytest.mark.parametrize("change", ["teacher", "seed", "shift", "flip", "views", "data"])
def test_the_key_covers_all_that_shapes_an_answer(
    tiny: zoo.Network, few: Dataset, tmp_path: Path, context: Callable[..., Context], change: str
) -> None:
    keys: list[dict[str, object]] = []

    def asked(network_seed: int, schedule: Schedule, views: int, seed: int, data: Dataset) -> dict[str, object]:
        given = context(data)

        def derive(key: dict[str, object], make: Callable[[Path], None]) -> Path:
            keys.append(key)
            return given.derive(key, make)

        changed = Context(**{**vars(given), "derive": derive})
        teacher_logits(
            [fresh(tiny, few, tmp_path / str(network_seed), network_seed).path], schedule, views, seed, changed
        )
        return keys[-1]

    before = asked(0, Schedule(), 1, 0, few)
    after = asked(
        int(change == "teacher"),
        Schedule(shift=1 if change == "shift" else 2, flip=change != "flip"),
        2 if change == "views" else 1,
        int(change == "seed"),
        few.limited(50) if change == "data" else few,
    )
    assert before != after
    assert asked(0, Schedule(epochs=3, lr=1.0, batch=7), 1, 0, few) == before, (
        "how the student learns is not its matter"
    )


@pytest.mark.parametrize("wrong", [[0], [1, 0], [0, 1]], ids=["alone", "second", "first"])
def test_a_teacher_of_other_classes_is_told(
    tiny: zoo.Network, few: Dataset, tmp_path: Path, context: Callable[..., Context], wrong: list[int]
) -> None:
    """Not first in the list as much as first."""
    other = replace(few, name="seven", labels=tuple("abcdefg"))
    paths = [fresh(tiny, other if k == 0 else few, tmp_path / str(k)).path for k in wrong]
    with pytest.raises(UserError, match="7 classes, the data has 10"):
        teacher_logits(paths, Schedule(), 1, 0, context(few))


def test_label_order_breaks_the_loss() -> None:
    """The control: rows in another order are far from free."""
    teacher = 5 * functional.one_hot(torch.arange(10) % 10, 10).double()
    assert float(of_teacher("single-label", teacher, teacher.flip(0), 2.0)) > 1
