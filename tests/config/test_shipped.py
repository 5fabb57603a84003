"""What is shipped works: the recipe of the first page runs from its first stage to a verdict on every target."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from edgepress.commands.main import cli
from edgepress.config.recipe import load
from edgepress.core.results import Report

from tests.conftest import Place, edgepress
from tests.photos import make as make_photos

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_mobilenet_from_end_to_end_on_little_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("recipes", "targets"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(cli, ["run", "mobilenet", "--limit", "64"], standalone_mode=False)
    assert said.exception is None, said.output
    report = Report.model_validate_json((tmp_path / "runs/mobilenet/limited/report.json").read_text(encoding="utf-8"))
    assert {stage.use for stage in report.stages} >= {
        "load", "fuse.ensemble", "distill.kd", "prune.channels", "export.onnx", "quantize.static", "convert.tflite",
    }  # fmt: skip
    teacher = next(stage for stage in report.stages if stage.name == "teacher")
    assert teacher.files[0].scores["test"]["accuracy"] > 0.85
    assert all(samples.cpu for samples in (*report.samples, *report.references))
    for target in ("host", "raspberry-pi-4", "android-pixel", "jetson-orin-nano"):
        assert f"\n{target}    " in said.output
    assert "A smoke run" in said.output
    assert not list((tmp_path / "recipes").glob("mobilenet.lock.yaml.*"))


def test_the_file_that_onnx_only_starts_from_is_fed_as_its_metadata_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = edgepress("plan", "onnx-only")
    assert (said.code, said.out.count("run ")) == (0, 3), said


@pytest.mark.slow
def test_new_one_edit_and_run_on_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user without a network does, on little data."""
    monkeypatch.chdir(tmp_path)
    make_photos(Path("photos"), 120)
    wishes = ("--data", "./photos", "--target", "host", "--latency", "1 s", "--size", "20 MB")
    assert edgepress("new", "mine", *wishes).code == 0
    Place(tmp_path).edit("mine.yaml", "pretrained: true", "pretrained: false")
    little = (
        "task.data.size=32",
        "stages.base.epochs=1",
        "stages.small.finetune.epochs=1",
        "stages.small.finetune.batch=8",
    )
    said = edgepress("run", "mine.yaml", "--limit", "40", *(part for each in little for part in ("--set", each)))
    assert said.code in (0, 1, 4), said
    report = Report.model_validate_json((tmp_path / "runs/mine/limited/report.json").read_text(encoding="utf-8"))
    assert [stage.name for stage in report.stages] == ["base", "small", "float", "int8", "int8-tflite"]
    assert "recipe    " in said.out
    assert "keep accuracy_drop" in said.out
    size = next(iter(load(ROOT / "recipes/mobilenet-imagefolder.yaml", loose=True).load_targets())).budgets.size
    assert size
    base, lite = report.stages[0].files[0].bytes, report.stages[-1].files[0].bytes
    assert lite <= size.limit < base, "the shipped recipe's budget refuses what it starts from"


def test_the_teachers_are_those_of_the_lock_file() -> None:
    import hashlib

    from edgepress.core import yamlio

    stages = yamlio.read(ROOT / "recipes/teachers.lock.yaml").data["stages"]
    for stage in stages[:2]:
        file = ROOT / f"pipeline/edgepress/shipped/teachers/{stage['name']}.safetensors"
        assert [hashlib.sha256(file.read_bytes()).hexdigest()] == stage["sha256"]
        assert stage["files"]["float32"]["test"]["accuracy"] >= 0.925
    (stage,) = yamlio.read(ROOT / "recipes/segment-teacher.lock.yaml").data["stages"]
    file = ROOT / "pipeline/edgepress/shipped/teachers/scenes.safetensors"
    assert [hashlib.sha256(file.read_bytes()).hexdigest()] == stage["sha256"]
    assert stage["files"]["float32"]["test"]["miou"] >= 0.6
    (stage,) = yamlio.read(ROOT / "recipes/detect-teacher.lock.yaml").data["stages"]
    file = ROOT / "pipeline/edgepress/shipped/teachers/clutter.safetensors"
    assert [hashlib.sha256(file.read_bytes()).hexdigest()] == stage["sha256"]
    assert stage["files"]["float32"]["test"]["map"] >= 0.3
    sizes = [path.stat().st_size for path in (ROOT / "pipeline/edgepress/shipped/teachers").glob("*.safetensors")]
    assert sum(sizes) <= 10e6
