"""Mixing states: end points are the models themselves, and integers are copied."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from edgepress.stages.fuse import mixing
from edgepress.stages.fuse.mixing import State
from hypothesis import given
from hypothesis import strategies as st


def state(seed: int, near: State | None = None) -> State:
    """A state of every kind of tensor; with `near`, a fine-tune of it."""
    random = torch.Generator().manual_seed(seed)
    found = {
        "conv.weight": torch.randn(5, 3, 3, 3, generator=random),
        "norm.running_var": torch.rand(5, generator=random),
        "half": torch.randn(7, generator=random).half(),
        "zero": torch.zeros(4),
        "scalar": torch.randn((), generator=random),
        "norm.num_batches_tracked": torch.tensor(seed),
        "mask": torch.tensor([True, False]),
    }
    if near is None:
        return found
    return {key: near[key] + t / 10 if t.is_floating_point() else t for key, t in found.items()}


def assert_same(found: State, expected: State) -> None:
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        if tensor.is_floating_point():
            assert found[name].dtype == tensor.dtype
            torch.testing.assert_close(found[name], tensor, msg=name)


BASE = state(0)
ONE, TWO, THREE = (state(seed, BASE) for seed in (11, 12, 13))

ALL: dict[str, Callable[[list[State]], State]] = {
    "weighted": lambda states: mixing.weighted(states, [1 / len(states)] * len(states)),
    "mean": mixing.mean,
    "slerp": lambda states: mixing.slerp(states[0], states[1], 0.4),
    "task_arithmetic": lambda states: mixing.task_arithmetic(BASE, states, 1 / len(states)),
    "ties": lambda states: mixing.ties(BASE, states, keep=1),
    "dare": lambda states: mixing.dare(BASE, states, drop=0),
    "model_stock": lambda states: mixing.model_stock(BASE, states),
}


@pytest.mark.parametrize("name", ALL)
def test_equal_models_are_that_model(name: str) -> None:
    assert_same(ALL[name]([ONE, ONE, ONE]), ONE)


@pytest.mark.parametrize("name", ALL)
def test_integers_are_the_first_s_and_nothing_is_shared(name: str) -> None:
    before = {key: tensor.clone() for key, tensor in ONE.items()}
    found = ALL[name]([ONE, TWO, THREE])
    assert torch.equal(found["norm.num_batches_tracked"], ONE["norm.num_batches_tracked"])
    assert found["norm.num_batches_tracked"].dtype == torch.int64
    assert torch.equal(found["mask"], ONE["mask"])
    for tensor in found.values():
        tensor.zero_()
    assert all(torch.equal(ONE[key], tensor) for key, tensor in before.items())


def test_weights() -> None:
    assert_same(mixing.weighted([ONE, TWO], [1, 0]), ONE)
    found = mixing.weighted([ONE, TWO], [0.25, 0.75])
    torch.testing.assert_close(found["conv.weight"], 0.25 * ONE["conv.weight"] + 0.75 * TWO["conv.weight"])


def test_slerp_ends_and_length() -> None:
    one, two = state(1), state(2)
    assert_same(mixing.slerp(one, two, 0), one)
    assert_same(mixing.slerp(one, two, 1), two)
    across = mixing.slerp({"w": torch.tensor([2.0, 0.0])}, {"w": torch.tensor([0.0, 2.0])}, 0.5)
    torch.testing.assert_close(across["w"], torch.full((2,), math.sqrt(2)))
    assert float(across["w"].norm()) == pytest.approx(2), "a straight line would be shorter"


@pytest.mark.parametrize("other", [[0.0, 0.0], [3.0, 0.0], [-1.0, 0.0]])
def test_slerp_is_a_line_where_there_is_no_arc(other: list[float]) -> None:
    one, two = torch.tensor([1.0, 0.0]), torch.tensor(other)
    torch.testing.assert_close(mixing.slerp({"w": one}, {"w": two}, 0.25)["w"], 0.75 * one + 0.25 * two)


def test_one_model_with_all_of_its_delta_is_that_model() -> None:
    assert_same(mixing.task_arithmetic(BASE, [ONE], scale=1), ONE)
    assert_same(mixing.ties(BASE, [ONE], keep=1), ONE)
    assert_same(mixing.model_stock(BASE, [ONE]), ONE)


def test_ties_trims_elects_and_averages_what_agrees() -> None:
    base = {"w": torch.zeros(4)}
    one, two = {"w": torch.tensor([4.0, 1.0, -3.0, 0.5])}, {"w": torch.tensor([-2.0, 5.0, -1.0, 0.0])}
    found = mixing.ties(base, [one, two], keep=0.5, scale=2)["w"]
    # Kept: 4 and −3 of the first, −2 and 5 of the second. At the first place 4 wins over −2.
    torch.testing.assert_close(found, 2 * torch.tensor([4.0, 5.0, -3.0, 0.0]))


def test_dare() -> None:
    assert_same(mixing.dare(BASE, [ONE, TWO, THREE], drop=0), mixing.mean([ONE, TWO, THREE]))
    base, one = {"w": torch.zeros(10_000)}, {"w": torch.ones(10_000)}
    found = mixing.dare(base, [one], drop=0.75, seed=3)["w"]
    assert set(found.tolist()) == {0.0, 4.0}
    assert float(found.mean()) == pytest.approx(1, abs=0.1), "the rest is scaled up"
    assert torch.equal(found, mixing.dare(base, [one], drop=0.75, seed=3)["w"])
    assert not torch.equal(found, mixing.dare(base, [one], drop=0.75, seed=4)["w"])


def test_model_stock() -> None:
    """At right angles nothing is common; at 60°, t = 2·½ / (1 + ½) = ⅔."""
    base = {"w": torch.zeros(2)}
    one = {"w": torch.tensor([1.0, 0.0])}
    torch.testing.assert_close(mixing.model_stock(base, [one, {"w": torch.tensor([0.0, 1.0])}])["w"], torch.zeros(2))
    torch.testing.assert_close(mixing.model_stock(base, [one, {"w": torch.tensor([-1.0, 0.1])}])["w"], torch.zeros(2))
    two = {"w": torch.tensor([0.5, math.sqrt(0.75)])}
    torch.testing.assert_close(mixing.model_stock(base, [one, two])["w"], (one["w"] + two["w"]) / 2 * 2 / 3)


@given(st.integers(0, 10_000), st.floats(0.1, 3))
def test_a_variance_is_never_negative(seed: int, scale: float) -> None:
    states = [state(seed + 1), state(seed + 2), state(seed + 3)]
    for found in (mixing.task_arithmetic(state(seed), states, scale), mixing.ties(state(seed), states, 0.5, scale)):
        assert (found["norm.running_var"] >= 0).all()
