"""`edgepress compare` from end to end, and what it refuses before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.compare.facts import Comparison
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--routes", "plan"], "there is no route `plan`"),
        (["--target", "phone"], "there is no target `phone`"),
        (["--target", "phone.yaml"], "runs TFLite"),
        (["--seeds", "0"], "0 is not in the range"),
    ],
)
def test_what_cannot_be_compared_is_told_at_once(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out(tmp_path, TEXT)
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


def test_a_mistake_that_shows_in_training_ends_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out(tmp_path, TEXT.replace("lr: 0.02", "lr: 1e30"))
    monkeypatch.chdir(tmp_path)
    said = edgepress("compare", "recipe.yaml", "--seeds", "4")
    assert said.code == 2
    assert not Path("runs").exists()
