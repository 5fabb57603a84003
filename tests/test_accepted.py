"""An accepted model: kept whole, verified when read, and what later runs are held against."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from pipeline import accepted
from pipeline.errors import UserError
from pipeline.facts import Report
from pipeline.paths import digest
from tests.conftest import Place, edgepress
from tests.test_run import report


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
    held = accepted.read(kept, found.metric, found.data["sha256"])
    files = {file.sha256: file for stage in found.stages for file in stage.files}
    assert held
    for file in held.values():
        assert Path(file.path).parent == kept
        assert files[file.sha256].correct == file.correct
        assert len(file.correct) == 360


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


def test_what_was_accepted_was_better(copy: Place, kept: Path) -> None:
    record = json.loads((kept / accepted.NAME).read_text())
    for file in record["files"].values():
        model = kept / file["path"]
        if model.suffix == ".onnx":
            other = onnx.load(model)
            other.producer_name = "another"
            onnx.save(other, model)
        else:
            model.write_bytes(model.read_bytes() + bytes(8))
        file |= {"correct": "1" * 360, "bytes": file["bytes"] // 2, "sha256": digest(model)}
    (kept / accepted.NAME).write_text(json.dumps(record))
    said = copy.run("--baseline", kept)
    assert said.code == 1, said
    assert "FAIL  size vs accepted" in said.out
    assert "FAIL  accuracy_drop vs accepted" in said.out


def test_other_test_examples_are_no_number(copy: Place, kept: Path) -> None:
    found = report(copy)
    held = accepted.read(kept, found.metric, "0" * 64)
    assert {file.correct for file in held.values()} == {""}
    assert accepted.read(kept, "auc", found.data["sha256"]).keys() == held.keys()


def test_a_changed_file_is_no_accepted_model(copy: Place, kept: Path) -> None:
    model = next(kept.glob("*.onnx"))
    model.write_bytes(model.read_bytes() + b"x")
    said = copy.run("--baseline", kept)
    assert said.code == 2
    assert f"`{model}` is missing, or not the file that was accepted" in said.err


def test_accepting_again_leaves_no_file_of_before(copy: Place, kept: Path) -> None:
    (kept / "old.onnx").write_bytes(b"")
    (kept / "README").write_text("mine")
    edgepress("accept", copy.recipe, "--runs", copy.runs, "--folder", kept)
    assert not (kept / "old.onnx").exists()
    assert (kept / "README").is_file()


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
        (tmp_path / accepted.NAME).write_text(text)
    with pytest.raises(UserError, match="holds no accepted model" if text is None else "is damaged"):
        accepted.read(tmp_path, "accuracy", "")
