"""Largest magnitudes of channels: as numpy has them, observed once for all that want them."""

from __future__ import annotations

import numpy as np
import pytest
from edgepress.stages.quantize import equalization, refine
from edgepress.stages.quantize.calibration import magnitudes, observe
from edgepress.stages.quantize.calibration.magnitudes import Magnitudes
from edgepress.stages.quantize.qdq import Plan

from tests.stages.quantize.made import evidence, plan, uneven


def test_magnitudes_are_those_of_all_examples() -> None:
    model = uneven()
    given = evidence(model, 5)
    rows = np.stack([row[0] for row in given.seen])
    found = magnitudes.magnitudes(model, {"x": 1}, given.seen)
    np.testing.assert_array_equal(found["x"], np.abs(rows).max((0, 2, 3)))


def test_what_is_known_is_not_observed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model = uneven()
    given = evidence(model, 5)
    known = Magnitudes(model, {("x", 1)})
    observe.observe(model, given.seen, [known])
    monkeypatch.setattr(magnitudes, "observe", None)
    assert magnitudes.magnitudes(model, {"x": 1}, given.seen, known)["x"].tolist() == known.found["x", 1].tolist()
    other = uneven()
    with pytest.raises(TypeError):  # of another graph they are other magnitudes
        magnitudes.magnitudes(other, {"x": 1}, given.seen, known)
    known.divide(model, other, {"x": np.float32([2, 4, 8])})  # unless it is made from that one
    found = magnitudes.magnitudes(other, {"x": 1}, given.seen, known)
    np.testing.assert_array_equal(found["x"], known.found["x", 1] / [2, 4, 8])


@pytest.mark.parametrize("per_channel", [True, False])
def test_those_of_an_equalized_graph_follow(per_channel: bool) -> None:
    model = uneven(spread=2.0, depthwise=False)
    given = evidence(model, 16)
    before = plan(model, given, per_channel=per_channel)
    wanted = {("c1", 1), ("r1", 1), ("r2", 1)}
    known = Magnitudes(before.graph, wanted)
    observe.observe(model, given.seen, [known])
    for equalize in (equalization.equalized, equalization.equalized_groups):
        after = equalize(before, given, known)
        assert after is not before
        observed = Magnitudes(after.graph, wanted)
        observe.observe(after.graph, given.seen, [observed])
        for key, value in observed.found.items():
            np.testing.assert_allclose(known.of(after.graph)[key], value, rtol=1e-5)
        assert not np.allclose(observed.found["r1", 1], known.found["r1", 1], rtol=0.01)


def test_a_refinement_observes_the_float_graph_once_for_ranges_and_magnitudes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = uneven(spread=3.0)
    given = evidence(model, 64)
    monkeypatch.setattr(equalization, "magnitudes", lambda graph, axes, seen, known: _known(graph, axes, known))
    _, rows = refine.refined(Plan(model, {}, True), given, "auto", lambda *_: None, improve=True)
    assert "equalisation" in [row["step"] for row in rows]


def test_fast_tries_two_ranges_and_does_not_equalize() -> None:
    model = uneven(spread=3.0)
    _, rows = refine.refined(
        Plan(model, {}, True), evidence(model, 64), "auto", lambda *_: None, improve=True, fast=True
    )
    steps = [row["step"] for row in rows]
    assert {step for step in steps if step.startswith("ranges")} == {"ranges: minmax", "ranges: mse"}
    assert steps[2:] == ["rounding", "bias correction"]


def _known(graph: object, axes: dict[str, int], known: Magnitudes | None) -> dict[str, np.ndarray]:
    assert known is not None
    return {name: known.of(graph)[name, axis] for name, axis in axes.items()}
