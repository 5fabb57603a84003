"""Activations that only a Relu or Clip reads: found, and their own range is worth nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from edgepress.core.presets import PRESETS, PresetName
from edgepress.stages.quantize import refine
from edgepress.stages.quantize.calibration import observe
from edgepress.stages.quantize.calibration.bounded import bounded
from edgepress.stages.quantize.qdq import Plan, written
from onnx import helper

from tests.stages.quantize.made import evidence, graph, plan, uneven

node = helper.make_node


def test_those_that_somebody_else_reads_are_not() -> None:
    nodes = [
        node("Conv", ["x", "w"], ["a"]), node("Relu", ["a"], ["b"]), node("Clip", ["b", "low", "high"], ["c"]),
        node("Conv", ["c", "w"], ["d"]), node("Relu", ["d"], ["e"]), node("Add", ["d", "e"], ["f"]),
        node("Relu", ["f"], ["g"]), node("Sigmoid", ["g"], ["h"]), node("Relu", ["x"], ["i"]),
        node("Add", ["h", "i"], ["y"]),
    ]  # fmt: skip
    model = graph(nodes, {"w": np.ones((3, 3, 1, 1)), "low": 0, "high": 6}, (1, 3, 4, 4), (1, 3, 4, 4))
    assert bounded(model.graph) == {"f": "g", "b": "c", "a": "c"}
    model.graph.output.add().CopyFrom(onnx.ValueInfoProto(name="f"))
    assert "f" not in bounded(model.graph), "an output has a range of its own"


def test_what_a_branch_reads_is_not() -> None:
    nodes = [node("Conv", ["x", "w"], ["a"]), node("Relu", ["a"], ["b"]), node("If", ["yes"], ["y"])]
    branches = [
        helper.make_graph([node("Add", [name, "b"], ["z"])], "branch", [], [onnx.ValueInfoProto(name="z")])
        for name in "ab"
    ]
    for name, branch in zip(("then_branch", "else_branch"), branches, strict=True):
        nodes[2].attribute.append(helper.make_attribute(name, branch))
    inner = helper.make_graph(nodes, "outer", [], [onnx.ValueInfoProto(name="y")])
    assert bounded(inner) == {}


@pytest.mark.parametrize("preset", ["x86", "x86-avx2", "xnnpack"])
def test_the_file_is_that_of_ranges_of_their_own(preset: PresetName) -> None:
    model = uneven()
    before = plan(model, evidence(model, 8))
    found = bounded(model.graph)
    assert found == {"c1": "r1", "c2": "r2"}
    after = replace(before, ranges=before.ranges | {name: before.ranges[end] for name, end in found.items()})
    one, two = (written(each, PRESETS[preset]) for each in (before, after))
    assert one.SerializeToString(deterministic=True) == two.SerializeToString(deterministic=True)


def test_they_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: set[str] = set()
    run = observe._Graph.__init__

    def noted(self: observe._Graph, model: onnx.ModelProto, wishes: list[set[str]]) -> None:
        run(self, model, wishes)
        looked.update(self.names)

    monkeypatch.setattr(observe._Graph, "__init__", noted)
    model = uneven()
    best, _ = refine.refined(Plan(model, {}), evidence(model, 8), "minmax", lambda *_: None, improve=False)
    assert looked == {"x", "r1", "r2", "m", "f", "y"}
    assert best.ranges["c1"] == best.ranges["r1"]
    assert best.ranges.keys() == looked | {"c1", "c2"}
