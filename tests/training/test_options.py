"""What the loop does beside plain epochs: running means, averaged gradients, early stops, augmentation, schedules."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edgepress.core.errors import UserError
from edgepress.core.metrics import METRICS
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.models.description import Network
from edgepress.training import Examples, Rows, Schedule, balance, fit, logits, loop, reestimate, schedule, seeded
from torch import nn
from torch.nn import functional

from tests.training.test_loop import Say, build, cross_entropy, quiet, same


def linear(data: Dataset) -> nn.Module:
    with seeded(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Dropout(0.2), nn.Linear(16, 10))


def trained(module: nn.Module, data: Dataset, checkpoint: Path, say: Say = quiet, **changes: Any) -> nn.Module:
    options = {name: changes.pop(name) for name in ("swa", "metric", "unlabelled") if name in changes}
    given = Schedule.model_validate({"epochs": 3, "batch": 32, "shift": 1} | changes)
    return fit(module, data, cross_entropy, given, seed=3, checkpoint=checkpoint, say=say, **options)


@pytest.mark.parametrize("stop", [2, 4, 5, 8])
@pytest.mark.parametrize(
    "changes", [{}, {"ema": 0.9}, {"accumulate": 2}, {"patience": 5}, {"augment": ["jitter"]}], ids=str
)
def test_a_run_that_stops_within_an_epoch_goes_on_to_the_same_weights(
    few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int, changes: dict[str, Any]
) -> None:
    """With dropout, whose chance goes on as well."""
    monkeypatch.setattr(loop, "EVERY", 0.0)
    options = {**changes, "metric": METRICS["accuracy"]}
    whole = trained(linear(few), few, tmp_path / "whole.pt", **options)
    steps: list[int] = []

    def stopping(done: int, total: int, words: str) -> None:
        steps.append(done)
        if done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(linear(few), few, tmp_path / "stopped.pt", stopping, **options)
    again: list[int] = []
    found = trained(linear(few), few, tmp_path / "stopped.pt", lambda d, t, w: again.append(d), **options)
    assert again[0] > stop - 2, "what was saved is not done again"
    assert same(found, whole)


def test_a_bag_is_drawn_once_with_replacement(few: Dataset, tmp_path: Path) -> None:
    """A bag has 63% of the examples on average (Efron, 1983); classes drawn evenly are drawn from it as well."""
    seen: list[torch.Tensor] = []

    def loss(z: torch.Tensor, y: torch.Tensor, rows: Rows) -> torch.Tensor:
        seen.append(rows.index)
        return functional.cross_entropy(z, y)

    def epochs(name: str, seed: int = 3, **changes: Any) -> list[torch.Tensor]:
        seen.clear()
        given = Schedule.model_validate({"epochs": 2, "batch": 32} | changes)
        fit(linear(few), few, loss, given, seed=seed, checkpoint=tmp_path / name, say=quiet, bag=True)
        rows = torch.cat(seen)
        return [rows[: len(rows) // 2], rows[len(rows) // 2 :]]

    first, second = epochs("a.pt")
    assert not first.equal(second)
    assert first.sort().values.equal(second.sort().values), "the same examples in another order"
    assert 0.5 < len(first.unique()) / len(first) < 0.75
    (other, _), (drawn, _) = epochs("b.pt", seed=4), epochs("c.pt", balance="sampling")
    assert {*other.tolist()} != {*first.tolist()}
    assert {*drawn.tolist()} <= {*first.tolist()}


def test_classes_of_a_bag_are_drawn_evenly(digits: Dataset) -> None:
    """A class that is three times as frequent in the bag as in the data is not drawn three times as often."""
    examples = Examples(digits, "train", 0)
    zeros, rest = (examples.y == 0).nonzero()[:, 0], (examples.y != 0).nonzero()[:, 0]
    bag = torch.cat([zeros.repeat(3), rest])[: len(examples)]
    schedule_ = Schedule(balance="sampling")
    drawn = torch.cat(
        [balance.order(examples, digits, schedule_, torch.Generator().manual_seed(i), bag) for i in range(9)]
    )
    share = torch.bincount(examples.y[drawn], minlength=10) / len(drawn)
    assert share.min() > 0.08
    assert share.max() < 0.12


def test_two_batches_averaged_are_one_twice_as_large(few: Dataset, tmp_path: Path) -> None:
    def module() -> nn.Module:
        with seeded(0):
            return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    one = trained(module(), few, tmp_path / "a.pt", batch=32, shift=0, flip=False)
    two = trained(module(), few, tmp_path / "b.pt", batch=16, accumulate=2, shift=0, flip=False)
    for mine, theirs in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)


def test_a_running_mean_is_between_start_and_end(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    start, end = build(tiny, few), trained(build(tiny, few), few, tmp_path / "a.pt")
    mean = trained(build(tiny, few), few, tmp_path / "b.pt", ema=0.9)
    far = sum(float((a - b).norm()) for a, b in zip(end.parameters(), start.parameters(), strict=True))
    near = sum(float((a - b).norm()) for a, b in zip(end.parameters(), mean.parameters(), strict=True))
    assert 0 < near < far
    counters = [each for name, each in mean.state_dict().items() if name.endswith("num_batches_tracked")]
    assert all(each.dtype == torch.int64 for each in counters)


def test_swa_is_the_mean_of_the_last_quarters_epochs(few: Dataset, tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []
    module = linear(few)

    def say(done: int, total: int, words: str) -> None:
        if done % 3 == 0 and done > 18:  # the ends of epochs 7 and 8 of 8
            seen.append(module[1].weight.detach().clone())

    found = trained(module, few, tmp_path / "a.pt", say, epochs=8, swa=True)
    torch.testing.assert_close(found[1].weight, torch.stack(seen).mean(0))


def test_it_stops_when_validation_has_not_been_better_and_keeps_the_best(
    tiny: Network, digits: Dataset, tmp_path: Path
) -> None:
    """Learning at a rate that ruins the network: the first epochs are the best there will be."""
    done: list[int] = []
    module = trained(
        build(tiny, digits), digits, tmp_path / "a.pt", lambda d, t, w: done.append(d), epochs=30, lr=0.5,
        schedule="constant", patience=2, metric=METRICS["accuracy"],
    )  # fmt: skip
    steps = len(digits["train"].y) // 32
    assert len(done) < 30 * steps
    with (tmp_path / "a.pt").open("rb") as file:
        file.readline()  # the digest
        kept = torch.load(io.BytesIO(file.read()), weights_only=True)
    examples = Examples(digits, "validation", 0)
    assert METRICS["accuracy"].score_points(logits(module, examples), digits["validation"].y) == pytest.approx(
        kept["best"]
    )


def test_bf16_trains_and_fp16_wants_a_gpu(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    module = trained(build(tiny, few), few, tmp_path / "a.pt", precision="bf16", epochs=1)
    assert all(each.dtype == torch.float32 for each in module.parameters())
    assert type(module.forward).__name__ == "method", "nothing of the precision stays"
    assert not same(module, trained(build(tiny, few), few, tmp_path / "b.pt", epochs=1))
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="needs a GPU"):
            trained(build(tiny, few), few, tmp_path / "c.pt", precision="fp16")


@pytest.mark.parametrize("shape", ["one-cycle", "cosine", "constant", "swa"])
def test_the_rate_goes_as_it_is_called(shape: str) -> None:
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=0.1)
    given = Schedule(lr=0.1, schedule="cosine" if shape == "swa" else shape)  # type: ignore[arg-type]
    pace, rates = schedule.paced(optimizer, given, 100, swa=shape == "swa"), []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        pace.step()
    assert max(rates) == pytest.approx(0.1, rel=0.02)
    if shape == "constant":
        assert set(rates) == {0.1}
    elif shape == "swa":
        assert np.ptp(rates[75:]) < 1e-12
        assert rates[80] == pytest.approx(0.02)
    else:
        assert rates[-1] < 0.001
        assert rates[0] < 0.01


def test_mixed_examples_and_their_labels_go_together(few: Dataset) -> None:
    plain, mixed = Examples(few, "train", 3), Examples(few, "train", 3, mixup=0.4)
    rows = Rows(torch.arange(20), 1)
    (before,), (after,) = plain.batch(rows), mixed.batch(rows)
    y = mixed.labels(rows)
    assert y.shape == (20, 10)
    torch.testing.assert_close(y.sum(1), torch.ones(20))
    share = y[torch.arange(20), plain.labels(rows)]
    assert (share >= 0.5).all(), "an example stays mostly itself"
    whole = share == 1
    assert 0 < int(whole.sum()) < 20
    torch.testing.assert_close(after[whole.nonzero()[:1, 0]], before[whole.nonzero()[:1, 0]], atol=1.0, rtol=1.0)
    assert torch.equal(mixed.batch(rows)[0], after)
    assert not torch.equal(mixed.batch(Rows(torch.arange(20), 2))[0], after)


def test_mixed_training_learns(tiny: Network, digits: Dataset, tmp_path: Path) -> None:
    module = trained(build(tiny, digits), digits, tmp_path / "a.pt", epochs=5, mixup=0.2, lr=0.02, batch=64, flip=False)
    assert (logits(module, Examples(digits, "validation", 0)).argmax(1) == digits["validation"].y).mean() > 0.85


def test_torchvisions_augmentations_depend_on_seed_view_and_example_alone(few: Dataset) -> None:
    every = ("rotate", "crop", "jitter", "trivial", "erase")
    one, other = (Examples(few, "train", 5, augment=every) for _ in range(2))
    torch.manual_seed(1)
    (first,) = one.batch(Rows(torch.tensor([4, 9]), 2))
    state = torch.get_rng_state()
    (second,) = other.batch(Rows(torch.tensor([9, 3]), 2))
    assert torch.equal(first[1], second[0])
    assert torch.equal(torch.get_rng_state(), state), "dropout's chance is not used up"
    assert not torch.equal(first, Examples(few, "train", 5).batch(Rows(torch.tensor([4, 9]), 2))[0])


def test_other_processes_prepare_what_this_one_would(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    found = [
        trained(build(tiny, few), few, tmp_path / f"{k}.pt", epochs=2, augment=["rotate"], batch=48) for k in range(2)
    ]
    assert same(*found)


def test_examples_without_labels_are_seen_and_known_as_such(few: Dataset, tmp_path: Path) -> None:
    from dataclasses import replace

    more = replace(few, unlabelled=few["test"].x[:32])
    seen: list[int] = []

    def loss(z: torch.Tensor, y: torch.Tensor, rows: Rows) -> torch.Tensor:
        seen.extend(rows.index.tolist())
        return functional.mse_loss(z, torch.zeros_like(z))

    given = Schedule(epochs=1, batch=32, shift=0, flip=False)
    fit(linear(few), more, loss, given, seed=0, checkpoint=tmp_path / "a.pt", say=quiet, unlabelled=True)
    assert sorted(seen) == list(range(len(few["train"].y) + 32))
    assert Examples(more, "train", 0, unlabelled=True).labelled == len(few["train"].y)


def test_statistics_are_estimated_anew_for_every_kind_of_norm(few: Dataset) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8, momentum=0.3), nn.Linear(8, 10))
    reestimate(module, few, 0)
    (x,) = Examples(few, "train", 0).batch(Rows(torch.arange(len(few["train"].y)), 0))
    expected = module[1](x.flatten(1)).mean(0)
    torch.testing.assert_close(module[2].running_mean, expected.detach(), atol=1e-5, rtol=1e-4)
    assert module[2].momentum == 0.3
    assert not module.training


def test_tokens_cannot_be_mixed() -> None:

    with pytest.raises(UserError, match="cannot be mixed"):
        Examples(load_dataset("text", 20), "train", 0, mixup=0.2)
