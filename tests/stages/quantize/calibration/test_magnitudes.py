"""Largest magnitudes of channels: as numpy has them, observed once for all that want them."""

from __future__ import annotations

import numpy as np
import pytest
from edgepress.stages.quantize import equalization, refine
from edgepress.stages.quantize.calibration import magnitudes, observe
from edgepress.stages.quantize.calibration.magnitudes import Magnitudes
from edgepress.stages.quantize.qdq import Plan

from tests.stages.quantize.made import evidence, uneven


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
    if known.graph is graph:
        return {name: known.found[name, axis] for name, axis in axes.items()}
    return {name: np.ones(1) for name in axes}
