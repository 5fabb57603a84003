"""The fastest mixture of int8 and float: the cut against every mixture there is, and a real graph from end to end."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from edgepress.core.presets import PRESETS
from edgepress.core.results import Samples
from edgepress.stages.quantize import latency_aware
from edgepress.stages.quantize.profile import Profile, profiled, renamed
from edgepress.stages.quantize.qdq import written
from edgepress.stages.quantize.sqnr import run_model

from tests.stages.quantize.made import evidence, plan, uneven


def known() -> Profile:
    model = uneven()
    return Profile(renamed(plan(model, evidence(model, 4)))[0])


@pytest.mark.parametrize("seed", range(8))
def test_the_cut_is_the_best_of_all_mixtures(seed: int) -> None:
    profile, random = known(), np.random.default_rng(seed)
    for node in profile.nodes:
        for kind in (True, False):
            profile._times[node, kind] = float(random.exponential(6))
    profile._conversions = [(elements, 2 + elements / 100) for elements in (10, 100, 500)]
    every = [frozenset(n for n, f in zip(profile.nodes, each, strict=True) if f)
             for each in itertools.product([True, False], repeat=len(profile.nodes))]  # fmt: skip
    assert profile.cost(latency_aware.cut(profile)) == pytest.approx(min(map(profile.cost, every)))


def test_what_must_be_float_stays_float() -> None:
    model = uneven()
    given = replace(plan(model, evidence(model, 4)), floats=frozenset({"second"}))
    mine, back = renamed(given)
    profile = Profile(mine)
    for node in profile.nodes:
        profile._times[node, True], profile._times[node, False] = 100.0, 0.0
    assert {back[name] for name in latency_aware.cut(profile)} == {"second"}


def test_every_operators_time_is_found_again() -> None:
    """In the float graph and as int8, whatever onnxruntime makes of the names."""
    model = uneven()
    mine, _ = renamed(plan(model, evidence(model, 4)))
    every = frozenset(node.name for node in mine.graph.graph.node)
    for made, floats in ((mine.graph, every), (written(mine, PRESETS["x86"]), frozenset[str]())):
        profile = Profile(mine)
        profile.learn(profiled(made), floats)
        for node in mine.graph.graph.node:
            if node.op_type in ("Conv", "Gemm"):
                assert profile._times[node.name, bool(floats)] > 0, (node.name, bool(floats))


def test_renaming_changes_no_answer() -> None:
    model = uneven()
    given = evidence(model, 4)
    before = plan(model, given)
    after, back = renamed(before)
    np.testing.assert_array_equal(run_model(after.graph, given.held), given.expected)
    one, two = (written(each, PRESETS["xnnpack"]) for each in (before, after))
    np.testing.assert_array_equal(run_model(one, given.held), run_model(two, given.held))
    assert sorted(back.values()) == sorted(node.name for node in model.graph.node)


def test_the_chosen_is_one_of_those_that_were_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = uneven(channels=16)
    given = evidence(model, 8)
    before = plan(model, given)
    monkeypatch.setattr(latency_aware, "_PROCESSES", (1, 2))
    monkeypatch.setattr(latency_aware, "_FAR", np.inf)
    monkeypatch.setattr(latency_aware, "_ROUNDS", 20)
    after, told = latency_aware.faster(before, PRESETS["x86"], lambda *_: None)
    assert {"int8", "weights alone"} <= set(told["tried"])
    assert told["chosen"] in told["tried"]
    for value, low, high in told["tried"].values():
        assert low <= value <= high
    assert told["operators"]["int8"] + told["operators"]["float"] == len(model.graph.node)
    assert told["operators"]["float"] == len(after.floats)
    assert sum(told["slower"].values()) == len(after.floats - before.floats)
    found = run_model(written(after, PRESETS["x86"]), given.held)
    assert np.abs(found - given.expected).max() < 0.1 * np.abs(given.expected).max()


def samples(*seconds: list[float]) -> list[Samples]:
    """Of models with these times, one a process."""
    return [Samples(path="m", runtime="onnxruntime", threads=1, wall=[[s] for s in each], cpu=[[s] for s in each])
            for each in seconds]  # fmt: skip


def test_timing_stops_when_nothing_is_left_to_decide() -> None:
    assert latency_aware._decided(samples([4.0], [2.0])), "one candidate"
    assert latency_aware._decided(samples([4.0], [2.0], [3.0])), "half as slow again is slower in any process"
    assert not latency_aware._decided(samples([4.0], [2.0], [2.4])), "one process alone may be that much off"
    assert latency_aware._decided(samples([4.0, 4.0], [2.0, 2.1], [3.0, 3.0]))
    assert not latency_aware._decided(samples([4.0, 4.0], [2.0, 2.1], [2.05, 3.0])), "close in one of them"
    assert latency_aware._decided(samples([4.0, 4.0], [2.0, 2.1], [2.02, 2.08])), "either will do"
    assert not latency_aware._decided(samples([4.0], [2.0], [2.0])), "alike in one process alone"
    assert not latency_aware._decided(samples([4.0, 4.0], [2.0, 2.1], [2.02, 2.08], [2.06, 2.16])), "one is in between"
