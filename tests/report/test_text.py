"""Golden texts: a full report with every kind of verdict, and the short ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Place
from pipeline.facts import Machine, ModelFile, Report, Samples, StageFacts
from pipeline.gate import Finding
from pipeline.report import text

VNNI = Machine(cpu="AMD EPYC", architecture="x86_64", cores=2, features=["avx512_vnni"], system="Linux 6.1")


def file(path: str, precision: str, size: int, score: float) -> ModelFile:
    scores = {"validation": {"accuracy": score + 0.002}, "test": {"accuracy": score}}
    kind: Any = "tflite" if path.endswith("tflite") else "onnx"
    return ModelFile(path=path, kind=kind, precision=precision, bytes=size, sha256="", scores=scores)


def stage(name: str, use: str, inputs: list[str], parameters: int, macs: int | None, *files: ModelFile) -> StageFacts:
    kind: Any = {"q.onnx": "onnx", "m.tflite": "tflite"}.get(files[-1].path if files else "", "torch")
    return StageFacts(
        name=name,
        use=use,
        kind=kind,
        inputs=inputs,
        cached=False,
        seconds=1,
        parameters=parameters,
        macs=macs,
        files=list(files),
        notes={},
        warnings=[],
    )


def samples(path: str, medians: list[float], runtime: Any = "onnxruntime", wall: float = 1.0) -> Samples:
    cpu = [[ms / 1e3] * 3 for ms in medians]
    return Samples(path=path, runtime=runtime, threads=1, cpu=cpu, wall=[[t * wall for t in p] for p in cpu])


def report(stages: list[StageFacts], measured: list[Samples], **more: Any) -> Report:
    facts: dict[str, Any] = {
        "recipe": "mobilenet",
        "source": "recipes/mobilenet.yaml",
        "date": "2026-01-02",
        "limited": None,
        "machine": VNNI,
        "versions": {},
        "data": {},
        "reference": "teacher",
        "keep": None,
        "targets": [],
        "stages": stages,
        "samples": measured,
        "references": [],
    }
    return Report(**(facts | more))


STAGES = [
    stage("teacher", "fuse.ensemble", [], 22_400_000, 1_110_000_000, file("t.onnx", "float32", 89_400_000, 0.916)),
    stage("student", "distill.kd", ["teacher"], 687_000, 22_900_000, file("s.onnx", "float32", 2_760_000, 0.9)),
    stage(
        "int8",
        "quantize.static",
        ["student"],
        687_000,
        22_900_000,
        file("s8.onnx", "xnnpack", 812_000, 0.89),
        file("q.onnx", "x86", 812_000, 0.899),
    ),
    stage(
        "a-very-long-name-of-a-stage",
        "convert.tflite",
        ["int8"],
        687_000,
        None,
        file("m.tflite", "xnnpack", 790_000, 0.899),
    ),
]
MEASURED = [
    samples("t.onnx", [8.70, 8.72, 8.71, 8.73]),
    samples("s.onnx", [0.290, 0.291, 0.290, 0.292], wall=1.3),
    samples("q.onnx", [0.31, 0.31, 0.31, 0.31], wall=1.3),
    samples("m.tflite", [0.2], runtime="litert", wall=1.3),
]
HOST = "onnxruntime, 1 thread, 8 × 100 rounds, CPU time"
FINDINGS = [
    Finding("host", "size", "required", "ok", 2e6, "bytes", 612_345, label="measured", file="cache/q.onnx"),
    Finding(
        "host",
        "latency",
        "required",
        "FAIL",
        0.6,
        "ratio",
        0.775,
        (0.772, 0.778),
        "measured",
        HOST,
        Place(Path("targets/host.yaml"), 7, 12),
        "of timm/mobilenetv2_050@28",
        "cache/q.onnx",
    ),
    Finding("host", "memory", "advisory", "no number", 2e8, "bytes", file="cache/q.onnx"),
    Finding(
        "host",
        "accuracy_drop",
        "required",
        "undecided",
        2.0,
        "points",
        -0.1,
        (-0.6, 2.1),
        "measured",
        "2000 test images",
        Place(Path("targets/host.yaml"), 9, 18),
        "against teacher",
        "cache/q.onnx",
    ),
    Finding(
        "raspberry-pi-4",
        "latency p50",
        "required",
        "ok",
        0.04,
        "seconds",
        0.0129,
        (0.0098, 0.017),
        "estimated",
        "x1.6 interval, 4 references (xnnpack int8, 4 threads there, 1 here; google/XNNPACK README.md 75db3c09)",
        file="cache/m.tflite",
    ),
    Finding("raspberry-pi-4", "accuracy", "required", "ok", 0.88, "share", 0.899, (0.885, 0.912), "measured"),
    Finding("jetson", "latency p90", "required", "no number", 0.04, "seconds", note="no published latency"),
]

FULL = """\
mobilenet  2026-01-02, on AMD EPYC (avx512_vnni), 2 cores, Linux 6.1

accuracy on validation and test images; latency on this machine, 1 thread
stage                             parameters     size    MACs    val   test  latency
teacher          fuse.ensemble        22.4 M  89.4 MB  1.11 G  91.8%  91.6%  8.71 ms  [8.66–8.77]
student          distill.kd            687 k  2.76 MB  22.9 M  90.2%  90.0%  0.290 ms  [0.287–0.295]
                 vs teacher             −97%     −97%    −98%   −1.6   −1.6  −97%
int8             quantize.static       687 k  0.81 MB  22.9 M  90.1%  89.9%  0.310 ms  [0.310–0.310]
                 vs student             same     −71%    same   −0.1   −0.1  +7%
a-very-long-na…  convert.tflite        687 k  0.79 MB       —  90.1%  89.9%  0.200 ms
                 vs int8                same      −3%           +0.0   +0.0  −35%
contention 1.30: other work shares the cores; latencies are CPU time, which it hardly moves

warning: a-very-long-name-of-a-stage: not smaller than its input: a long story a long story a long story a
        long story a long story a long story a long story a long story a long story

host    q.onnx, latency measured: onnxruntime, 1 thread, 8 × 100 rounds, CPU time
  ok    size                0.61 MB  of 2.00 MB       31%
  FAIL  latency              0.775x  of 0.600x       129%  [0.772–0.778]  +0.175x
        of timm/mobilenetv2_050@28
        budget: targets/host.yaml:7:12
  —     memory         no number; a missing measurement never passes  (advisory)
  ?     accuracy_drop  −0.10 points  of 2.00 points        [−0.60 to 2.10]
        against teacher
        budget: targets/host.yaml:9:18

raspberry-pi-4    m.tflite, latency estimated: x1.6 interval, 4 references (xnnpack int8, 4 threads there, 1
        here; google/XNNPACK README.md 75db3c09)
  ok    latency p50  12.9 ms  of 40 ms        32%  [9.8–17]
  ok    accuracy       89.9%  at least 88.0%       [88.5–91.2]

jetson    no file
  —     latency p90  no number; a missing measurement never passes
        no published latency

1 of 6 budgets exceeded, 2 not decided.  exit 1
Next: latency: a smaller student or a higher prune ratio; see which stage took the time in the table
Next: accuracy_drop: too few test images to tell; use more, or move the limit
Next: jetson latency: no published latency; an advisory budget may stay open
"""


def test_the_whole_text() -> None:
    facts = report(
        [
            *STAGES[:3],
            STAGES[3].model_copy(update={"warnings": ["not smaller than its input: " + "a long story " * 9]}),
        ],
        MEASURED,
    )
    assert text.render(facts, FINDINGS) == FULL
    assert max(map(len, FULL.splitlines())) <= 110


def test_all_met() -> None:
    assert text.render(report([], []), FINDINGS[:1]) == (
        "mobilenet  2026-01-02, on AMD EPYC (avx512_vnni), 2 cores, Linux 6.1\n\n"
        "host    q.onnx\n"
        "  ok    size  0.61 MB  of 2.00 MB  31%\n\n"
        "1 of 1 budgets met.  exit 0\n"
    )


def test_nothing_to_meet_and_a_smoke_run() -> None:
    assert text.render(report([], [], limited=64), []) == (
        "mobilenet  2026-01-02, on AMD EPYC (avx512_vnni), 2 cores, Linux 6.1\n"
        "A smoke run, limited to 64: it shows that the recipe works, not what it reaches.\n\n"
        "No budget to meet: the recipe names no target and keeps nothing.  exit 0\n"
    )


@pytest.mark.parametrize(
    ("finding", "advice"),
    [
        (FINDINGS[3], "Next: accuracy_drop: too few test images to tell"),
        (FINDINGS[6], "Next: jetson latency: no published latency; an advisory budget may stay open"),
        (
            Finding("host", "latency p50", "required", "undecided", 1.0, "seconds", 1.0, label="measured"),
            "Next: latency: stop other work on this machine, then `edgepress run recipes/mobilenet.yaml` again",
        ),
        (
            Finding("pi", "latency p50", "required", "undecided", 1.0, "seconds", 1.0, label="estimated"),
            "Next: pi latency: too close to the budget for an estimate; measure on the device",
        ),
    ],
)
def test_an_open_budget_names_the_next_act(finding: Finding, advice: str) -> None:
    found = text.render(report([], []), [finding])
    assert advice in found
    assert "0 of 1 budgets exceeded, 1 not decided.  exit 4" in found


def test_no_line_is_wider_than_the_page() -> None:
    wide = [stage("n" * 40, "u" * 40, [], 10**9, 10**12, file("t.onnx", "float32", 10**12, 1.0))]
    wide.append(stage("o" * 40, "u" * 40, ["n" * 40], 10, 10, file("s.onnx", "float32", 10**3, 0.0)))
    finding = Finding(
        "t" * 20, "accuracy_drop", "advisory", "FAIL", 2.0, "points", 99.99, (-99.99, 100.0), note="n " * 99
    )
    rendered = text.render(report(wide, [samples("t.onnx", [999.9, 998.4, 999.1])]), [finding])
    assert max(map(len, rendered.splitlines())) <= 110
