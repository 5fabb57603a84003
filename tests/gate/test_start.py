"""The starting model under each target's budgets: judged as the result is, and never by a number that there is not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from edgepress.config.target import Target
from edgepress.gate import judge, start
from edgepress.gate.report import as_json, markdown, text

from tests.gate.test_judge import board, file, report, samples, stage

STAGES = [
    stage("teacher", "torch", file("teacher.onnx", size=4_000_000, correct="1" * 1000)),
    stage("int8", "onnx", file("u.onnx", "x86", 500_000, "1" * 990 + "0" * 10)),
    stage("lite", "tflite", file("m.tflite", "xnnpack", 400_000, "1" * 990 + "0" * 10)),
]
TIMES = [samples("u.onnx", 1.0), samples("teacher.onnx", 5.0), samples("u.onnx", 1.0)]


def judged(target: Target, **more: Any) -> list[judge.Finding]:
    found = report(STAGES, samples=TIMES, **more)
    return start.beside(found, [target], judge.judge(found, [target]))


def starts(target: Target, **more: Any) -> dict[str, Any]:
    return {each.check: each.start and (each.start.status, each.start.value) for each in judged(target, **more)}


def test_size_time_and_accuracy_by_the_functions_that_judge_the_result() -> None:
    target = board({"size": "700 kB", "latency": "2 ms", "accuracy": "95%", "memory": "1 MB"})
    found = starts(target)
    assert found["size"] == ("FAIL", 4_000_000)
    assert found["accuracy"] == ("ok", 1.0)
    assert found["memory"] == ("no number", None), "only judged files are weighed"
    status, seconds = found["latency p50"]
    assert status == "FAIL"
    assert abs(seconds - 0.005) < 1e-9
    alone = report([replace_file(STAGES[0])], samples=TIMES, reference=None)
    same = judge.judge(alone, [target])
    assert {each.check: (each.status, each.value) for each in same} == found


def replace_file(given: Any) -> Any:
    """The starting model as the result of a recipe of its own."""
    return given.model_copy(update={"kind": "onnx"})


def test_no_number_is_made_up() -> None:
    relative = board({"latency": "0.5x timm/mobilenetv2_050@28", "size": "700 kB"})
    assert starts(relative) == {"latency": ("no number", None), "size": ("FAIL", 4_000_000)}
    (latency,) = [each for each in judged(relative) if each.check == "latency"]
    assert latency.start
    assert latency.start.note == "it was not timed beside timm/mobilenetv2_050@28"
    other = board({"latency": "2 ms", "fallback": "10%"}, runtime="litert", reach="none", supports=["CONV_2D"])
    assert starts(other) == {"latency p50": ("no number", None), "fallback": ("no number", None)}
    threads = board({"latency": "2 ms"}, threads=4)
    assert starts(threads) == {"latency p50": ("no number", None)}, "it was timed on one thread"


def test_none_without_a_starting_model_and_where_it_is_the_result() -> None:
    target = board({"size": "700 kB"})
    assert starts(target, reference=None) == {"size": None}
    assert starts(target, reference="int8") == {"size": None}


def test_the_result_is_judged_as_before() -> None:
    target = board({"size": "700 kB", "latency": "2 ms"})
    found = report(STAGES, samples=TIMES)
    plain = judge.judge(found, [target])
    assert [replace(each, start=None) for each in start.beside(found, [target], plain)] == plain


def test_a_line_for_each_target_in_text_markdown_and_json() -> None:
    target = board({"size": "700 kB", "latency": "2 ms", "memory": "1 MB", "cold_start": "1 s"})
    findings, found = judged(target), report(STAGES, samples=TIMES)
    line = "starting model (teacher): size 4.00 MB of 0.70 MB, exceeded; latency p50 5 ms of 2 ms, exceeded"
    shown = " ".join(text.render(found, findings).split())
    assert f"{line}; memory, cold_start not measured" in shown
    assert f"\n- board: {line}; memory, cold_start not measured\n" in markdown.render(found, findings)
    size = json.loads(as_json.render(found, findings))["findings"][0]
    assert size["start"] == {
        "name": "teacher", "file": "teacher.onnx", "status": "FAIL", "value": 4_000_000, "interval": None,
        "label": "measured", "note": "",
    }  # fmt: skip
    assert "starting model" not in text.render(found, judge.judge(found, [target]))
