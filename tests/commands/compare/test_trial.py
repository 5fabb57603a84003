"""One repetition of a comparison: what it leaves for the budgets, and which model is the best by validation."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from edgepress.commands.compare import trial
from edgepress.commands.compare.describe import signed_score
from edgepress.commands.compare.results import RouteResult
from edgepress.config import recipe, target
from edgepress.core.machine import machine
from edgepress.core.presets import host_preset
from edgepress.engine.cache import Cache

RECIPE = """\
name: a
task: {data: digits, seed: 0}
stages:
  - {use: train, model: {arch: edgepress/mlp, args: {width: 8}}, epochs: 1, flip: false, shift: 0}
  - {use: export.onnx, name: float}
  - {use: quantize.static, name: int8, samples: 32, keep: 99 points, effort: fast}
targets: []
"""


def test_a_recipe_is_judged_by_its_stages_keep_and_has_files_for_a_target_that_it_does_not_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RECIPE)
    other = "xnnpack" if host_preset(machine()) != "xnnpack" else "x86-avx2"
    board = f"name: board\nruntime: onnxruntime\nreach: none\npreset: {other}\nbudgets: {{size: 5 MB}}\n"
    (tmp_path / "board.yaml").write_text(board)
    given, asked = recipe.load(tmp_path / "a.yaml"), target.load(tmp_path / "board.yaml")
    (found,) = trial.by_recipes([given], 0, Cache(tmp_path / "cache"), 96, [asked], tflite=False)
    assert [file.precision for file in found.judged["int8"]] == [host_preset(machine()), other]
    assert found.kept["float"] == {}, "nothing that it is made from"
    (row,) = found.kept["int8"]["int8"]
    assert (row["by"], row["of"], set(row["found"])) == ("accuracy", "stage", {host_preset(machine()), other})
    assert RouteResult.model_validate_json(found.as_json()) == found


@pytest.mark.parametrize("higher", [True, False])
def test_a_score_that_is_no_number_is_the_least(higher: bool) -> None:
    """`max` keeps a NaN that comes first."""
    engine: Any = SimpleNamespace(metric=SimpleNamespace(name="m", higher=higher))

    def result(value: float) -> Any:
        return SimpleNamespace(facts=SimpleNamespace(files=[SimpleNamespace(scores={"validation": {"m": value}})]))

    scores = [math.nan, 0.5, 0.7]
    best = max(scores, key=lambda score: signed_score(engine, result(score), "validation"))
    assert best == (0.7 if higher else 0.5)
