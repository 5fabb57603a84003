"""The gate: which file is judged, every verdict, what a missing number does, and the properties a gate must have."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgepress.config import target
from edgepress.core.errors import Place
from edgepress.core.results import Device, Machine, ModelFile, Preprocessing, Report, Samples, StageFacts
from edgepress.gate import accuracy, judge
from edgepress.gate.finding import Finding
from edgepress.gate.report import advice
from hypothesis import given, settings
from hypothesis import strategies as st

VNNI = Machine(cpu="a cpu", architecture="x86_64", cores=2, features=["avx512_vnni"], system="Linux")
SINGLE_LABEL = "it is for single-label classification; `keep: {metric_drop: …}` is for every metric"
PINNED = "timm/mobilenetv2_050@28 fp32"


def file(path: str, precision: str = "float32", size: int = 1000, correct: str = "") -> ModelFile:
    kind: Any = "tflite" if path.endswith("tflite") else "onnx"
    return ModelFile(path=path, kind=kind, precision=precision, bytes=size, sha256=path, scores={}, correct=correct)


def stage(name: str, kind: Any, *files: ModelFile) -> StageFacts:
    return StageFacts(
        name=name,
        use=name,
        kind=kind,
        inputs=[],
        cached=False,
        seconds=0,
        parameters=1,
        macs=1,
        files=list(files),
        notes={},
        warnings=[],
    )


def samples(
    path: str,
    ms: float,
    runtime: Any = "onnxruntime",
    *,
    processes: int = 4,
    wall: float = 1.001,
    memory: int | None = None,
) -> Samples:
    cpu = [[ms / 1e3] * 10 for _ in range(processes)]
    walls = [[time * wall for time in process] for process in cpu]
    return Samples(path=path, runtime=runtime, threads=1, cpu=cpu, wall=walls, memory=memory)


def report(stages: list[StageFacts], **more: Any) -> Report:
    facts: dict[str, Any] = {
        "recipe": "r",
        "source": "recipes/r.yaml",
        "date": "2026-01-01",
        "limited": None,
        "machine": VNNI,
        "versions": {},
        "data": {},
        "reference": "teacher",
        "keep": None,
        "targets": [],
        "stages": stages,
        "samples": [],
        "references": [],
    }
    return Report(**(facts | more))


def board(budgets: dict[str, Any], **more: Any) -> target.Target:
    facts: dict[str, Any] = {"name": "board", "runtime": "onnxruntime", "reach": "local", "budgets": budgets}
    return target.Target.model_validate(facts | more)


def only(findings: list[judge.Finding]) -> judge.Finding:
    (finding,) = findings
    return finding


STAGES = [
    stage("teacher", "torch", file("teacher.onnx", correct="1" * 1000)),
    stage("int8", "onnx", file("s.onnx", "arm", 1100), file("u.onnx", "x86", 1000, "1" * 990 + "0" * 10)),
    stage("lite", "tflite", file("m.tflite", "xnnpack", 900, "1" * 980 + "0" * 20)),
]
REFERENCES = [
    {
        "model": f"timm/{name}@224",
        "ms": ms,
        "precision": "int8",
        "threads": 4,
        "runtime": runtime,
        "statistic": "mean",
        "source": "a table",
        "commit": "abc",
    }
    for name, ms, runtime in (
        ("a", 20.0, "xnnpack"),
        ("b", 40.0, "xnnpack"),
        ("a", 900.0, "ncnn"),
        ("b", 900.0, "ncnn"),
    )
]


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({}, "u.onnx"),  # this machine has VNNI
        ({"preset": "arm"}, "s.onnx"),
        ({"reach": "none"}, "s.onnx"),
        ({"runtime": "litert"}, "m.tflite"),
        ({"runtime": "tflite-runtime", "reach": "none"}, "m.tflite"),
    ],
)
def test_the_judged_file_is_the_last_that_the_runtime_loads(options: dict[str, Any], path: str) -> None:
    found = judge.judged(report(STAGES), board({}, **options))
    assert found is not None
    assert found.path == path


def test_a_torch_model_is_not_something_a_runtime_loads() -> None:
    finding = only(judge.judge(report(STAGES[:1]), [board({"size": "5 MB"})]))
    assert (finding.status, finding.value) == ("no number", None)
    assert "no stage makes a file that onnxruntime loads" in finding.note


def test_a_preset_that_was_not_made_is_not_replaced_by_another() -> None:
    facts = report([stage("int8", "onnx", file("s.onnx", "arm"))])
    assert only(judge.judge(facts, [board({"size": "5 MB"})])).status == "no number"


def test_size_is_judged_for_every_target() -> None:
    found = judge.judge(report(STAGES), [board({"size": "1 kB"}), board({"size": "999 B"}, reach="none", preset="x86")])
    assert [(each.status, each.value) for each in found] == [("ok", 1000), ("FAIL", 1000)]


@pytest.mark.parametrize(("ratio", "status"), [("0.6x", "ok"), ("0.5x", "undecided"), ("0.4x", "FAIL")])
def test_latency_relative_to_the_pinned_reference(ratio: str, status: str) -> None:
    facts = report(STAGES, samples=[samples("u.onnx", 1.0), samples(PINNED, 2.0)])
    finding = only(judge.judge(facts, [board({"latency": f"{ratio} timm/mobilenetv2_050@28"})]))
    assert (finding.status, finding.unit, finding.label) == (status, "ratio", "measured")
    assert finding.value == pytest.approx(0.5)


def test_no_reference_beside_it_is_no_number() -> None:
    facts = report(STAGES, samples=[samples("u.onnx", 1.0)])
    finding = only(judge.judge(facts, [board({"latency": "9x timm/mobilenetv2_050@28"})]))
    assert finding.status == "no number"


@pytest.mark.parametrize(("limit", "status"), [("2 ms", "ok"), ("0.5 ms", "FAIL")])
def test_latency_in_milliseconds_takes_its_percentile(limit: str, status: str) -> None:
    slow_tail = Samples(
        path="u.onnx", runtime="onnxruntime", threads=1, cpu=[[1e-4] * 80 + [1e-3] * 20] * 4, wall=[[1e-3] * 100] * 4
    )
    budget = {"latency": {"limit": limit, "percentile": 90}}
    finding = only(judge.judge(report(STAGES, samples=[slow_tail]), [board(budget)]))
    assert (finding.status, finding.check) == (status, "latency p90")
    assert finding.value == pytest.approx(1e-3)


def test_contention_voids_a_verdict_on_wall_time_only() -> None:
    busy = samples("u.onnx", 1.0, wall=3.0)
    single = only(judge.judge(report(STAGES, samples=[busy]), [board({"latency": "2 ms"})]))
    assert (single.status, single.note) == ("ok", "contention 3.00")
    several = busy.model_copy(update={"threads": 2})
    voided = only(judge.judge(report(STAGES, samples=[several]), [board({"latency": "90 ms"}, threads=2)]))
    assert voided.status == "undecided"
    assert "no verdict on wall time" in voided.note


def test_memory_is_of_this_machine_only() -> None:
    facts = report(STAGES, samples=[samples("u.onnx", 1.0, memory=70_000_000)])
    here, there = (board({"memory": "60 MB"}, reach=reach, preset="x86") for reach in ("local", "none"))
    found = judge.judge(facts, [here, there])
    assert [(each.status, each.value) for each in found] == [("FAIL", 70_000_000), ("no number", None)]


@pytest.mark.parametrize("budget", [{"memory": "60 MB"}, {"cold_start": "1 s"}])
def test_what_a_device_does_not_print_is_no_number(budget: dict[str, Any]) -> None:
    facts = report(STAGES, samples=[samples("u.onnx", 1.0).model_copy(update={"device": "pi"})])
    finding = only(judge.judge(facts, [board(budget, name="pi", reach="ssh://pi", preset="x86")]))
    assert (finding.status, finding.note) == ("no number", "the program that measures there does not print it")


@pytest.mark.parametrize(("limit", "status"), [("2 points", "ok"), ("1.2 points", "undecided"), ("0.1 points", "FAIL")])
def test_accuracy_drop_against_the_reference_stage(limit: str, status: str) -> None:
    finding = only(judge.judge(report(STAGES), [board({"accuracy_drop": limit})]))
    assert (finding.status, finding.note) == (status, "against teacher")
    assert finding.value == pytest.approx(1.0)


@pytest.mark.parametrize("more", [{"reference": None}, {"reference": "nobody"}, {"stages": STAGES[1:]}])
def test_a_drop_without_a_reference_is_no_number(more: dict[str, Any]) -> None:
    finding = only(judge.judge(report(**({"stages": STAGES} | more)), [board({"accuracy_drop": "50 points"})]))
    assert finding.status == "no number"


@pytest.mark.parametrize("values", [(math.nan, math.nan), (math.nan, 0.9), (0.9, math.nan)])
def test_a_metric_that_is_no_number_never_passes(values: tuple[float, float]) -> None:
    """Not even of the very file that it is compared with: its drop of 0 would be that of nothing."""
    before, after = (
        file(f"{value}.onnx").model_copy(update={"scores": {"test": {"pck": value}}, "resampled": [0.0] * 1000})
        for value in values
    )
    found = report([stage("before", "onnx", before), stage("after", "onnx", after)], metric="pck", reference="before")
    finding = accuracy.dropped(found, after, Finding("t", "keep", "required", "no number", 1.0, "points"))
    assert (finding.status, finding.note) == ("no number", "against before; pck of the test examples is no number")


def test_accuracy() -> None:
    found = judge.judge(report(STAGES), [board({"accuracy": limit}) for limit in ("97%", "99%", "99.9%")])
    assert [each.status for each in found] == ["ok", "undecided", "FAIL"]


def test_keep_is_judged_on_the_worst_file_that_goes_to_a_target() -> None:
    place = Place(Path("r.yaml"), 9, 3)
    targets = [board({"size": "5 MB"}), board({"size": "5 MB"}, runtime="litert", name="other")]
    finding = judge.judge(report(STAGES, keep=4.0), targets, place)[-1]
    assert (finding.target, finding.file, finding.status, finding.place) == ("recipe", "m.tflite", "ok", place)
    assert finding.value == pytest.approx(2.0)
    assert only(judge.judge(report(STAGES, keep=0.5), [])).status == "FAIL"
    assert only(judge.judge(report([], keep=0.5), [])).status == "no number"


def estimated(limit: str, host_ms: float, **more: Any) -> judge.Finding:
    measured = [samples("m.tflite", host_ms, "litert")]
    measured += [samples(f"timm/{name}@224 int8", ms, "litert") for name, ms in (("a", 1.0), ("b", 2.0))]
    options = {"reach": "none", "runtime": "litert", "threads": 4, "references": REFERENCES}
    return only(judge.judge(report(STAGES, references=measured), [board({"latency": limit}, **(options | more))]))


@pytest.mark.parametrize(("limit", "status"), [("50 ms", "ok"), ("35 ms", "undecided"), ("15 ms", "FAIL")])
def test_estimate_is_judged_by_its_interval(limit: str, status: str) -> None:
    finding = estimated(limit, 1.5)
    assert (finding.status, finding.label) == (status, "estimated")
    assert finding.value == pytest.approx(0.030)
    assert finding.interval == pytest.approx((0.030 / 1.6, 0.030 * 1.6))


def test_estimate_of_a_typical_run_cannot_pass_a_high_percentile() -> None:
    options = {"reach": "none", "runtime": "litert", "threads": 4, "references": REFERENCES}
    measured = [samples(path, 1.5, "litert") for path in ("m.tflite", "timm/a@224 int8", "timm/b@224 int8")]
    for limit, status in (("1 s", "undecided"), ("1 ms", "FAIL")):
        profile = board({"latency": {"limit": limit, "percentile": 90}}, **options)
        assert only(judge.judge(report(STAGES, references=measured), [profile])).status == status


def test_smoke_run_says_so() -> None:
    found = judge.judge(report(STAGES, limited=100, keep=50.0), [board({"size": "1 MB"})])
    assert [each.status for each in found] == ["ok", "ok"]
    assert all("smoke run" in each.note for each in found)


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([], 0),
        (["ok required"], 0),
        (["ok required", "FAIL advisory", "no number advisory", "undecided advisory"], 0),
        (["ok required", "no number required"], 4),
        (["undecided required"], 4),
        (["undecided required", "FAIL required", "no number required"], 1),
    ],
)
def test_exit_code(statuses: list[str], code: int) -> None:
    findings = []
    for each in statuses:
        status, level = each.rsplit(" ", 1)
        findings.append(judge.Finding("t", "size", level, status, 1.0, "bytes"))  # type: ignore[arg-type]
    assert judge.exit_code(findings) == code


def test_a_warning_lets_pass_what_is_undecided_and_never_what_is_missing() -> None:
    undecided, missing = (
        judge.Finding("t", "size", "required", status, 1.0, "bytes") for status in ("undecided", "no number")
    )
    assert judge.exit_code([undecided], "warn") == 0
    assert judge.exit_code([undecided, missing], "warn") == 4
    assert judge.exit_code([missing], "warn") == 4


def held(**more: Any) -> Report:
    """The chain's int8 file, with another accepted for the board before it."""
    before = file("before.onnx", "x86", 1000, "1" * 95 + "0" * 5)
    times = [samples("u.onnx", 1.0), samples("before.onnx", 1.0)]
    return report(STAGES, **({"samples": times, "accepted": {"board": before}} | more))


@pytest.mark.parametrize(
    ("options", "more", "statuses"),
    [
        ({}, {}, ["ok", "ok", "no number"]),
        ({}, {"samples": [samples("u.onnx", 1.1), samples("before.onnx", 1.0)]}, ["ok", "FAIL", "no number"]),
        ({}, {"samples": [samples("u.onnx", 1.0)]}, ["ok", "no number", "no number"]),
        ({"regression": {"latency": None, "accuracy_drop": None}}, {}, ["ok"]),
        ({"reach": "none"}, {}, ["FAIL", "no number"]),  # the file for ARM is larger
        ({"name": "another"}, {}, ["no number", "no number", "no number"]),
    ],
)
def test_against_an_accepted_model(options: dict[str, Any], more: dict[str, Any], statuses: list[str]) -> None:
    found = judge.judge(held(**more), [board({}, **options)])
    assert [each.status for each in found] == statuses
    assert all(each.check.endswith("vs accepted") for each in found)


def test_without_an_accepted_model_nothing_is_held_against_it() -> None:
    assert judge.judge(held(accepted={}), [board({})]) == []


def test_measuring_goes_on_only_for_a_measured_latency() -> None:
    one, four = (report(STAGES, samples=[samples("u.onnx", 1.0, processes=count)]) for count in (1, 4))
    assert not judge.latency_decided(one, [board({"latency": "2 ms"})])
    assert judge.latency_decided(four, [board({"latency": "2 ms", "accuracy": "99%"})])
    assert judge.latency_decided(report(STAGES), [board({"latency": "1 ms"})])


ROUNDS = st.lists(st.lists(st.floats(1e-5, 1.0), min_size=3, max_size=3), min_size=1, max_size=6)


@settings(max_examples=50)
@given(
    ROUNDS,
    st.floats(1, 50),
    st.integers(1, 10**7),
    st.tuples(st.integers(0, 1000), st.integers(0, 1000)),
    st.booleans(),
)
def test_worse_numbers_never_turn_fail_into_ok(
    times: list[list[float]], factor: float, more: int, right: tuple[int, int], known: bool
) -> None:
    budgets = {"size": "1 MB", "latency": "10 ms", "memory": "1 MB", "accuracy": "90%", "accuracy_drop": "2 points"}

    def findings(slow: float, size: int, right: int, measured: bool) -> list[judge.Finding]:
        cpu = [[time * slow for time in process] for process in times]
        mine = Samples(path="u.onnx", runtime="onnxruntime", threads=1, cpu=cpu, wall=cpu, memory=size)
        marks = "1" * right + "0" * (1000 - right)
        stages = [STAGES[0], stage("int8", "onnx", file("u.onnx", "x86", size, marks if measured else ""))]
        return judge.judge(report(stages, samples=[mine] if measured else [], keep=2.0), [board(budgets)])

    before = findings(1.0, 10**6 - 5, max(right), True)
    after = findings(factor, 10**6 - 5 + more, min(right), known)
    for first, second in zip(before, after, strict=True):
        assert (first.status, second.status) != ("FAIL", "ok"), first
        assert second.value is not None or second.status == "no number"


@given(st.floats(0.2, 20), st.floats(1, 100), st.floats(1, 50), st.booleans())
def test_larger_limits_never_turn_ok_into_fail(host: float, limit: float, factor: float, extrapolate: bool) -> None:
    more = {"extrapolate": "x2"} if extrapolate else {}
    first, second = (estimated(f"{each:f} ms", host, **more) for each in (limit, limit * factor))
    assert (first.status, second.status) not in {("ok", "FAIL"), ("ok", "undecided"), ("undecided", "FAIL")}
    slower = estimated(f"{limit:f} ms", host * factor, **more)
    assert (first.status, slower.status) != ("FAIL", "ok")


def test_an_attached_device_is_judged_by_its_own_times() -> None:
    here, there = samples("u.onnx", 1.0), samples("u.onnx", 9.0, memory=50_000_000)
    there = there.model_copy(update={"device": "pi"})
    pi = board({"latency": "5 ms", "memory": "60 MB"}, name="pi", reach="ssh://pi", preset="x86")
    facts = report(STAGES, samples=[here, there], devices={"pi": Device(about="Raspberry Pi 4")})
    found = judge.judge(facts, [pi, board({"latency": "5 ms"})])
    assert [(each.target, each.status, each.value) for each in found] == [
        ("pi", "FAIL", pytest.approx(0.009)),
        ("pi", "ok", 50_000_000),
        ("board", "ok", pytest.approx(0.001)),
    ]
    assert found[0].basis.endswith("CPU time, on Raspberry Pi 4")
    assert not judge.judge(report(STAGES, samples=[here]), [pi])[0].value, "times of this machine are not the board's"


def test_a_device_that_failed_or_throttled_gives_no_number() -> None:
    there = samples("u.onnx", 1.0, memory=1).model_copy(update={"device": "pi"})
    pi = board({"latency": "5 ms"}, name="pi", reach="ssh://pi", preset="x86")
    facts = report(STAGES, samples=[there], devices={"pi": Device(error="it throttled", help="cool it")})
    finding = only(judge.judge(facts, [pi]))
    assert (finding.status, finding.value, finding.note) == ("no number", None, "it throttled: cool it")
    assert judge.exit_code([finding], "warn") == 4


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ({"max_opset": 18, "max_ir": 9}, [("opset", "ok", 18), ("ir", "ok", 9)]),
        ({"max_opset": 16}, [("opset", "FAIL", 18)]),
        ({"max_ir": 8}, [("ir", "FAIL", 9)]),
        ({"max_opset": 16, "runtime": "litert"}, []),
    ],
)
def test_a_runtime_that_is_too_old_for_the_file(limits: dict[str, Any], found: list[Any]) -> None:
    new = stage("int8", "onnx", file("u.onnx", "x86").model_copy(update={"opset": 18, "ir": 9}))
    findings = judge.judge(report([new]), [board({}, **limits)])
    assert [(each.check, each.status, each.value) for each in findings] == found
    old = stage("int8", "onnx", file("u.onnx", "x86"))
    assert {each.status for each in judge.judge(report([old]), [board({}, **limits)])} <= {"no number"}


@pytest.mark.parametrize(("limit", "status"), [("5 ms", "ok"), ("3 ms", "FAIL"), ("4 ms", "undecided")])
def test_cold_start_is_loading_and_the_first_answer(limit: str, status: str) -> None:
    loads = [3e-3, 3.1e-3, 2.9e-3, 3e-3, 3.05e-3]
    cold = samples("u.onnx", 1.0).model_copy(update={"load": loads, "first": [1e-3] * 5})
    finding = only(judge.judge(report(STAGES, samples=[cold]), [board({"cold_start": limit})]))
    assert (finding.status, finding.unit, finding.basis) == (status, "seconds", "5 processes, wall time")
    assert finding.value == pytest.approx(4e-3, rel=0.02)
    missing = only(judge.judge(report(STAGES, samples=[samples("u.onnx", 1.0)]), [board({"cold_start": limit})]))
    assert missing.status == "no number"
    there = board({"cold_start": limit}, reach="none", preset="x86")
    assert only(judge.judge(report(STAGES, samples=[cold]), [there])).status == "no number"


@pytest.mark.parametrize(("limit", "status"), [("70%", "ok"), ("80%", "undecided"), ("90%", "FAIL")])
@pytest.mark.parametrize("name", ["macro_f1", "worst_recall"])
def test_other_shares_are_judged_by_their_intervals(name: str, limit: str, status: str) -> None:
    bounded = file("u.onnx", "x86").model_copy(update={"bounds": {name: (0.8, 0.75, 0.85)}})
    finding = only(judge.judge(report([stage("int8", "onnx", bounded)]), [board({name: limit})]))
    assert (finding.status, finding.value, finding.interval) == (status, 0.8, (0.75, 0.85))
    plain = only(judge.judge(report([stage("int8", "onnx", file("u.onnx", "x86"))]), [board({name: limit})]))
    assert (plain.status, plain.note) == ("no number", SINGLE_LABEL)


def test_operators_that_an_accelerator_lacks() -> None:
    known = file("u.onnx", "x86").model_copy(update={"operators": {"Conv": 8, "Softmax": 1, "Resize": 1}})
    facts = report([stage("int8", "onnx", known)])
    finding = only(judge.judge(facts, [board({"fallback": "10%"}, supports=["Conv", "Softmax"])]))
    assert (finding.status, finding.value, finding.note) == ("ok", 0.1, "left to the processor: 1 Resize")
    assert only(judge.judge(facts, [board({"fallback": "10%"}, supports=["Conv"])])).status == "FAIL"
    assert only(judge.judge(facts, [board({"fallback": "10%"})])).status == "no number"


def test_groups_of_the_test_split_are_what_an_interval_is_over() -> None:
    marks = "1" * 990 + "0" * 10  # the last person's photos are half wrong
    stages = [STAGES[0], stage("int8", "onnx", file("u.onnx", "x86", 1000, marks))]
    people = [person for person in range(50) for _ in range(20)]
    budgets = board({"accuracy": "98%", "accuracy_drop": "2 points"})
    alone = judge.judge(report(stages, keep=2.0), [budgets])
    grouped = judge.judge(report(stages, keep=2.0, groups=people), [budgets])
    assert [each.status for each in alone] == ["ok", "ok", "ok"]
    assert [each.status for each in grouped] == ["undecided", "undecided", "undecided"]
    assert {each.basis for each in grouped} == {"1000 test images of 50 groups"}
    one = judge.judge(report(stages, groups=[0] * 1000), [budgets])
    assert [(each.status, each.interval) for each in one] == [("undecided", None)] * 2
    assert one[0].basis == "1000 test images of 1 group, and one group bounds nothing"


def test_the_same_bytes_with_the_same_answers_lose_exactly_nothing() -> None:
    """No image was sampled to find that out; but a board may answer otherwise to the same bytes."""
    same = file("u.onnx", "x86", 1000, "1" * 20)
    reference = same.model_copy(update={"path": "t.onnx", "precision": "float32"})
    facts = report([stage("teacher", "torch", reference), stage("int8", "onnx", same)])
    finding = only(judge.judge(facts, [board({"accuracy_drop": "0.1 points"})]))
    assert (finding.status, finding.value, finding.interval) == ("ok", 0, None)
    assert "the same bytes" in finding.note
    other = same.model_copy(update={"sha256": "another"})
    facts = report([stage("teacher", "torch", reference), stage("int8", "onnx", other)])
    assert only(judge.judge(facts, [board({"accuracy_drop": "0.1 points"})])).status == "undecided"


def scored(path: str, value: float, metric: str = "mae", **more: Any) -> ModelFile:
    spread = np.linspace(0.99, 1.01, 1000)
    facts = {"scores": {"test": {metric: value}}, "resampled": (value * spread).tolist(), **more}
    return file(path, "x86" if path == "u.onnx" else "float32").model_copy(update=facts)


def test_an_error_near_zero_is_judged_in_its_own_unit_and_says_so() -> None:
    stages = [stage("teacher", "torch", scored("t.onnx", 6e-8)), stage("int8", "onnx", scored("u.onnx", 0.05))]
    facts = report(stages, metric="mae", keep=5.0, constant=0.8, data={"images": {"test": 100}})
    finding = only(judge.judge(facts, [board({})]))
    assert (finding.status, finding.unit) == ("FAIL", "metric")
    assert (finding.value, finding.limit) == (pytest.approx(0.05, abs=1e-6), pytest.approx(0.0004))
    assert finding.note == (
        "against teacher; mae of teacher is 6e-08, too near zero for percent (less than 1% of 0.8, that of always "
        "answering the mean): how much it may grow is 5% of 0.008, and what it grows by is in mae"
    )
    usual = [stage("teacher", "torch", scored("t.onnx", 0.04)), stage("int8", "onnx", scored("u.onnx", 0.05))]
    finding = only(judge.judge(facts.model_copy(update={"stages": usual}), [board({})]))
    assert (finding.unit, finding.value) == ("percent", pytest.approx(25))
    old = only(judge.judge(facts.model_copy(update={"constant": None}), [board({})]))
    assert old.unit == "percent", "an old report does not say what is near"
    zero = [stage("teacher", "torch", scored("t.onnx", 0.0)), stage("int8", "onnx", scored("u.onnx", 0.05))]
    finding = only(judge.judge(facts.model_copy(update={"stages": zero, "constant": None}), [board({})]))
    assert (finding.status, finding.unit, finding.value) == ("FAIL", "metric", pytest.approx(0.05))


def test_draws_of_groups_are_not_paired_with_draws_of_examples() -> None:
    before, now = scored("t.onnx", 0.9, "auc"), scored("u.onnx", 0.9, "auc", drawn=9)
    facts = report([stage("teacher", "torch", before), stage("int8", "onnx", now)], metric="auc", keep=2.0)
    finding = only(judge.judge(facts, [board({})]))
    assert finding.status == "no number"
    assert "resampled by other groups" in finding.note


def test_the_worst_class_is_named_with_its_count() -> None:
    bounded = file("u.onnx", "x86").model_copy(
        update={"bounds": {"worst_recall": (0.0, 0.0, 0.28)}, "worst": ("cat", 0, 10)}
    )
    finding = only(judge.judge(report([stage("int8", "onnx", bounded)]), [board({"worst_recall": "60%"})]))
    assert (finding.status, finding.note) == ("FAIL", "worst class `cat`, 0 of 10")


@pytest.mark.parametrize(
    ("metric", "words"),
    [("agreement", "another model's outputs"), ("mae", "it is for single-label classification")],
)
def test_macro_f1_without_labels_or_classes_has_no_number(metric: str, words: str) -> None:
    bounds = {"macro_f1": (0.9, 0.8, 1.0)} if metric == "agreement" else {}
    found = file("u.onnx", "x86").model_copy(update={"bounds": bounds})
    facts = report([stage("int8", "onnx", found)], metric=metric)
    for name in ("macro_f1", "worst_recall"):
        finding = only(judge.judge(facts, [board({name: "10%"})]))
        assert finding.status == "no number"
        assert words in finding.note


def test_an_accuracy_budget_of_another_metric_says_why_it_has_no_number() -> None:
    facts = report([stage("int8", "onnx", file("u.onnx", "x86"))], metric="macro-f1")
    finding = only(judge.judge(facts, [board({"accuracy": "10%"})]))
    assert (finding.status, finding.note.partition(";")[0]) == ("no number", "this recipe's metric is macro-f1")
    several = only(judge.judge(report([stage("int8", "onnx", file("u.onnx", "x86"))]), [board({"accuracy": "10%"})]))
    assert several.note == SINGLE_LABEL


def test_a_slow_metric_says_how_often_it_was_resampled_and_too_slow_a_one_decides_nothing() -> None:
    own = "./my_metric.py:f"
    for draws, status, words in (
        (40, "ok", "40 bootstrap draws in place of 1,000"),
        (0, "undecided", "too slow to resample"),
    ):
        files = [scored(name, value, own) for name, value in (("t.onnx", 0.91), ("u.onnx", 0.9))]
        files = [each.model_copy(update={"resampled": each.resampled[:draws]}) for each in files]
        stages = [stage("teacher", "torch", files[0]), stage("int8", "onnx", files[1])]
        facts = report(stages, metric=own, keep=5.0)
        finding = only(judge.judge(facts, [board({})]))
        assert (finding.status, finding.value) == (status, pytest.approx(1))
        assert words in finding.note
        assert (finding.interval is None) == (not draws)
        assert ("one value for each example" in advice.if_open(facts, finding)) == (not draws)
    same = files[0].model_copy(update={"path": "u.onnx", "precision": "x86", "sha256": "1" * 64})
    stages = [stage("teacher", "torch", files[0].model_copy(update={"sha256": "1" * 64})), stage("int8", "onnx", same)]
    finding = only(judge.judge(report(stages, metric=own, keep=5.0), [board({})]))
    assert (finding.status, finding.value) == ("ok", 0), "the same bytes with the same score"


def test_pixels_tell_models_apart_that_no_share_of_examples_does() -> None:
    """Of 100 images 3 may be answered otherwise unseen; but each mask differs in some pixels, which draws see."""
    own = {"miou": "ok", "auc": "undecided"}
    for metric, status in own.items():
        files = [scored(name, value, metric) for name, value in (("t.onnx", 0.801), ("u.onnx", 0.8))]
        stages = [stage("teacher", "torch", files[0]), stage("int8", "onnx", files[1])]
        facts = report(stages, metric=metric, keep=1.0, data={"images": {"test": 100}})
        assert only(judge.judge(facts, [board({})])).status == status
        alike = files[1].model_copy(update={name: getattr(files[0], name) for name in ("scores", "resampled")})
        facts = facts.model_copy(update={"stages": [stages[0], stage("int8", "onnx", alike)]})
        assert only(judge.judge(facts, [board({})])).status == "undecided"


def test_only_counted_queries_bound_a_recall() -> None:
    """Of 1000 examples 40 have a mate: those alone show how often the two differ."""
    files = [scored(name, 0.8, "recall@1") for name in ("t.onnx", "u.onnx")]
    stages = [
        stage("teacher", "torch", files[0]),
        stage("int8", "onnx", files[1].model_copy(update={"sha256": "1" * 64})),
    ]
    for counted, status in (({}, "ok"), ({"counted": 40}, "undecided"), ({"counted": 0}, "undecided")):
        facts = report(stages, metric="recall@1", keep=1.0, data={"images": {"test": 1000}, **counted})
        assert only(judge.judge(facts, [board({})])).status == status


@pytest.mark.parametrize(("limit", "status"), [("35%", "ok"), ("40%", "undecided"), ("46%", "FAIL")])
@pytest.mark.parametrize("name", ["map", "map50"])
def test_average_precision_is_judged_by_draws_of_the_pictures(name: str, limit: str, status: str) -> None:
    draws = [0.4 + 0.02 * math.sin(place) for place in range(1000)]
    found = file("u.onnx", "x86").model_copy(update={"scores": {"test": {name: 0.4}}, "resampled": draws})
    facts = report([stage("int8", "onnx", found)], metric=name, data={"images": {"test": 500}})
    finding = only(judge.judge(facts, [board({name: limit})]))
    assert (finding.status, finding.value) == (status, 0.4)
    assert finding.interval == pytest.approx((0.38, 0.42), abs=2e-3)
    nan = found.model_copy(update={"scores": {"test": {name: math.nan}}})
    lost = only(judge.judge(report([stage("int8", "onnx", nan)], metric=name), [board({name: limit})]))
    assert (lost.status, lost.note) == ("no number", f"{name} of the test examples is no number")
    other = only(judge.judge(report([stage("int8", "onnx", found)], metric="miou"), [board({name: limit})]))
    assert (other.status, other.note) == (
        "no number",
        f"this recipe's metric is miou; `metric: {name}` judges this budget",
    )


@pytest.mark.parametrize(("value", "limit"), [(1.0, "90%"), (0.0, "30%")])
def test_a_precision_of_few_pictures_is_not_certain(value: float, limit: str) -> None:
    """Draws of three pictures with all boxes, or none, are all alike."""
    found = file("u.onnx", "x86").model_copy(update={"scores": {"test": {"map50": value}}, "resampled": [value] * 1000})
    facts = report([stage("int8", "onnx", found)], metric="map50", data={"images": {"test": 3}})
    assert only(judge.judge(facts, [board({"map50": limit})])).status == "undecided"
    facts = report([stage("int8", "onnx", found)], metric="map50", data={"images": {"test": 500}})
    assert only(judge.judge(facts, [board({"map50": limit})])).status == ("ok" if value else "FAIL")


@pytest.mark.parametrize(("limit", "status"), [("3 ms", "ok"), ("2 ms", "undecided"), ("1 ms", "FAIL")])
def test_the_time_to_decode_boxes_is_judged_where_it_is_measured(limit: str, status: str) -> None:
    times = [0.002 + 0.0001 * math.sin(place) for place in range(16)]
    stages = [stage("int8", "onnx", file("u.onnx", "x86"), file("s.onnx", "arm"))]
    facts = report(stages).model_copy(update={"preprocessing": Preprocessing(read=[], ready=[], decode=times)})
    finding = only(judge.judge(facts, [board({"decode": limit})]))
    assert (finding.status, finding.value) == (status, pytest.approx(0.002, rel=0.05))
    assert "16 pictures" in finding.basis
    away = only(judge.judge(facts, [board({"decode": limit}, reach="none")]))
    assert (away.status, away.note) == ("no number", "it is measured where `reach: local`")
    plain = only(judge.judge(report(stages), [board({"decode": limit})]))
    assert (plain.status, plain.note) == ("no number", "only detectors have boxes to decode")
