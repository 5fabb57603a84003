"""The training loop: a stop in the middle changes nothing, views repeat, and what cannot be learnt is told."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset, Split
from edgepress.models.description import Network
from edgepress.training import Examples, Rows, Schedule, fit, generator, logits, seeded
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

Say = Callable[[int, int, str], None]


def cross_entropy(z: torch.Tensor, y: torch.Tensor, rows: Rows) -> torch.Tensor:
    return functional.cross_entropy(z, y)


def quiet(done: int, total: int, words: str) -> None:
    pass


def build(tiny: Network, data: Dataset) -> nn.Module:
    with seeded(0):
        return tiny.describe(data).build()


def trained(tiny: Network, data: Dataset, checkpoint: Path, say: Say = quiet, **changes: Any) -> nn.Module:
    schedule = Schedule.model_validate({"epochs": 3, "batch": 32, "shift": 1} | changes)
    return fit(build(tiny, data), data, cross_entropy, schedule, seed=3, checkpoint=checkpoint, say=say)


def same(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("stop", [1, 4, 6, 8])
def test_a_stopped_run_goes_on_to_the_same_weights(tiny: Network, few: Dataset, tmp_path: Path, stop: int) -> None:
    """Three epochs of three steps, stopped within the first, second and third, and at an epoch's end."""
    whole = trained(tiny, few, tmp_path / "whole.pt")

    def stopping(done: int, total: int, words: str) -> None:
        assert total == 9
        if done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tiny, few, tmp_path / "stopped.pt", stopping)
    assert (tmp_path / "stopped.pt").exists() == (stop > 3)
    torch.manual_seed(99)  # whatever ran in between
    steps: list[int] = []
    again = trained(tiny, few, tmp_path / "stopped.pt", lambda done, total, words: steps.append(done))
    assert steps[0] == (stop - 1) // 3 * 3 + 1, "finished epochs are not trained again"
    assert same(again, whole)


def flipped(content: bytes) -> bytes:
    """One bit of a weight: nothing about the file looks wrong."""
    return content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (flipped, "is not what was written"),
        (lambda content: content[:-1], "is not what was written"),
        (lambda content: content[:40], "is not what was written"),
        (lambda content: b"", "is empty"),
        (lambda content: content[content.index(b"PK") :], "has no digest"),  # as versions before wrote it
        (lambda content: b"mine", "has no digest"),
    ],
)
def test_a_damaged_checkpoint_is_left_alone_in_words(
    damage: Callable[[bytes], bytes],
    said: str,
    tiny: Network,
    few: Dataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A result has one key, so it has one content: what was damaged on the way must not change it."""
    whole = trained(tiny, few, tmp_path / "whole.pt")

    def stopping(done: int, total: int, words: str) -> None:
        if done == 8:
            raise KeyboardInterrupt

    stopped = tmp_path / "stopped.pt"
    with pytest.raises(KeyboardInterrupt):
        trained(tiny, few, stopped, stopping)
    stopped.write_bytes(damage(stopped.read_bytes()))
    steps: list[int] = []
    again = trained(tiny, few, stopped, lambda done, total, words: steps.append(done))
    assert steps[0] == 1
    assert same(again, whole)
    assert capsys.readouterr().err == f"note: the checkpoint {stopped} {said}; training starts over\n"


def test_a_checkpoint_of_another_result_is_left_alone_in_words(
    tiny: Network, few: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, other = (tmp_path / key / "scratch" / "checkpoint.pt" for key in ("1" * 64, "2" * 64))

    def stopping(done: int, total: int, words: str) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tiny, few, own, stopping)
    other.parent.mkdir(parents=True)
    shutil.copy(own, other)
    for path, first in ((other, 1), (own, 7)):
        steps: list[int] = []
        trained(tiny, few, path, lambda done, total, words: steps.append(done))  # noqa: B023
        assert steps[0] == first
    assert capsys.readouterr().err == f"note: the checkpoint {other} is of another result; training starts over\n"


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    one, two = trained(tiny, few, tmp_path / "a.pt", epochs=1), trained(tiny, few, tmp_path / "b.pt", epochs=1)
    schedule = Schedule(epochs=1, batch=32, shift=1)
    other = fit(build(tiny, few), few, cross_entropy, schedule, seed=4, checkpoint=tmp_path / "c.pt", say=quiet)
    assert same(one, two)
    assert not same(one, other)
    assert not one.training


def test_it_learns(tiny: Network, digits: Dataset, tmp_path: Path) -> None:
    module = trained(tiny, digits, tmp_path / "a.pt", epochs=5, batch=64, flip=False, lr=0.02)
    x, y = digits["validation"]
    found = logits(module, Examples(digits, "validation", 0))
    assert found.shape == (len(x), 10)
    assert (found.argmax(1) == y).mean() > 0.9


def test_views_repeat(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    seen: list[int] = []

    def loss(z: torch.Tensor, y: torch.Tensor, rows: Rows) -> torch.Tensor:
        seen.append(rows.view)
        return functional.cross_entropy(z, y)

    schedule = Schedule(epochs=5, batch=96)
    for views, expected in ((2, [0, 1, 0, 1, 0]), (None, [0, 1, 2, 3, 4])):
        seen.clear()
        checkpoint = tmp_path / f"{views}.pt"
        fit(build(tiny, few), few, loss, schedule, seed=0, checkpoint=checkpoint, say=quiet, views=views)
        assert seen == expected


def test_a_view_is_a_pure_function_of_seed_view_and_image(few: Dataset) -> None:
    one, two = (Examples(few, "train", 5, flip=True, shift=2) for _ in range(2))
    rows = torch.tensor([3, 1, 7])
    first = one.batch(Rows(rows, 1))[0].clone()
    one.batch(Rows(torch.arange(20), 0)), one.batch(Rows(torch.arange(9), 2))
    assert torch.equal(one.batch(Rows(rows, 1))[0], first), "asking for others in between changes nothing"
    (everything,) = two.batch(Rows(torch.arange(len(two)), 1))
    assert torch.equal(everything[rows], first), "neither does which images share the batch"
    assert not torch.equal(one.batch(Rows(rows, 0))[0], first)
    assert not torch.equal(Examples(few, "train", 6, flip=True, shift=2).batch(Rows(rows, 1))[0], first)


def test_augmentation_only_flips_and_moves(few: Dataset) -> None:
    """Every view of an image is one of the 2 · 5 · 5 that flip and shift allow, made here by numpy."""
    image = few.input.to_model_inputs(few["train"].x[:1])[0, 0]
    allowed = set()
    for base in (image, image[:, ::-1]):
        padded = np.pad(base, 2, mode="edge")
        allowed |= {padded[i : i + 8, j : j + 8].tobytes() for i in range(5) for j in range(5)}
    pixels = Examples(few, "train", 0, flip=True, shift=2)
    seen = {pixels.batch(Rows(torch.tensor([0]), view))[0][0, 0].numpy().tobytes() for view in range(60)}
    assert seen <= allowed
    assert len(seen) > 15, "and they differ"


def test_without_augmentation_the_pixels_are_those_of_the_data(few: Dataset) -> None:
    pixels = Examples(few, "test", 0)
    np.testing.assert_allclose(
        pixels.batch(Rows(torch.arange(len(pixels)), 3))[0].numpy(), few.input.to_model_inputs(few["test"].x), atol=1e-6
    )


def test_logits_come_in_the_order_of_the_images(tiny: Network, few: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    module = build(tiny, few)
    pixels = Examples(few, "test", 0)
    whole = logits(module, pixels)
    monkeypatch.setattr("edgepress.training.inference.BATCH", 7)
    parts = logits(module, pixels)
    np.testing.assert_allclose(whole, parts, atol=1e-4)
    with torch.inference_mode():
        one = module(torch.from_numpy(few.input.to_model_inputs(few["test"].x[11:12])))
    np.testing.assert_allclose(whole[11], one[0].numpy(), atol=1e-4)


def test_a_batch_larger_than_the_data_is_the_data(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    module = trained(
        tiny, few, tmp_path / "a.pt", lambda done, total, words: steps.append((done, total)), batch=4096, epochs=2
    )
    assert steps == [(1, 2), (2, 2)]
    assert not same(module, build(tiny, few))


def test_no_epochs_leave_the_weights_alone(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    module = trained(tiny, few, tmp_path / "a.pt", epochs=0)
    assert same(module, build(tiny, few))
    assert not module.training


def test_a_class_without_images_is_no_obstacle(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    x, y = few["train"]
    splits = few.splits | {"train": Split(x[y != 3], y[y != 3])}
    missing = replace(few, splits=splits)
    found = logits(trained(tiny, missing, tmp_path / "a.pt"), Examples(missing, "test", 0))
    assert found.shape == (96, 10)
    assert np.isfinite(found).all()


def test_a_single_image_is_told(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    """Batch norm has no variance of one value."""
    with pytest.raises(UserError, match="1 training example"):
        trained(tiny, few.limited(1), tmp_path / "a.pt")


@pytest.mark.parametrize("lr", [1e6, 1e20, 1e38])
def test_a_loss_that_is_no_number_names_the_learning_rate(
    tiny: Network, few: Dataset, tmp_path: Path, lr: float
) -> None:
    """Of a network without batch norm, which would divide any blow-up out again."""

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers(x) ** 3

    schedule = Schedule(epochs=4, batch=16, lr=lr)
    with pytest.raises(UserError, match=r"is not a number in epoch \d") as error:
        fit(Plain(), few, cross_entropy, schedule, seed=0, checkpoint=tmp_path / "a.pt", say=quiet)
    assert f"`lr: {lr:g}`" in error.value.problems[0].help


def test_weights_that_are_no_numbers_are_told_even_after_the_last_step(few: Dataset, tmp_path: Path) -> None:
    """The loss is taken before the step that spoils the weights."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    def loss(z: torch.Tensor, y: torch.Tensor, rows: Rows) -> torch.Tensor:
        return functional.cross_entropy(z, y) + (z - z).sqrt().sum()  # 0, with an infinite gradient

    with pytest.raises(UserError, match="epoch 1"):
        fit(module, few, loss, Schedule(epochs=1, batch=96), seed=0, checkpoint=tmp_path / "a.pt", say=quiet)
    assert not (tmp_path / "a.pt").exists()


def test_weight_decay_spares_biases_and_norms(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    module = build(tiny, few)
    before = {name: value.clone() for name, value in module.named_parameters()}

    def nothing(z: torch.Tensor, y: torch.Tensor, rows: Rows) -> torch.Tensor:
        return (z * 0).sum()

    schedule = Schedule(epochs=1, batch=32, weight_decay=10, lr=0.01)
    fit(module, few, nothing, schedule, seed=0, checkpoint=tmp_path / "a.pt", say=quiet)
    shrunk = {name for name, value in module.named_parameters() if value.norm() < before[name].norm() * 0.999}
    assert shrunk == {name for name, value in before.items() if value.ndim > 1}


@pytest.mark.parametrize(
    "wrong", [{"epochs": -1}, {"batch": 1}, {"lr": 0}, {"weight_decay": -1}, {"shift": -1}, {"lrr": 1}]
)
def test_schedules_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Schedule.model_validate(wrong)


def test_generators_differ_by_every_seed() -> None:
    drawn = {torch.rand(1, generator=generator(*seeds)).item() for seeds in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0))}
    assert len(drawn) == 5
    assert torch.rand(1, generator=generator(2, 3)) == torch.rand(1, generator=generator(2, 3))


def test_a_mask_that_is_laid_on_after_every_step_holds(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    """Also in the running mean, which is what is kept."""
    module = build(tiny, few)
    masks = {name: value.abs() > value.abs().median() for name, value in module.named_parameters() if value.ndim > 1}
    steps = []

    def after_step(model: nn.Module) -> None:
        steps.append(1)
        for name, mask in masks.items():
            model.get_parameter(name).mul_(mask)

    with torch.no_grad():
        after_step(module)
    schedule = Schedule.model_validate({"epochs": 2, "batch": 32, "accumulate": 2, "ema": 0.5})
    fit(module, few, cross_entropy, schedule, seed=3, checkpoint=tmp_path / "c.pt", say=quiet, after_step=after_step)
    assert len(steps) == 1 + 4, "three batches an epoch, two of them in one step"
    for name, mask in masks.items():
        assert not module.get_parameter(name)[~mask].any()
        assert module.get_parameter(name)[mask].all()
