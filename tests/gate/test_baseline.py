"""An accepted model: kept whole, verified when read, and what later runs are held against."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from edgepress.core.errors import UserError
from edgepress.core.metrics import METRICS
from edgepress.core.paths import digest
from edgepress.core.results import Report
from edgepress.gate import baseline

from tests.conftest import Place, edgepress
from tests.engine.test_run import report


@pytest.fixture
def kept(copy: Place) -> Path:
    """The accepted models of the finished run; times of such small networks are noise, and allowed to differ."""
    for name in ("desk.yaml", "phone.yaml"):
        copy.edit(name, "budgets:", "regression: {latency: 900%}\nbudgets:")
    folder = copy.runs.parent / "accepted"
    said = edgepress("accept", copy.recipe, "--runs", copy.runs, "--folder", folder)
    assert said.code == 0, said
    return folder


def test_the_judged_files_are_kept_with_what_is_known_of_them(copy: Place, kept: Path) -> None:
    found = report(copy)
    held = baseline.read(kept, METRICS[found.metric], found.data["sha256"])
    files = {file.sha256: file for stage in found.stages for file in stage.files}
    assert held
    for file in held.values():
        assert Path(file.path).parent == kept
        assert files[file.sha256].correct == file.correct
        assert len(file.correct) == 360


@pytest.mark.slow
def test_a_run_is_held_against_it(copy: Place, kept: Path) -> None:
    said = copy.run("--baseline", kept)
    assert said.code == 0, said
    for check in ("size vs accepted", "latency vs accepted", "accuracy_drop vs accepted"):
        assert check in said.out
    again = copy.check()
    assert said.out == again.out, "judged again from the stored times, without measuring"
    # The same file and the same answers.
    found = Report.model_validate_json((copy.runs / "whole" / "report.json").read_bytes())
    assert {samples.path for samples in found.samples} >= {file.path for file in found.accepted.values()}


@pytest.mark.slow
def test_what_was_accepted_was_better(copy: Place, kept: Path) -> None:
    record = json.loads((kept / baseline.NAME).read_text())
    for file in record["files"].values():
        model = kept / file["path"]
        if model.suffix == ".onnx":
            other = onnx.load(model)
            other.producer_name = "another"
            onnx.save(other, model)
        else:
            model.write_bytes(model.read_bytes() + bytes(8))
        file |= {"correct": "1" * 360, "bytes": file["bytes"] // 2, "sha256": digest(model)}
    (kept / baseline.NAME).write_text(json.dumps(record))
    said = copy.run("--baseline", kept)
    assert said.code == 1, said
    assert "FAIL  size vs accepted" in said.out
    assert "FAIL  accuracy_drop vs accepted" in said.out


def test_other_test_examples_are_no_number(copy: Place, kept: Path) -> None:
    found = report(copy)
    held = baseline.read(kept, METRICS[found.metric], "0" * 64)
    assert {file.correct for file in held.values()} == {""}
    assert baseline.read(kept, METRICS["auc"], found.data["sha256"]).keys() == held.keys()


def test_another_function_of_the_same_name_is_no_number(
    copy: Place, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = report(copy)
    mine = replace(METRICS[found.metric], key=["1" * 64, False, {"beta": 1}])
    record = json.loads((kept / baseline.NAME).read_text())
    for key, scored in ((mine.key, True), (["1" * 64, False, {"beta": 2}], False), ([], False)):
        (kept / baseline.NAME).write_text(json.dumps(record | {"metric_key": list(key)}))
        held = baseline.read(kept, mine, found.data["sha256"])
        assert all(bool(file.scores) == scored for file in held.values())
        assert ("its scores are left out" in capsys.readouterr().err) != scored


def test_a_changed_file_is_no_accepted_model(copy: Place, kept: Path) -> None:
    model = next(kept.glob("*.onnx"))
    model.write_bytes(model.read_bytes() + b"x")
    said = copy.run("--baseline", kept)
    assert said.code == 2
    assert f"`{model}` is missing, or not the file that was accepted" in said.err


def test_accepting_again_leaves_no_file_of_before_and_all_that_is_not_ours(copy: Place, kept: Path) -> None:
    """Only what the record of the earlier acceptance names, and as it was written, was ever accepted."""
    record = json.loads((kept / baseline.NAME).read_text())
    stages = {name: file | {"path": f"old-{file['path']}"} for name, file in record["files"].items()}
    for name, file in record["files"].items():
        (kept / file["path"]).rename(kept / stages[name]["path"])
    changed = next(kept.glob("old-*.tflite"))
    changed.write_bytes(changed.read_bytes() + b"mine")
    (kept / baseline.NAME).write_text(json.dumps(record | {"files": stages}))
    others = {"precious.onnx": b"mine", "mine.tflite": b"", "README": b"mine", "sub.onnx/x.onnx": b"mine"}
    for name, content in others.items():
        (kept / name).parent.mkdir(exist_ok=True)
        (kept / name).write_bytes(content)
    assert edgepress("accept", copy.recipe, "--runs", copy.runs, "--folder", kept).code == 0
    for name, content in others.items():
        assert (kept / name).read_bytes() == content, name
    assert [path.name for path in kept.glob("old-*")] == [changed.name]


def test_a_file_of_that_name_which_was_never_accepted_stays(copy: Place, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (name,) = {Path(path).name for path in copy.runs.glob("whole/models/int8.x86*.onnx")}
    (folder / name).write_text("precious")
    said = edgepress("accept", copy.recipe, "--runs", copy.runs, "--folder", folder)
    assert said.code == 2
    assert f"`{folder / name}` is not what edgepress wrote, and is not overwritten" in said.err
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [(name, "precious")]


@pytest.mark.parametrize("text", ["mine", '{"mine": 1}', '{"version": "1.2.0", "name": "mine"}'])
def test_a_record_of_somebody_elses_stays(text: str, copy: Place, tmp_path: Path) -> None:
    (tmp_path / baseline.NAME).write_text(text)
    said = edgepress("accept", copy.recipe, "--runs", copy.runs, "--folder", tmp_path)
    assert said.code == 2
    assert "accepted.json` is not what edgepress wrote" in said.err
    assert (tmp_path / baseline.NAME).read_text() == text
    assert not list(tmp_path.glob("*.onnx"))


def test_what_a_record_names_outside_its_folder_stays(copy: Place, kept: Path) -> None:
    outside = kept.parent / "precious.onnx"
    outside.write_text("precious")
    record = json.loads((kept / baseline.NAME).read_text())
    for file in record["files"].values():
        file |= {"path": "../precious.onnx", "sha256": digest(outside)}
    (kept / baseline.NAME).write_text(json.dumps(record))
    edgepress("accept", copy.recipe, "--runs", copy.runs, "--folder", kept)
    assert outside.read_text() == "precious"


def test_a_folder_that_is_a_file_is_told(copy: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    said = edgepress("accept", copy.recipe, "--runs", copy.runs, "--folder", tmp_path / "file")
    assert (said.code, said.err.splitlines()[0]) == (2, f"error: `{tmp_path / 'file'}` is not a folder")


def test_a_red_run_is_accepted_by_force_only(copy: Place, tmp_path: Path) -> None:
    copy.edit("desk.yaml", "size: 5 MB", "size: 1 kB")
    words = ("accept", copy.recipe, "--runs", copy.runs, "--folder", tmp_path / "kept")
    said = edgepress(*words)
    assert said.code == 2
    assert "did not meet its budgets: exit 1" in said.err
    assert not (tmp_path / "kept").exists()
    assert edgepress(*words, "--force").code == 0


@pytest.mark.parametrize("text", [None, "{}", "nonsense"])
def test_no_accepted_model(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / baseline.NAME).write_text(text)
    with pytest.raises(UserError, match="holds no accepted model" if text is None else "is damaged"):
        baseline.read(tmp_path, METRICS["accuracy"], "")
