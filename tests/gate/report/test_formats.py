"""The formats for CI: golden texts of a report with every kind of verdict, and where each goes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from edgepress.core.errors import Place, UserError
from edgepress.gate.finding import Status
from edgepress.gate.judge import Finding
from edgepress.gate.report import as_json, github, junit, markdown, text
from edgepress.gate.report import formats as outcome

from tests.conftest import Place as Run
from tests.gate.report.test_text import FINDINGS, MEASURED, STAGES, report

WARNED = [*STAGES[:-1], STAGES[-1].model_copy(update={"warnings": ["100% slower,\nor: not?"]})]
REPORT = report(WARNED, MEASURED)

GITHUB = """\
::notice title=edgepress mobilenet::start teacher 89.4 MB, 8.71 ms, accuracy 91.6%25 → result q.onnx 0.81 MB (0.009x), \
0.310 ms (0.04x), 89.9%25 (−1.7 points)
::error file=targets/host.yaml,line=7,col=12,title=host latency::FAIL: measured 0.775x of 0.600x \
[0.772–0.778]  +0.175x; onnxruntime, 1 thread, 8 × 100 rounds, CPU time; of timm/mobilenetv2_050@28
::warning title=host memory::no number: no number
::error file=targets/host.yaml,line=9,col=18,title=host accuracy_drop::undecided: measured −0.10 points of 2.00 points \
[−0.60 to 2.10]; 2000 test images; against teacher
::error title=jetson latency p90::no number: no number; no published latency
::warning title=edgepress mobilenet::a-very-long-name-of-a-stage: 100%25 slower,%0Aor: not?
::notice title=edgepress mobilenet::3 of 6 required budgets met, 1 exceeded, 1 undecided, 1 without a number; \
1 advisory without a number.  exit 1
"""

MARKDOWN = """\
### edgepress `mobilenet`: 3 of 6 required budgets met, 1 exceeded, 1 undecided, 1 without a number; \
1 advisory without a number.  exit 1

start teacher 89.4 MB, 8.71 ms, accuracy 91.6% → result q.onnx 0.81 MB (0.009x), 0.310 ms (0.04x), 89.9% (−1.7 points)

| | target | budget | value | limit | interval | how |
|---|---|---|---|---|---|---|
| ok | host | size | 0.61 MB | of 2.00 MB |  | measured |
| **FAIL** | host | latency | 0.775x | of 0.600x | [0.772–0.778]  +0.175x | measured: onnxruntime, 1 thread, \
8 × 100 rounds, CPU time; of timm/mobilenetv2_050@28; `targets/host.yaml:7:12` |
| no number (advisory) | host | memory | no number |  |  |  |
| undecided | host | accuracy_drop | −0.10 points | of 2.00 points | [−0.60 to 2.10] | measured: 2000 test images; \
against teacher; `targets/host.yaml:9:18` |
| ok | raspberry-pi-4 | latency p50 | 12.9 ms | of 40 ms | [9.8–17] | estimated: x1.6 interval, 4 references (xnnpack \
int8, 4 threads there, 1 here; google/XNNPACK README.md 75db3c09) |
| ok | raspberry-pi-4 | accuracy | 89.9% | at least 88.0% | [88.5–91.2] | measured |
| no number | jetson | latency p90 | no number |  |  | no published latency |

- Next: latency: a smaller student or `use: prune.channels`; see which stage took the time in the table
- Next: accuracy_drop: too few test images to decide; use more, or move the limit
- Next: jetson latency: no published latency; `edgepress doctor jetson` lists what is missing to measure it; \
with `level: advisory` the budget may stay open

Warnings:

- a-very-long-name-of-a-stage: 100% slower, or: not?

<details><summary>Stages: accuracy on validation and test; latency on this machine, 1 thread</summary>

| stage |  | parameters | size | MACs | val | test | latency |
| --- | --- | --- | --- | --- | --- | --- | --- |
| teacher | fuse.ensemble | 22.4 M | 89.4 MB | 1.11 G | 91.8% | 91.6% | 8.71 ms  [8.66–8.77] |
"""

JUNIT = """\
<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="7" failures="1" errors="2" skipped="0">
 <testsuite name="edgepress mobilenet" timestamp="2026-01-02" tests="7" failures="1" errors="2" skipped="0">
  <properties>
   <property name="change" value="start teacher 89.4 MB, 8.71 ms, accuracy 91.6% → result q.onnx 0.81 MB (0.009x), \
0.310 ms (0.04x), 89.9% (−1.7 points)" />
   <property name="summary" value="3 of 6 required budgets met, 1 exceeded, 1 undecided, 1 without a number; \
1 advisory without a number.  exit 1" />
  </properties>
  <testcase classname="host" name="size">
   <system-out>ok
measured: 0.61 MB of 2.00 MB</system-out>
  </testcase>
  <testcase classname="host" name="latency" file="targets/host.yaml" line="7">
   <failure message="FAIL: 0.775x of 0.600x [0.772–0.778]  +0.175x" type="FAIL">measured: 0.775x of 0.600x \
[0.772–0.778]  +0.175x
onnxruntime, 1 thread, 8 × 100 rounds, CPU time
of timm/mobilenetv2_050@28</failure>
  </testcase>
  <testcase classname="host" name="memory">
   <system-out>no number
missing: no number</system-out>
  </testcase>
"""


def test_github_annotates_the_line_of_the_budget() -> None:
    assert github.render(REPORT, FINDINGS) == GITHUB


def test_github_escapes_what_would_end_a_property() -> None:
    place = Place(Path("a, b:c%.yaml"), 1, 2)
    finding = Finding("t", "size", "required", "FAIL", 1.0, "bytes", 2.0, place=place, note="one\ntwo: 3%")
    line = github.render(report([], []), [finding]).splitlines()[0]
    assert line.startswith("::error file=a%2C b%3Ac%25.yaml,line=1,col=2,title=t size::")
    assert line.endswith("one%0Atwo: 3%25")


def test_github_finds_files_from_the_top_of_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    finding = Finding("t", "size", "required", "FAIL", 1.0, "bytes", 2.0, place=Place(tmp_path / "t" / "x.yaml", 3, 4))
    assert "file=t/x.yaml,line=3" in github.render(report([], []), [finding])


def test_markdown() -> None:
    said = markdown.render(REPORT, FINDINGS)
    assert said.startswith(MARKDOWN)
    assert said.endswith("</details>\n\n<sub>2026-01-02, AMD EPYC, 2 cores, Linux 6.1</sub>\n\n")
    assert {line.count("|") for line in said.splitlines() if line.startswith("| ") and "host" in line} == {8}


def test_markdown_of_nothing_and_of_pipes() -> None:
    assert "No budget to meet" in markdown.render(report([], []), [])
    finding = Finding("t", "size", "required", "ok", 1.0, "bytes", 1.0, note="a|b <c>")
    assert r"a\|b &lt;c>" in markdown.render(report([], []), [finding])


def test_junit() -> None:
    said = junit.render(REPORT, FINDINGS)
    assert said.startswith(JUNIT)
    suite = ElementTree.fromstring(said.encode())[0]
    assert [case.get("classname") for case in suite.findall("testcase")] == [each.target for each in FINDINGS]
    assert [next(iter(case)).tag for case in suite.findall("testcase")] == [
        "system-out",
        "failure",
        "system-out",
        "error",
        "system-out",
        "system-out",
        "error",
    ]


def test_what_is_let_pass_is_no_error() -> None:
    undecided = [each for each in FINDINGS if each.status == "undecided"]
    assert "<error" not in junit.render(REPORT, undecided, "warn")
    assert "::warning file=" in github.render(REPORT, undecided, "warn")
    assert json.loads(as_json.render(REPORT, undecided, "warn"))["exit"] == 0


def test_every_format_names_what_of_the_data_was_not_read() -> None:
    noted = {"notes": ["`p`: 3 are not read: 3 .txt (no suffix of an image)"], "warnings": ["`p`: 1 image has a twin"]}
    shown = REPORT.model_copy(update={"data": {**REPORT.data, **noted}})
    for words in (text.render(shown, FINDINGS), markdown.render(shown, FINDINGS), as_json.render(shown, FINDINGS)):
        for (line,) in noted.values():
            assert line in words
    assert "::warning title=edgepress mobilenet::data: `p`: 1 image has a twin" in github.render(shown, FINDINGS)


def test_json_has_every_finding_and_no_raw_answers() -> None:
    found = json.loads(as_json.render(REPORT, FINDINGS))
    assert (found["version"], found["exit"], found["recipe"]) == (1, 1, "mobilenet")
    assert len(found["findings"]) == len(FINDINGS)
    latency = found["findings"][1]
    assert latency["place"] == {"file": "targets/host.yaml", "line": 7, "column": 12}
    assert (latency["value"], latency["label"], latency["interval"]) == (0.775, "measured", [0.772, 0.778])
    assert [stage["name"] for stage in found["stages"]] == [stage.name for stage in STAGES]
    assert "correct" not in found["stages"][0]["files"][0]


@pytest.mark.parametrize("name", outcome.FORMATS)
def test_every_number_is_labelled_and_a_missing_one_never_passes(name: str) -> None:
    finding = Finding("t", "latency p50", "required", "no number", 0.04, "seconds", note="nothing to go by")
    said = outcome.FORMATS[name](report([], []), [finding], "warn")
    assert "no number" in said
    assert re.search('exit 4|<error|"exit": 4', said)


@pytest.mark.parametrize(
    ("words", "message"),
    [("markdwon", "did you mean `markdown`?"), ("junit=", "`junit=` names no file"), ("", "`` is no format")],
)
def test_wrong_formats(words: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        outcome.parse(words)
    assert message in str(raised.value)


@pytest.mark.parametrize("name", ["text", "json", "junit", "github"])
@pytest.mark.parametrize(
    "content",
    [
        "all:\n\tmake world\nexit 0\n",
        '{"mine": 1}',
        '<?xml version="1.0"?>\n<testsuites tests="1">\n <testsuite name="mine"/>\n</testsuites>\n',
        '{"version":1,"recipe":"a","source":"a.yaml","date":"","stages":[],"samples":[]}',
    ],
    ids=["makefile", "json", "junit", "the run's own record"],
)
def test_a_file_that_is_no_report_stays(name: str, content: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text(content)
    with pytest.raises(UserError, match="is no report of edgepress, and is not overwritten"):
        outcome.parse(f"{name}={file}")
    assert file.read_text() == content


@pytest.mark.parametrize("name", ["text", "json", "junit", "github"])
@pytest.mark.parametrize("status", ["ok", "FAIL", "undecided"])
def test_a_report_is_replaced_by_the_next(name: str, status: Status, tmp_path: Path) -> None:
    """Whatever it says, and whichever format the next one has."""
    finding = Finding("t", "size", "required", status, 5.0, "bytes", 9.0, note="words " * 40)
    file = tmp_path / "deep" / "report.out"
    output = outcome.parse(f"{name}={file}")
    outcome.show([output], report([], []), [finding], "fail")
    for other in outcome.FORMATS:
        assert outcome.parse(f"{other}={file}").file == file


def test_where_no_report_can_be_made_is_told_before_a_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"report\.json` cannot be used: Not a directory"):
        outcome.parse(f"json={tmp_path}/file/report.json")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_what_cannot_be_written_says_why() -> None:
    output = outcome.parse("json=/dev/full")
    with pytest.raises(UserError, match="`/dev/full` cannot be written: No space left on device"):
        outcome.show([output], report([], []), [], "fail")


def test_from_the_command_line(finished: tuple[Run, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, _ = finished
    monkeypatch.chdir(tmp_path)
    (tmp_path / "summary.md").write_text("before\n")
    formats = [
        f"--format={each}" for each in ("text", "github", "junit=out/x.xml", "markdown=summary.md", "json=r.json")
    ]
    said = place.check(*formats)
    assert said.code == 0, said
    assert "required budgets met.  exit 0\n::" in said.out
    assert ElementTree.parse(tmp_path / "out" / "x.xml").getroot().get("failures") == "0"
    assert (tmp_path / "summary.md").read_text().startswith("before\n### edgepress `whole`")
    assert json.loads((tmp_path / "r.json").read_text())["exit"] == 0
    assert place.check("--format=txt").code == 2


@pytest.mark.slow
def test_standard_output_is_the_report_alone(copy: Run) -> None:
    said = copy.run("--format=json")
    assert json.loads(said.out)["recipe"] == "whole"
    assert "[1/12] base: train" in said.err
