"""The files that a verdict is about are those that the run measured."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from edgepress.core.errors import UserError
from edgepress.core.paths import digest
from edgepress.gate import files

from tests.gate.test_judge import board, file, report, stage


def test_a_swapped_file_is_not_judged(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"the model of the run")
    model = file(str(path)).model_copy(update={"sha256": digest(path)})
    facts = report([stage("a", "onnx", model)])
    targets = [board({"size": {"limit": "1 MB"}})]
    files.verify(facts, targets)
    path.write_bytes(b"another")
    with pytest.raises(UserError, match=r"model\.onnx` is not the file that the last run measured"):
        files.verify(facts, targets)
    path.unlink()
    files.verify(facts, targets)  # a report alone is judged again, as in CI


def test_a_size_that_was_edited_is_not_judged(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"the model of the run")
    targets = [board({"size": {"limit": "1 MB"}})]
    for size in (20, 2):
        model = file(str(path)).model_copy(update={"bytes": size, "sha256": digest(path)})
        facts = report([stage("a", "onnx", model)])
        with nullcontext() if size == 20 else pytest.raises(UserError, match="has 20 bytes, and not 2"):
            files.weigh(facts, targets, Path("report.json"))
