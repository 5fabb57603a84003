"""The losses of masks, points, vectors and pictures: what costs nothing, what does not count, and what stays finite."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from edgepress.core.metric_embeddings import nearest
from edgepress.core.metric_points import places
from edgepress.data.targets import KINDS
from edgepress.models.ensemble import blend
from edgepress.stages.distill.losses import cwd
from edgepress.tasks import TASKS
from edgepress.tasks.embedding import contrastive, cosine, sample
from edgepress.tasks.keypoints import gaussians, squared
from edgepress.tasks.segmentation import dice
from edgepress.training.balance import neighbours
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

VOID = 255


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pixel_loss(z: torch.Tensor, y: torch.Tensor, *, balanced: bool = False) -> torch.Tensor:
    return TASKS["segmentation"].loss(None, balanced=balanced)(z, y)  # type: ignore[arg-type]


def test_every_task_has_targets_of_its_name_and_the_other_way_round() -> None:
    assert list(TASKS) == list(KINDS)


def test_void_pixels_do_not_count() -> None:
    z, y = drawn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(0))
    half = y.clone()
    half[:, 2:] = VOID
    torch.testing.assert_close(pixel_loss(z, half.byte()), functional.cross_entropy(z[:, :, :2], y[:, :2]))
    changed = z.clone()
    changed[:, :, 2:] += drawn(2, 3, 2, 4, seed=1)
    torch.testing.assert_close(pixel_loss(changed, half, balanced=True), pixel_loss(z, half, balanced=True))


def test_a_batch_of_void_is_worth_nothing_and_is_a_number() -> None:
    z = drawn(2, 3, 4, 4).requires_grad_()
    loss = pixel_loss(z, torch.full((2, 4, 4), VOID, dtype=torch.uint8), balanced=True)
    loss.backward()
    assert torch.isfinite(loss)
    assert z.grad is not None
    assert not z.grad.any()


def test_dice_is_nothing_where_all_is_right_and_counts_classes_the_same() -> None:
    y = torch.zeros(1, 8, 8, dtype=torch.long)
    y[0, 0, :2] = 1
    right = 40 * functional.one_hot(y, 2).movedim(-1, 1).float()
    assert float(dice(right, y)) < 1e-3
    blind = torch.zeros(1, 2, 8, 8)
    blind[:, 0] = 40  # only background
    assert float(dice(blind, y)) > 0.3, "2 of 64 pixels are wrong, and one of two classes"
    assert float(pixel_loss(right, y)) < 1e-3


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_pixelwise_distillation_is_that_of_single_labels_on_every_pixel(temperature: float) -> None:
    student, teacher = drawn(2, 3, 4, 5), 3 * drawn(2, 3, 4, 5, seed=1)
    rows = [z.movedim(1, -1).reshape(-1, 3) for z in (student, teacher)]
    expected = TASKS["single-label"].kd(*rows, temperature)
    torch.testing.assert_close(TASKS["segmentation"].kd(student, teacher, temperature), expected)


def test_channelwise_distillation_sees_where_and_not_how_much() -> None:
    teacher = drawn(2, 3, 4, 4)
    assert float(cwd(teacher, teacher, 4.0)) == pytest.approx(0, abs=1e-6)
    assert float(cwd(teacher + drawn(2, 3, 1, 1, seed=1), teacher, 4.0)) == pytest.approx(0, abs=1e-5)
    assert float(cwd(teacher.flip(3), teacher, 4.0)) > 0.01
    p, q = ((z.flatten(2) / 2).softmax(2) for z in (teacher, teacher.flip(3)))
    torch.testing.assert_close(cwd(teacher.flip(3), teacher, 2.0), 4 * (p * (p / q).log()).sum(2).mean())


def test_channelwise_distillation_reads_a_teacher_of_another_stride_at_the_students_cells() -> None:
    student, teacher = drawn(2, 3, 4, 4), drawn(2, 3, 8, 8)
    read = functional.interpolate(teacher, (4, 4), mode="bilinear", align_corners=False)
    torch.testing.assert_close(cwd(student, teacher, 4.0), cwd(student, read, 4.0))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.sampled_from([(8, 8), (16, 24), (64, 48)]))
def test_a_heat_map_is_read_where_it_was_written(seed: int, cells: tuple[int, int]) -> None:
    y = torch.ones(4, 3, 3)
    y[..., :2] = torch.rand(4, 3, 2, generator=torch.Generator().manual_seed(seed))
    maps = gaussians(y, cells)
    assert float(maps.amax((2, 3)).min()) > 0.7
    off = np.abs(places(maps.numpy()) - y[..., :2].numpy()) * cells[::-1]
    assert off.max() <= 0.5 + 1e-4


def test_hidden_points_do_not_count_and_none_to_be_seen_is_a_number() -> None:
    y = torch.tensor([[[0.2, 0.4, 1], [0.9, 0.9, 0]]])
    maps = gaussians(y, (8, 8))
    maps[0, 1] += 7
    assert float(squared(maps, y)) == pytest.approx(0, abs=1e-9)
    assert float(squared(maps, y * torch.tensor([1, 1, 0]))) == 0


def test_contrast_is_low_where_identities_are_apart_and_single_ones_do_not_count() -> None:
    y = torch.arange(8) // 2
    apart = torch.eye(4)[y] + 0.01 * drawn(8, 4)
    assert float(contrastive(apart, y)) < 0.01
    assert float(contrastive(apart, y.roll(1))) > 1
    assert float(contrastive(apart, torch.arange(8))) == 0
    z = apart.clone().requires_grad_()
    contrastive(z, y).backward()
    assert z.grad is not None
    assert torch.isfinite(z.grad).all()


def test_vectors_of_another_length_are_compared_by_their_similarities() -> None:
    teacher, kd = drawn(6, 8), TASKS["embedding"].kd
    turned = teacher @ torch.linalg.qr(drawn(8, 8, seed=1))[0]
    assert float(kd(teacher * 3, teacher, 1.0)) == pytest.approx(0, abs=1e-5)
    assert float(kd(torch.cat([turned, torch.zeros(6, 2)], 1), teacher, 1.0)) == pytest.approx(0, abs=1e-5)
    assert float(kd(drawn(6, 8, seed=2), teacher, 1.0)) > 0.1
    assert float(cosine(-teacher, teacher)) == pytest.approx(2)


def test_a_byte_is_a_share_of_255_and_other_pictures_keep_their_unit() -> None:
    loss = TASKS["image"].loss(None)  # type: ignore[arg-type]
    assert float(loss(torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 255, dtype=torch.uint8))) == 0
    assert float(loss(torch.full((1, 1, 2, 2), 7.5), torch.full((1, 1, 2, 2), 7.0))) == 0.5


def test_an_ensemble_has_the_mean_probability_of_each_pixel_and_the_mean_of_all_else() -> None:
    first, second = drawn(2, 3, 4, 4), drawn(2, 3, 4, 4, seed=1)
    mean = (first.softmax(1) + second.softmax(1)) / 2
    torch.testing.assert_close(blend([first, second], [0.5, 0.5], "segmentation").softmax(1), mean)
    shares = torch.full((2, 2), 0.5)
    torch.testing.assert_close(TASKS["segmentation"].mean([first, second], shares).softmax(1), mean)
    for task in ("keypoints", "image"):
        torch.testing.assert_close(blend([first, second], [0.5, 0.5], task), (first + second) / 2)
        torch.testing.assert_close(TASKS[task].mean([first, second], shares), (first + second) / 2)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(0, 10), st.integers(0, 99))
def test_an_epoch_has_every_example_once_and_kinds_side_by_side(kinds: list[int], more: int, seed: int) -> None:
    y = torch.tensor([*kinds, *[0] * more])
    order = neighbours(y, len(kinds), 4, torch.Generator().manual_seed(seed))
    assert sorted(order.tolist()) == list(range(len(y)))
    labelled = y[order[order < len(kinds)]]
    changes = int((labelled[1:] != labelled[:-1]).sum())
    assert changes < sum(-(-kinds.count(kind) // 4) for kind in set(kinds))


@pytest.mark.parametrize("task", ["segmentation", "keypoints", "image"])
def test_what_is_no_number_shows_in_the_predictions(task: str) -> None:
    random = np.random.default_rng(0)
    y = {
        "segmentation": random.integers(0, 2, (9, 8, 8)).astype(np.uint8),
        "keypoints": np.concatenate([random.random((9, 2, 2)), np.ones((9, 2, 1))], 2).astype(np.float32),
        "image": random.integers(0, 256, (9, 2, 8, 8)).astype(np.uint8),
    }[task]
    broken = np.full((9, 2, 8, 8), np.nan, np.float32)
    kept = TASKS[task].predictions(broken, y)
    for outputs in (broken, kept):
        skill = TASKS[task].skill(outputs, y)
        assert skill.value <= 0
        assert skill.near_chance
    sound = TASKS[task].predictions(random.random(broken.shape).astype(np.float32), y)
    assert TASKS[task].agreement(sound, kept, y) < 0.6
    assert TASKS[task].agreement(sound, sound, y) == pytest.approx(1)
    if task != "image":
        assert TASKS[task].agreement(kept, kept, y) == 0, "two models without an answer do not agree"


def test_the_similarities_of_many_vectors_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    random, many = np.random.default_rng(0), 9000
    y = random.permutation(np.repeat(np.arange(many // 3), 3))
    rows = sample(torch.from_numpy(y))
    assert 4000 < len(rows) <= 4096
    counts = np.unique(y[rows.numpy()], return_counts=True)[1]
    assert (counts > 1).mean() > 0.5, "identities have others of theirs in the sample"
    vectors = random.normal(size=(many, 4)).astype(np.float32)
    assert np.isfinite(TASKS["embedding"].nll_of(vectors, y))
    few = vectors[:300]
    alike = few.astype(float) / np.linalg.norm(few.astype(float), axis=1, keepdims=True)
    alike = alike @ alike.T - 9 * np.eye(300)
    assert np.array_equal(nearest(few), alike.argmax(1))
    largest = []
    monkeypatch.setattr("edgepress.tasks.embedding.contrastive", lambda z, y: largest.append(len(z)) or z.sum())
    TASKS["embedding"].nll_of(vectors, y)
    assert largest == [len(rows)]


def test_skill_is_high_of_right_outputs_and_none_of_blind_ones() -> None:
    random = np.random.default_rng(0)
    masks = random.integers(0, 3, (20, 8, 8)).astype(np.uint8)
    masks[:, 0] = VOID
    right = 5 * np.eye(3, dtype=np.float32)[masks.clip(max=2)].transpose(0, 3, 1, 2)
    points = np.concatenate([random.random((20, 2, 2)), np.ones((20, 2, 1))], 2).astype(np.float32)
    maps = gaussians(torch.from_numpy(points), (16, 16)).numpy()
    identities = np.arange(20) % 5
    vectors = np.eye(5, dtype=np.float32)[identities]
    pictures = random.integers(0, 256, (20, 3, 8, 8)).astype(np.uint8)
    cases = {
        "segmentation": (right, masks),
        "keypoints": (maps, points),
        "embedding": (vectors + 0.01 * random.normal(size=vectors.shape).astype(np.float32), identities),
        "image": ((pictures / 255).astype(np.float32), pictures),
    }
    for name, (outputs, y) in cases.items():
        assert TASKS[name].skill(outputs, y).value > 0.9, name
        blind = random.normal(size=outputs.shape).astype(np.float32)
        assert TASKS[name].skill(blind, y).near_chance, name
        assert TASKS[name].agreement(outputs, outputs, y) == pytest.approx(1)
        assert TASKS[name].nll_of(outputs, y) < TASKS[name].nll_of(blind, y)
