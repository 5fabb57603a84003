"""Fitted weights lie on the simplex, and are never worse than a member or the mean where they were fitted."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch
from edgepress.core import metric_functions
from edgepress.core.errors import UserError
from edgepress.models.ensemble import blend
from edgepress.stages.fuse import simplex, stacking
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

Task = Literal["single-label", "multi-label", "regression"]
TASKS: list[Any] = ["single-label", "multi-label", "regression"]


def drawn(task: Task, seed: int, members: int = 3, rows: int = 60, scale: float = 1.0) -> tuple[list[Tensor], Tensor]:
    """Members that see the truth through noise of their own."""
    random = torch.Generator().manual_seed(seed)
    truth = 2 * torch.randn(rows, 4, generator=random)
    noise = [3 * float(torch.rand((), generator=random)) for _ in range(members)]
    answers = [scale * (truth + level * torch.randn(truth.shape, generator=random)) for level in noise]
    if task == "single-label":
        return answers, truth.argmax(1)
    return answers, (truth > 0).to(torch.uint8) if task == "multi-label" else scale * truth


@pytest.mark.parametrize("of", ["probabilities", "logits"])
@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), members=st.integers(2, 5), scale=st.sampled_from([0.01, 1.0, 40.0]))
def test_never_worse_than_a_member_or_the_mean(task: Task, of: Any, seed: int, members: int, scale: float) -> None:
    answers, y = drawn(task, seed, members, scale=scale)
    weights = simplex.fit(answers, y, task, of)
    assert len(weights) == members
    assert min(weights) >= 0
    assert sum(weights) == pytest.approx(1)

    def nll(weights: list[float]) -> float:
        return metric_functions.nll(blend(answers, weights, task, of).numpy(), y.numpy())

    found = nll(weights)
    # An ensemble's probabilities have a floor, without which a member's own are told.
    assert found <= min(metric_functions.nll(each.numpy(), y.numpy()) for each in answers) * (1 + 1e-5) + 1e-5
    assert found <= nll([1 / members] * members) * (1 + 1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_what_is_best_is_found(task: Task) -> None:
    """A grid over the simplex of two members has no better weights."""
    answers, y = drawn(task, 3, members=2, rows=300)
    found = simplex.fit(answers, y, task)
    losses = {
        w: metric_functions.nll(blend(answers, [w, 1 - w], task).numpy(), y.numpy()) for w in np.linspace(0, 1, 101)
    }
    assert found[0] == pytest.approx(min(losses, key=lambda w: losses[w]), abs=0.011)


def test_the_one_that_knows_gets_all() -> None:
    truth = torch.arange(40) % 4
    sure = 10 * torch.nn.functional.one_hot(truth, 4).float()
    assert simplex.fit([-sure, sure, torch.zeros(40, 4)], truth, "single-label")[1] > 0.999


@pytest.mark.parametrize("task", TASKS)
def test_a_stack_learns_what_members_know(task: Task) -> None:
    answers, y = drawn(task, 5, members=2, rows=400)
    x = torch.cat([z.log_softmax(1) if task == "single-label" else z for z in answers], 1).numpy()
    found = stacking.fit(x, y.numpy(), task, tuple("abcd"))
    assert found.weight.shape == (4, 8)
    assert found.bias.shape == (4,)
    fitted = metric_functions.nll(x @ found.weight.T + found.bias, y.numpy())
    assert fitted <= metric_functions.nll(found.out_of_fold, y.numpy())
    assert metric_functions.nll(found.out_of_fold, y.numpy()) < min(
        metric_functions.nll(z.numpy(), y.numpy()) for z in answers
    )


def test_a_stack_of_two_classes() -> None:
    answers, y = drawn("single-label", 6, members=2, rows=200)
    x = torch.cat([z[:, :2].log_softmax(1) for z in answers], 1).numpy()
    found = stacking.fit(x, (y.numpy() == 0).astype(np.int64), "single-label", ("no", "yes"))
    assert found.weight.shape == (2, 4)


def test_a_ridge_does_not_depend_on_the_unit() -> None:
    answers, y = drawn("regression", 8, members=2, rows=100)
    x = torch.cat(answers, 1).numpy()
    found, small = (stacking.fit(s * x, s * y.numpy(), "regression", tuple("abcd")) for s in (1, 1e-4))
    np.testing.assert_allclose(small.weight, found.weight, rtol=1e-3, atol=1e-5)


def test_too_few_examples() -> None:
    x, y = np.zeros((6, 2)), np.array([0, 0, 0, 1, 1, 2])
    with pytest.raises(UserError, match="validation has 1 example of `c`"):
        stacking.fit(x, y, "single-label", tuple("abc"))
    with pytest.raises(UserError, match="validation has no example without `a`"):
        stacking.fit(x, np.ones((6, 1), np.uint8), "multi-label", ("a",))


def test_outputs_that_are_no_numbers_are_refused() -> None:
    answers, y = drawn("single-label", 6, members=2, rows=50)
    answers[1][3, 0] = torch.nan
    with pytest.raises(UserError, match="no numbers, model 2 for 1 of 50 validation examples"):
        simplex.fit(answers, y, "single-label")
    x = torch.cat(answers, 1).numpy()
    with pytest.raises(UserError, match="no numbers, for 1 of 50 validation examples"):
        stacking.fit(x, y.numpy(), "single-label", tuple("abcd"))
