"""Golden texts: a full report with every kind of verdict, and the short ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from edgepress.core.errors import Place
from edgepress.core.results import Machine, ModelFile, Report, Samples, StageFacts
from edgepress.gate.judge import Finding
from edgepress.gate.report import as_json, change, github, junit, markdown, text, verdict

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
    Finding("host", "size", "required", "ok", 2e6, "bytes", 612_345, label="measured", file="q.onnx"),
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
        Place(Path("targets/host.yaml"), 7, 12, 28, "  latency: 0.6x timm/mobilenetv2_050@28"),
        "of timm/mobilenetv2_050@28",
        "q.onnx",
    ),
    Finding("host", "memory", "advisory", "no number", 2e8, "bytes", file="q.onnx"),
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
        "q.onnx",
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
        file="m.tflite",
    ),
    Finding("raspberry-pi-4", "accuracy", "required", "ok", 0.88, "share", 0.899, (0.885, 0.912), "measured"),
    Finding("jetson", "latency p90", "required", "no number", 0.04, "seconds", note="no published latency"),
]

FULL = """\
start teacher 89.4 MB, 8.71 ms, accuracy 91.6% → result q.onnx 0.81 MB (0.009x), 0.310 ms (0.04x), 89.9% (−1.7
points)
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
           7 |   latency: 0.6x timm/mobilenetv2_050@28
             |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
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

3 of 6 required budgets met, 1 exceeded, 1 undecided, 1 without a number; 1 advisory without a number.  exit 1
Next: latency: a smaller student or `use: prune.channels`; see which stage took the time in the table
Next: accuracy_drop: too few test images to decide; use more, or move the limit
Next: jetson latency: no published latency; `edgepress doctor jetson` lists what is missing to measure it;
      with `level: advisory` the budget may stay open
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
        "1 of 1 required budgets met.  exit 0\n"
    )


def test_nothing_to_meet_and_a_smoke_run() -> None:
    assert text.render(report([], [], limited=64), []) == (
        "mobilenet  2026-01-02, on AMD EPYC (avx512_vnni), 2 cores, Linux 6.1\n"
        "A smoke run, limited to 64: it shows that the recipe works, not what it reaches.\n\n"
        "No budget to meet: the recipe names no target and keeps nothing.  exit 0\n"
        "Next: name a device under `targets:`; `edgepress ls targets` lists them\n"
    )


@pytest.mark.parametrize(
    ("uses", "precision", "check", "advice"),
    [
        (["load", "export.onnx"], "float32", "size", "a smaller network, `use: prune.channels` or `use: quantize."),
        (["load", "quantize.static"], "x86", "size", "a smaller network"),
        (["load", "quantize.weights"], "weights", "size", "a smaller network"),
        (["train", "prune.channels", "quantize.static"], "x86", "size", "a smaller network or a higher prune ratio"),
        (["load", "quantize.static"], "x86", "accuracy_drop", "calibrate with more samples; see which stage lost it"),
        (["train", "prune.channels"], "float32", "accuracy", "train longer or prune less; see which stage lost it"),
        (["load"], "float32", "accuracy", "a more accurate model to start from"),
    ],
)
def test_advice_is_of_what_this_recipe_can_change(uses: list[str], precision: str, check: str, advice: str) -> None:
    """A model that is quantized is not to be quantized, and a file from elsewhere not to be distilled longer."""
    torch = "export.onnx" in uses or "train" in uses
    stages = [
        stage(use, use, [], 1, 1, file(f"{use}.onnx", precision, 1, 0.9)).model_copy(
            update={"kind": "torch" if torch and use in ("load", "train", "prune.channels") else "onnx"}
        )
        for use in uses
    ]
    finding = Finding("t", check, "required", "FAIL", 1.0, "share", 2.0, label="measured", file=f"{uses[-1]}.onnx")
    shown = " ".join(text.render(report(stages, []), [finding]).split())
    assert f"Next: {check}: {advice}" in shown
    assert ("use: quantize" in advice) == ("use: quantize" in shown.partition("Next: ")[2])


@pytest.mark.parametrize(
    ("finding", "advice"),
    [
        (FINDINGS[3], "Next: accuracy_drop: too few test images to decide"),
        (FINDINGS[6], "Next: jetson latency: no published latency; `edgepress doctor jetson` lists what is missing"),
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
    word = "undecided" if finding.status == "undecided" else "without a number"
    assert f"0 of 1 required budgets met, 1 {word}.  exit 4" in found


def test_no_line_is_wider_than_the_page() -> None:
    wide = [stage("n" * 40, "u" * 40, [], 10**9, 10**12, file("t.onnx", "float32", 10**12, 1.0))]
    wide.append(stage("o" * 40, "u" * 40, ["n" * 40], 10, 10, file("s.onnx", "float32", 10**3, 0.0)))
    finding = Finding(
        "t" * 20, "accuracy_drop", "advisory", "FAIL", 2.0, "points", 99.99, (-99.99, 100.0), note="n " * 99
    )
    rendered = text.render(report(wide, [samples("t.onnx", [999.9, 998.4, 999.1])]), [finding])
    assert max(map(len, rendered.splitlines())) <= 110


def test_the_metric_shown_is_the_recipes_whatever_sorts_before_it() -> None:
    """The cache sorts its JSON: from the second run on, `nll` stood before every metric that sorts after it."""
    for metric in ("worst-recall", "./my.py:score", "accuracy"):
        scores = {"nll": 0.4321, metric: 0.9}
        found = file("t.onnx", "float32", 1000, 0.9).model_copy(update={"scores": dict.fromkeys(SPLITS, scores)})
        said = text.render(report([stage("a", "train", [], 1, 1, found)], [], metric=metric), [])
        assert f"{metric} on validation and test" in said
        assert "90.0%  90.0%" in said
        assert "43.2%" not in said


SPLITS = ("validation", "test")


def started(*stages: StageFacts, findings: list[Finding] = FINDINGS[:1], measured: Any = MEASURED, **more: Any) -> str:
    """The first line of a report, unwrapped."""
    return change.line(report(list(stages), measured, **more), findings)


def test_the_first_line_goes_from_start_to_result() -> None:
    assert started(*STAGES[:3]) == (
        "start teacher 89.4 MB, 8.71 ms, accuracy 91.6% → result q.onnx 0.81 MB (0.009x), 0.310 ms (0.04x), "
        "89.9% (−1.7 points)"
    )
    assert text.render(report(STAGES, MEASURED), FINDINGS).startswith("start teacher 89.4 MB")


def test_times_of_two_runtimes_have_no_ratio() -> None:
    lite = [Finding("phone", "size", "required", "ok", 2e6, "bytes", 790_000, label="measured", file="m.tflite")]
    said = started(*STAGES, findings=lite)
    assert "8.71 ms in onnxruntime" in said
    assert "m.tflite 0.79 MB (0.009x), 0.200 ms in litert, 89.9%" in said


def test_the_result_is_the_file_of_the_host_where_it_is_not_the_first_target() -> None:
    pi = Finding("pi", "size", "required", "ok", 2e6, "bytes", 812_000, label="measured", file="s8.onnx")
    here = Finding("desk", "latency p50", "required", "ok", 1.0, "seconds", 0.1, label="measured", file="q.onnx")
    assert "result q.onnx" in started(*STAGES, findings=[pi, here])
    assert "result s8.onnx 0.81 MB (0.009x), not timed here, 89.0%" in started(*STAGES, findings=[pi])


def test_the_first_line_without_what_it_would_compare() -> None:
    assert started() == ""
    one = stage("q", "quantize.static", [], 1, 1, file("q.onnx", "x86", 1000, 0.9))
    assert started(one, reference="q") == "start = result q 1.0 kB, 0.310 ms in onnxruntime, accuracy 90.0%"
    lost = started(one, reference=None, measured=[])
    assert lost == "result q.onnx 1.0 kB, not timed here, accuracy 90.0%; no starting model to compare it with"


def test_an_error_moves_by_percent_and_from_none_by_itself() -> None:
    def scored(path: str, value: float) -> ModelFile:
        return file(path, "float32", 1000, 0).model_copy(update={"scores": {"test": {"mae": value}}})

    for start, words in ((0.4, "0.5 (+25%)"), (0.0, "0.5 (+0.5)"), (0.625, "0.5 (−20%)")):
        stages = [
            stage("teacher", "train", [], 1, 1, scored("t.onnx", start)),
            stage("int8", "quantize.static", [], 1, 1, scored("q.onnx", 0.5)),
        ]
        assert started(*stages, metric="mae").endswith(words)


@pytest.mark.parametrize(
    ("statuses", "words"),
    [
        (
            {"ok required": 9, "no number advisory": 3},
            "9 of 9 required budgets met; 3 advisory without a number.  exit 0",
        ),
        ({"ok required": 2, "ok advisory": 1}, "2 of 2 required budgets met.  exit 0"),
        (
            {"ok required": 1, "FAIL advisory": 2, "undecided advisory": 1},
            "1 of 1 required budgets met; 2 advisory exceeded, 1 advisory undecided.  exit 0",
        ),
        ({"FAIL required": 1, "ok required": 1}, "1 of 2 required budgets met, 1 exceeded.  exit 1"),
        ({"undecided required": 1}, "0 of 1 required budgets met, 1 undecided.  exit 4"),
        ({"no number required": 1}, "0 of 1 required budgets met, 1 without a number.  exit 4"),
        ({"no number advisory": 1}, "no required budget; 1 advisory without a number.  exit 0"),
    ],
)
def test_the_last_line_counts_every_budget_that_is_not_met(statuses: dict[str, int], words: str) -> None:
    findings = []
    for each, count in statuses.items():
        status, level = each.rsplit(" ", 1)
        findings += [Finding("t", "size", level, status, 1.0, "bytes")] * count  # type: ignore[arg-type]
    facts = report([], [])
    assert verdict.summary(facts, findings, "fail")[0] == words
    assert text.render(facts, findings).splitlines()[-1 - words.count("  exit 1") - words.count("  exit 4")] == words
    said = json.loads(as_json.render(facts, findings))
    assert said["summary"] == words
    assert f'name="summary" value="{words}"' in junit.render(facts, findings)
    assert words in markdown.render(facts, findings)
    assert words in github.render(facts, findings)


def test_what_is_let_pass_is_said() -> None:
    open_ = Finding("t", "latency", "required", "undecided", 1.0, "seconds", 1.0, label="measured")
    said = verdict.summary(report([], []), [open_], "warn")
    assert said == ["0 of 1 required budgets met, 1 undecided and let pass.  exit 0"]


def test_a_doubt_is_in_the_verdict_where_it_reaches_a_result_or_the_reference() -> None:
    """What a student learnt from may be near chance: the student itself need not be."""
    words = "`teacher` is near chance level (see its warning).  "

    def said(*doubted: str) -> str:
        update = {"doubt": "near chance level"}
        stages = [each.model_copy(update=update) if each.name in doubted else each for each in STAGES]
        return verdict.summary(report(stages, MEASURED, reference="student"), FINDINGS[:1], "fail")[0]

    assert STAGES[0].name == "teacher"
    assert not said("teacher").startswith(words)
    assert said("teacher", "student").startswith(words)
    assert said("teacher", STAGES[-1].name).startswith(words)
