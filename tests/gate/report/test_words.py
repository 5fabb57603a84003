"""Words from targets, classes, devices and models have no effect in any format of a report."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from edgepress.core.errors import Place
from edgepress.core.results import Report
from edgepress.gate.finding import Finding, Start
from edgepress.gate.report import as_json, github, junit, markdown, text
from edgepress.gate.report.markdown_text import block, code, escaped
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.test_printable import EVIL, TEXTS, obeyed
from tests.gate.report.test_text import MEASURED, STAGES, report

RENDERERS = {"text": text, "json": as_json, "markdown": markdown, "github": github, "junit": junit}
MARKUP = f"{EVIL}<script>alert(1)</script>|`x`|[a](javascript:x)&]]>\n# h"


def told_by(word: str) -> tuple[Report, list[Finding]]:
    """A report and findings with `word` in every place that a file, a device or a model names."""
    stage = STAGES[-1].model_copy(update={"warnings": [word], "doubt": word, "summary": [word], "use": word})
    whole = report([*STAGES[:-1], stage], MEASURED)
    machine = whole.machine.model_copy(update={"cpu": word, "system": word})
    data = whole.data | {"inputs": word, "notes": [word], "warnings": [word], "set": [word]}
    whole = whole.model_copy(update={"recipe": word, "source": word, "machine": machine, "data": data, "date": word})
    place = Place(Path(word.replace("\0", "") or "x"), 1, 2, 3, word)
    start = Start(word, word, "FAIL", 3.0, None, "measured", word)
    more = {"basis": word, "note": word, "file": word, "start": start}
    findings = [
        Finding(word, "size", "required", "FAIL", 1.0, "bytes", 2.0, (1.0, 3.0), "measured", place=place, **more),
        Finding(word, "latency p90", "required", "no number", 1.0, "seconds", place=place, **more),
        Finding(word, "accuracy", "advisory", "ok", 0.5, "share", 0.6, label="emulated", **more),
    ]
    return whole, findings


def check(format: str, word: str) -> str:
    shown = RENDERERS[format].render(*told_by(word))
    shown.encode()
    if format == "github":
        own = [line for line in shown.splitlines() if not re.match(r"::(notice|warning|error) ", line)]
        assert not own, "a command a line"
        assert not [one for one in obeyed(shown) if not re.match(r"::(notice|warning|error) ", one)]
    else:
        assert not obeyed(shown)
    if format == "json":
        assert json.loads(shown)["findings"][0]["check"] == "size"
    if format == "junit":
        cases = ElementTree.fromstring(shown.encode()).findall(".//testcase")
        assert [case.get("name") for case in cases] == ["size", "latency p90", "accuracy"]
    if format == "markdown":
        assert set(re.findall(r"<[^>`]*>", re.sub(r"`[^`\n]*`", "", shown))) <= {
            "<details>", "</details>", "<summary>", "</summary>", "<sub>", "</sub>",
        }  # fmt: skip
        rows = [line for line in shown.split("\n") if line.startswith("| ") and "size" in line]
        assert all(len(re.findall(r"(?<!\\)\|", row)) == 8 for row in rows[:1])
    return shown


@pytest.mark.parametrize("format", RENDERERS)
@pytest.mark.parametrize("word", [EVIL, MARKUP, "", "::", "]]>", "a" * 10**5])
def test_a_word_has_no_effect(format: str, word: str) -> None:
    assert len(check(format, word)) < 10**5


@settings(max_examples=15, deadline=None)
@given(TEXTS | st.text("`|\\<&@#:/[]()*_$~ w.x1\n", max_size=30))
@pytest.mark.parametrize("format", RENDERERS)
def test_any_text_has_no_effect(format: str, word: str) -> None:
    check(format, word)


def test_an_infinite_score_is_null_in_json() -> None:
    finding = Finding(
        "t", "keep metric_drop (mae)", "required", "FAIL", 1.0, "metric", float("inf"), (0.0, float("nan"))
    )
    found = json.loads(as_json.render(report([], []), [finding]), parse_constant=pytest.fail)
    assert (found["findings"][0]["value"], found["findings"][0]["interval"]) == (None, [0.0, None])


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("set `a: b` of macro_f1, 5 < 6", "set `a: b` of macro_f1, 5 &lt; 6"),
        ("`a``b`", r"\`a\`\`b\`"),
        ("`a|b`", r"\`a\|b\`"),
        ("[a](javascript:x) ![b](c)", r"[a\](javascript:x) ![b\](c)"),
        ("@user #1 a@b.cc x@28", "@&#8203;user #&#8203;1 a@&#8203;b.cc x@28"),
        ("https://x www.y.z", "https:&#8203;//x www&#8203;.y.z"),
        ("*b* _i_ ~s~ $m$ &lt; \\", r"\*b\* \_i\_ \~s\~ &#36;m&#36; &amp;lt; \\"),
        (r"\_x\_ a\_b C:\dir", r"\\\_x\\\_ a\\\_b C:\dir"),
        ("[0.1–0.2]  +0.3x", "[0.1–0.2]  +0.3x"),
    ],
)
def test_markdown_shows_text_as_it_is(words: str, shown: str) -> None:
    assert escaped(words) == shown


def test_a_text_at_the_start_of_a_line_is_no_heading_list_or_quotation() -> None:
    for words in ("# h", "1. a", "2) a", "- a", "+ a", "> a", "[x] a", "=="):
        assert block(words) == f"&#8203;{words}"
    assert (code("a.yaml:1:2"), code("a`b")) == ("`a.yaml:1:2`", r"a\`b")
