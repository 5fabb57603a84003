"""`edgepress compare` from end to end, and what it refuses before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from edgepress.commands.compare import study
from edgepress.commands.compare.results import Comparison

from tests.conftest import TINY, edgepress, laid_out

OPTIONS = "epochs: 3, batch: 64, lr: 0.02, flip: false, shift: 0"
TEXT = f"""\
name: mine
task: {{data: digits, seed: 0, examples: 300, imbalance: 5:1}}
stages:
  - {{use: train, name: one, model: {json.dumps(TINY)}, {OPTIONS}}}
  - {{use: train, name: two, model: {json.dumps(TINY)}, {OPTIONS}, seed: 1}}
  - {{use: fuse.ensemble, name: fused, models: [one, two]}}
  - {{use: distill.kd, student: {{arch: edgepress/mlp, args: {{width: 16}}}}, teacher: fused, views: 1, {OPTIONS}}}
targets: [desk.yaml]
"""


@pytest.mark.slow
def test_every_route_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out(tmp_path, TEXT)
    monkeypatch.chdir(tmp_path)
    routes = "plain,longer,both,fuse"
    arguments = ["compare", "recipe.yaml", "--seeds", "2", "--routes", routes, "--price", "0.1"]
    said = edgepress(*arguments)
    assert said.code == 0, said.err
    for words in ("Verdict: ", "mean of classes", "2 seeds"):
        assert words in said.out
    found = Comparison.model_validate_json(Path("runs", "mine", "compare.json").read_text())
    assert list(found.routes) == routes.split(",")
    assert len(found.made) == 8
    fuse, plain = (found.of(name)[0] for name in ("fuse", "plain"))
    assert (fuse.passes, plain.passes) == (2, 1)
    assert plain.effort == pytest.approx(1)
    assert found.of("longer")[0].effort == pytest.approx(found.of("both")[0].effort, rel=0.2), "equal compute"
    assert found.of("plain")[0].files["float"].sha256 != found.of("plain")[1].files["float"].sha256, "other seeds"
    assert {each.route for each in found.fits} == set(found.routes)


@pytest.mark.slow
def test_a_target_of_tflite_has_files_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out(tmp_path, TEXT.replace("epochs: 3", "epochs: 1"))
    monkeypatch.chdir(tmp_path)
    said = edgepress("compare", "recipe.yaml", "--seeds", "1", "--routes", "plain,fuse", "--target", "phone.yaml")
    assert said.code == 0, said.err
    assert "Fits phone as int8" in said.out
    assert "litert, 1 thread" in said.out
    found = Comparison.model_validate_json(Path("runs", "mine", "compare.json").read_text())
    paths = [file.path for each in found.made for file in each.files.values()]
    assert len(paths) == 4
    assert {Path(each).suffix for each in paths} == {".tflite"}
    assert {each.runtime for each in found.samples} == {"litert"}
    for each in found.fits:
        assert set(each.checks.values()) == {"ok"}, each.said
    fuse, plain = (found.of(name)[0] for name in ("fuse", "plain"))
    assert (fuse.passes, plain.passes) == (2, 1)
    assert fuse.effort > plain.effort


BUDGETS = {
    "desk.yaml": "runtime: onnxruntime\nreach: local\nbudgets: {size: 5 MB, latency: 1 s, memory: 4 GB, "
    "cold_start: 60 s, accuracy: 1%, worst_recall: 60%, accuracy_drop: 99 points, "
    "macro_f1: {limit: 99%, level: advisory}}",
    "phone.yaml": "runtime: litert\nreach: local\nbudgets: {size: 1 kB, latency: 1 s}",
    "board.yaml": "runtime: onnxruntime\nreach: ssh://nobody@localhost\nbudgets: {size: 5 MB, latency: 1 s}",
    "arm.yaml": "runtime: onnxruntime\nreach: none\npreset: arm\nbudgets: {size: 5 MB}",
}
JUDGED = (
    TEXT.replace("epochs: 3", "epochs: 1").replace("[desk.yaml]", f"[{', '.join(BUDGETS)}]")
    + "keep: {accuracy_drop: 0 points}\n"
).replace("targets:", "  - {use: export.onnx}\n  - {use: convert.tflite}\ntargets:")


@pytest.mark.slow
def test_routes_are_judged_by_every_budget_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `worst_recall: 60%` and every route near 0, it said that all fit; and one target alone was judged."""
    laid_out(tmp_path, JUDGED)
    for name, budgets in BUDGETS.items():
        (tmp_path / name).write_text(f"name: {Path(name).stem}\n{budgets}\n")
    monkeypatch.chdir(tmp_path)
    said = edgepress("compare", "recipe.yaml", "--seeds", "1", "--routes", "plain,fuse")
    assert said.code == 0, said.err
    found = Comparison.model_validate_json(Path("runs", "mine", "compare.json").read_text())
    assert (found.target, found.others) == ("desk", ("phone", "board", "arm"))
    checks = {(each.route, each.target): each.checks for each in found.fits if each.which == "int8"}
    usual = {"size": "ok", "latency p50": "ok", "memory": "ok", "cold_start": "ok", "accuracy": "ok"}
    for route in ("plain", "fuse"):
        assert checks[route, "desk"] == usual | {"worst_recall": "FAIL", "accuracy_drop": "ok"}
        assert checks[route, "phone"] == {"size": "FAIL", "latency p50": "ok"}, "of its TFLite file"
        assert checks[route, "board"] == {"size": "ok", "latency p50": "no number"}, "no device is asked"
        assert checks[route, "arm"] == {"size": "ok"}, "of the preset that the board takes"
    assert checks["plain", "recipe"]["keep accuracy_drop"] in ("FAIL", "undecided")
    out = " ".join(said.out.split())
    assert "Fits desk as int8: none of them." in out
    assert "`edgepress run` measures it on the device" in out
    assert "worst class `" in out
    assert "Verdict: none of them is shown to meet desk, phone and the recipe's keep" in out


RECIPE = """\
name: NAME
task: {data: digits, seed: SEED, metric: METRIC}
stages:
  - {use: train, model: {arch: edgepress/mlp, args: {width: WIDTH}}, epochs: 3, lr: 0.02, flip: false, shift: 0}
  - {use: prune.channels, ratio: 20%, finetune: {epochs: 1, flip: false, shift: 0}}
  - {use: export.onnx}
  - {use: quantize.static, samples: 64}
targets: [desk.yaml]
"""


def recipes(tmp_path: Path, **changes: str) -> list[str]:
    """Two files, whose second has `changes`."""
    usual = {"NAME": "big", "SEED": "0", "METRIC": "accuracy", "WIDTH": "32"}
    for file, options in (("big.yaml", usual), ("small.yaml", usual | {"NAME": "small", "WIDTH": "8"} | changes)):
        text = RECIPE
        for name, value in options.items():
            text = text.replace(name, value)
        (tmp_path / file).write_text(text)
    return ["big.yaml", "small.yaml"]


@pytest.mark.slow
def test_recipes_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out(tmp_path, TEXT)
    monkeypatch.chdir(tmp_path)
    files = recipes(tmp_path)
    said = edgepress("compare", *files, "--seeds", "2")
    assert said.code == 0, said.err
    assert "Verdict: " in said.out
    assert "train, prune.channels, export.onnx, quantize.static" in said.out
    found = Comparison.model_validate_json(Path("runs", "big+small", "compare.json").read_text())
    assert list(found.routes) == ["big", "small"]
    assert [(each.route, each.repetition) for each in found.made] == [
        ("big", 0), ("small", 0), ("big", 1), ("small", 1),
    ]  # fmt: skip
    big, small = (found.of(name)[0] for name in found.routes)
    assert big.effort > small.effort == pytest.approx(1)
    assert big.files["int8"].bytes > small.files["int8"].bytes
    assert {file.precision == "float32" for file in (big.files["float"], small.files["float"])} == {True}
    assert big.files["int8"].precision != "float32"
    assert found.of("big")[1].files["float"].sha256 != big.files["float"].sha256, "other seeds"
    assert {each.route for each in found.fits} == {"big", "small"}
    run = edgepress("plan", "small.yaml")
    assert "not made yet" not in run.out, "the first repetition is the recipe as it is"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"NAME": "big"}, "small.yaml:1:7: two recipes are called `big`"),
        ({"METRIC": "macro-f1"}, "`small` is scored otherwise than `big`"),
        ({"data: digits": "data: fashion-mnist-10k"}, "`small` learns from other data than `big`"),
        ({"  - {use: quantize.static, samples: 64}\n": ""}, "`small` makes no int8 ONNX file"),
    ],
)
def test_recipes_that_cannot_stand_side_by_side(
    changes: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out(tmp_path, TEXT)
    monkeypatch.chdir(tmp_path)
    said = edgepress("compare", *recipes(tmp_path, **changes))
    assert said.code == 2
    assert message in said.err
    assert not Path(".edgepress").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recipe.yaml", "--routes", "plain"], "`--routes` are those of one recipe"),
        (["--routes", "plan"], "there is no route `plan`"),
        (["--target", "tablet"], "there is no target `tablet`"),
        (["small.yaml", "--target", "phone"], "makes no float TFLite file"),
        (["small.yaml", "--target", "phone.yaml"], "makes no float TFLite file"),
        (["--target", "board.yaml"], "`board.yaml` is measured by `edgepress run` only"),
        (["--seeds", "0"], "0 is not in the range"),
    ],
)
def test_what_cannot_be_compared_is_told_at_once(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out(tmp_path, TEXT)
    recipes(tmp_path)
    board = "name: board\nruntime: litert\nreach: ssh://nobody@localhost\nbudgets: {size: 1 MB}\n"
    Path(tmp_path, "board.yaml").write_text(board)
    monkeypatch.chdir(tmp_path)
    said = edgepress("compare", "recipe.yaml", *arguments)
    assert said.code == 2
    assert message in said.err
    assert not Path(".edgepress").exists()


def test_a_mistake_in_the_data_is_told_once_and_in_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out(tmp_path, TEXT.replace("imbalance: 5:1", "labels: 9"))
    monkeypatch.chdir(tmp_path)
    said = edgepress("compare", "recipe.yaml", "--seeds", "2")
    assert said.code == 2
    assert said.err.count("recipe.yaml:2:") == 1
    assert not Path("runs").exists()


@pytest.mark.slow
def test_a_mistake_that_shows_in_training_ends_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out(tmp_path, TEXT.replace("lr: 0.02", "lr: 1e30"))
    monkeypatch.chdir(tmp_path)
    said = edgepress("compare", "recipe.yaml", "--seeds", "4")
    assert said.code == 2
    assert not Path("runs").exists()


@pytest.mark.parametrize(("labels", "enough"), [(19, False), (20, True)])
def test_half_of_the_labels_is_a_route_where_every_class_may_have_one(
    labels: int, enough: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[list[str]] = []

    def repeated(paths: Any, changes: Any, routes: list[str], *more: Any) -> int:
        begun.append(routes[1].split(","))
        return 7

    laid_out(tmp_path, TEXT.replace("imbalance: 5:1", f"labels: {labels}"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(study, "_repeated", repeated)
    assert edgepress("compare", "recipe.yaml").code == 7
    assert ("half" in begun[0]) == enough
    assert {"plain", "longer", "distill"} < {*begun[0]}
    said = edgepress("compare", "recipe.yaml", "--routes", "plain,half")
    assert said.code == (7 if enough else 2)
    if not enough:
        assert "half of 19 labels are too few to learn every class" in said.err
        assert "leave `half` out of `--routes`" in said.err


@pytest.mark.parametrize(
    ("task", "examples", "enough"),
    [("single-label", 5, False), ("single-label", 6, True), ("multi-label", 2, True), ("regression", 1, False)],
)
def test_half_of_the_examples_has_one_of_each_class(task: str, examples: int, enough: bool) -> None:
    class Data(dict[str, Any]):
        labels = ("cat", "dog", "cow")
        task: str

    data = Data(train=SimpleNamespace(y=[0] * examples))
    data.task = task
    engine: Any = SimpleNamespace(data=data)
    assert study._divisible(engine) == enough
