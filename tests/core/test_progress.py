"""What a log gets to read about a run."""

from __future__ import annotations

import pytest
from edgepress.core import progress
from edgepress.core.results import ModelFile, StageFacts

FILE = ModelFile(
    path="model.onnx", kind="onnx", precision="float32", bytes=612_345, sha256="0" * 64,
    scores={"validation": {"accuracy": 0.9034}, "test": {"accuracy": 0.5}},
)  # fmt: skip
FACTS = StageFacts(
    name="small", use="prune.channels", kind="torch", inputs=["student"], cached=False, seconds=12.34,
    parameters=687_000, macs=None, files=[FILE], notes={}, warnings=[],
)  # fmt: skip


def test_the_line_of_a_finished_stage() -> None:
    assert progress.summary(FACTS) == "small: 12.3 s, 687 k parameters, 0.61 MB, 90.3% on validation"
    assert progress.summary(FACTS.model_copy(update={"cached": True})).startswith("small: cached, ")


def test_the_score_is_the_recipes_metric_whatever_stands_before_it() -> None:
    scores = {"nll": 0.3, "worst-recall": 0.25}
    facts = FACTS.model_copy(update={"files": [FILE.model_copy(update={"scores": {"validation": scores}})]})
    assert progress.summary(facts, metric="worst-recall").endswith("25.0% on validation")


def test_a_log_gets_few_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    lines = progress.Lines()
    lines.begin("small", "prune.channels", 3, 8)
    for step in range(100):
        now += 0.25
        lines.advance(step + 1, 100, f"step {step + 1}")
    lines.end(FACTS)
    assert capsys.readouterr().err.splitlines() == [
        "[4/8] small: prune.channels",
        "[4/8] small: 40%, step 40, 15 s left",
        "[4/8] small: 80%, step 80, 5 s left",
        "  small: 12.3 s, 687 k parameters, 0.61 MB, 90.3% on validation",
    ]


def test_the_time_left_is_of_the_piece_of_work_that_runs() -> None:
    pace = progress.Pace()
    assert pace.left(0, 10, 100.0) == "", "nothing is done yet"
    assert pace.left(2, 10, 120.0) == "80 s left"
    assert pace.left(10, 10, 200.0) == ""
    assert pace.left(1, 10, 500.0) == "", "the next piece has its own pace"
    assert pace.left(2, 10, 560.0) == "8 min left"
    assert pace.left(2, 1000, 600.0) == "", "so has a longer one"
    assert pace.left(3, 1000, 620.0) == "5.5 h left"


def test_a_stage_without_a_name_is_not_said_twice(capsys: pytest.CaptureFixture[str]) -> None:
    progress.Lines().begin("export.onnx", "export.onnx", 0, 2)
    progress.Lines().begin("measuring latency", "measuring latency", -1, 0)
    assert capsys.readouterr().err.splitlines() == ["[1/2] export.onnx", "measuring latency"]


def test_output_that_is_no_terminal_gets_lines() -> None:
    assert isinstance(progress.progress(), progress.Lines)


def test_the_bar_survives_every_call() -> None:
    live = progress.Live()
    live.begin("small [1]", "prune.channels", 0, 2)
    live.advance(1, 10, "epoch 1/3 [odd]")
    live.end(FACTS)
    live.begin("next", "export.onnx", 1, 2)
    live.close()
