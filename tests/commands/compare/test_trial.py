"""One repetition of a comparison: what it leaves for the budgets, and which model is the best by validation."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from edgepress.commands.compare import trial
from edgepress.commands.compare.describe import signed_score
from edgepress.commands.compare.effort import Compute
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


TAUGHT = """\
name: a
task: {data: digits, labels: 40, seed: 0}
stages:
  - {use: train, name: one, model: {arch: edgepress/mlp, args: {width: 64}}, epochs: 2, flip: false, shift: 0}
  - {use: train, name: two, model: {arch: edgepress/mlp, args: {width: 32}}, epochs: 2, flip: false, shift: 0}
  - {use: fuse.ensemble, name: fused, models: [one, two]}
  - use: distill.kd
    name: student
    student: {arch: edgepress/mlp, args: {width: 8}}
    teacher: fused
    epochs: 3
    views: 2
    flip: false
    shift: 0
  - {use: export.onnx, name: float}
  - {use: quantize.static, name: int8, samples: 32, effort: fast, faster: false}
targets: []
"""


def test_compute_has_the_teachers_training_and_their_passes(tmp_path: Path) -> None:
    """Of 96 examples 40 have labels; the teachers answer each twice, without gradients."""
    (tmp_path / "a.yaml").write_text(TAUGHT)
    routes = ["plain", "longer", "distill", "both", "teacher", "fuse"]
    found = {
        each.route: each
        for each in trial.by_routes(
            recipe.load(tmp_path / "a.yaml"), routes, 0, Cache(tmp_path / "cache"), 96, [], tflite=False
        )
    }
    own, best, fused = (found[name].macs or 0 for name in ("plain", "teacher", "fuse"))
    labels, examples = 40, 96
    trained = 2 * labels * fused
    unit = 3 * labels * own
    for name, answering in (("distill", best), ("both", fused)):
        training = 2 * labels * (best if name == "distill" else fused)
        expected = 3 * examples * own + 2 * examples * answering / 3 + training
        assert found[name].effort == pytest.approx(expected / unit), name
    assert found["plain"].effort == 1
    assert found["fuse"].effort == pytest.approx(trained / unit)
    assert found["longer"].effort == pytest.approx(found["both"].effort, abs=1 / 3), "to an epoch of `plain`'s three"
    given = recipe.load(tmp_path / "a.yaml")
    (alone,) = trial.by_routes(given, ["fuse"], 0, Cache(tmp_path / "cache"), 96, [], tflite=False)
    assert alone.effort == 1, "of the least route, where no student is trained"


def engine(macs: dict[str, int | None], text: str, path: Path) -> Any:
    """As much of an engine that has run as counting its compute takes."""
    path.write_text(text)
    results = {
        name: SimpleNamespace(facts=SimpleNamespace(macs=count), artifact=SimpleNamespace(kind="onnx"))
        for name, count in macs.items()
    }
    data = _Data(train=SimpleNamespace(y=range(10)))
    return SimpleNamespace(recipe=recipe.load(path), results=results, data=data)


class _Data(dict[str, Any]):
    unlabelled = None


def test_compute_of_unknown_networks_counts_passes(tmp_path: Path) -> None:
    """A student whose multiply-accumulates nothing counts would train `longer` for a million epochs otherwise."""
    macs = {"one": 10**6, "two": 10**5, "fused": 11 * 10**5, "student": None}
    found = engine(macs, TAUGHT.replace(", labels: 40", ""), tmp_path / "a.yaml")
    compute = Compute.of([(found, "student")])
    assert not compute.counted
    assert compute.of_step(found, "student") == pytest.approx(10 * (3 + 2 * 2 / 3)), "two views of two members"
    assert Compute.of([(found, "fused")]).counted, "which is not made from the student"
    known = engine(macs | {"student": 1000}, TAUGHT.replace(", labels: 40", ""), tmp_path / "a.yaml")
    compute = Compute.of([(known, "student")])
    assert compute.counted
    assert compute.of_step(known, "student") == pytest.approx(10 * (3 * 1000 + 2 * 11 * 10**5 / 3))


def test_layers_are_read_of_the_first_teacher_and_pruning_has_one_too(tmp_path: Path) -> None:
    student = "use: distill.fitnet\n    layers: {embedding: embedding}\n"
    text = (
        TAUGHT.replace(", labels: 40", "")
        .replace("use: distill.kd\n", student)
        .replace("teacher: fused", "teacher: [one, two]")
    )
    pruned = "  - {use: prune.channels, name: small, ratio: 20%, finetune: {epochs: 4, views: 2}}\n"
    text = text.replace("  - {use: export.onnx", pruned + "  - {use: export.onnx")
    macs: dict[str, int | None] = {"one": 600, "two": 90, "fused": 690, "student": 30, "small": 20}
    found = engine(macs, text, tmp_path / "a.yaml")
    compute = Compute.of([(found, "small")])
    assert compute.of_step(found, "student") == pytest.approx(10 * (3 * 30 + (2 * 690 + 3 * 600) / 3))
    assert compute.of_step(found, "small") == pytest.approx(10 * (4 * 20 + 2 * 30 / 3))
    assert compute.of_step(found, "one") == 10 * 2 * 600


@pytest.mark.parametrize("higher", [True, False])
def test_a_score_that_is_no_number_is_the_least(higher: bool) -> None:
    """`max` keeps a NaN that comes first."""
    engine: Any = SimpleNamespace(metric=SimpleNamespace(name="m", higher=higher))

    def result(value: float) -> Any:
        return SimpleNamespace(facts=SimpleNamespace(files=[SimpleNamespace(scores={"validation": {"m": value}})]))

    scores = [math.nan, 0.5, 0.7]
    best = max(scores, key=lambda score: signed_score(engine, result(score), "validation"))
    assert best == (0.7 if higher else 0.5)
