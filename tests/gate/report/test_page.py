"""The HTML page: one file that is whole, with the numbers of the text report, in which foreign words have no effect."""

from __future__ import annotations

import base64
import hashlib
import re
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from edgepress.core.explained import Explained, LayerFacts, Likeness, Sensitivity
from edgepress.core.results import CONFUSED, Curve, Picture
from edgepress.gate.judge import Finding
from edgepress.gate.report import text
from edgepress.gate.report.page import budget_bar, classes, curves, fit, front, pictures, scales
from edgepress.gate.report.page.render import render
from PIL import Image

from tests.gate.report.test_text import FINDINGS, MEASURED, STAGES, report

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Reads a page strictly: every element is closed, in order, and none has a script or an address of its own."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.ids: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def explained(**more: Any) -> Explained:
    """Two layers, of which `conv2` loses most."""
    layers = [
        LayerFacts(name=name, op="Conv", shape=[1, 8], holds="integers", bytes=100, seconds=seconds)
        for name, seconds in (("conv1", 3e-4), ("conv2", 1e-4))
    ]
    rows = [
        Sensitivity(
            node=name, layer=name, op="Conv", alone=Likeness(sqnr=sqnr, cosine=0.99),
            cumulative=Likeness(sqnr=sqnr - 1, cosine=None), gain=gain,
        )
        for name, sqnr, gain in (("conv2", 12.5, 9.3), ("conv1", 40.0, -0.1))
    ]  # fmt: skip
    facts: dict[str, Any] = {
        "file": "q.onnx", "sha256": "", "against": "float.onnx", "examples": 32, "inputs": "validation examples",
        "sqnr": 11.0, "seconds": 4e-4, "layers": layers, "operators": rows,
    }  # fmt: skip
    return Explained(**(facts | more))


def test_a_page_is_whole_and_its_numbers_are_those_of_the_text() -> None:
    found = report(STAGES, MEASURED)
    page = Page(render(found, FINDINGS))
    said = text.render(found, FINDINGS)
    for words in ("3 of 6 required budgets met, 1 exceeded, 1 undecided, 1 without a number", "0.81 MB", "8.71 ms"):
        assert words in said
        assert words in page.text
    for cells in ("0.61 MB of 2.00 MB 31%", "0.775x of 0.600x 129% [0.772–0.778] +0.175x", "12.9 ms of 40 ms 32%"):
        assert cells in page.text
    assert "mobilenet ✗ does not fit" in page.text
    assert len(page.ids) == len(set(page.ids)), "an address within the page leads to one place"
    addresses = [value for _, own in page.elements for name, value in own.items() if name in ("href", "src", "action")]
    assert all(value and value.startswith("#") for value in addresses), "it loads nothing, and leads nowhere"
    assert {value[1:] for value in addresses if value} <= set(page.ids)
    for tag, own in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in own), "the policy lets none of it run"
        if tag == "svg":
            assert own["role"] == "img"
            assert own["aria-label"]
        if tag == "table":
            assert page.elements[page.elements.index((tag, own)) + 1][0] == "caption"


def test_a_page_lets_its_own_style_and_script_run_and_nothing_else() -> None:
    page = render(report(STAGES, MEASURED), FINDINGS)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert policy[1].startswith("default-src &#39;none&#39;; img-src data:;")
    for name in ("style", "script"):
        own = re.search(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)
        assert own
        digest = base64.b64encode(hashlib.sha256(own[1].encode()).digest()).decode()
        assert f"{name}-src &#39;sha256-{digest}&#39;" in policy[1].replace("&#43;", "+")


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "</script><script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{{ 7 * 7 }}",
        "</style>",
        "</title>",
        "\x1b[31m\u202eabc",
        "`<b>`",
    ],
)
def test_foreign_words_have_no_effect(hostile: str) -> None:
    """Names of stages, classes, layers, files and targets, and sentences of the recipe and of libraries."""
    named: dict[str, Any] = {"recalls": {hostile: (1, 2), "b": (2, 2)}, "confused": [(hostile, hostile, 3)]}
    stages = [
        stage.model_copy(update={"files": [file.model_copy(update=named) for file in stage.files]}) for stage in STAGES
    ]
    stages = [
        stages[0],
        stages[1].model_copy(update={"name": hostile, "warnings": [hostile], "summary": [hostile]}),
        stages[2].model_copy(update={"inputs": [hostile], "curves": [Curve(name=hostile, loss=[1.0, 0.5])]}),
        stages[3],
    ]
    finding = Finding(hostile, f"size {hostile}", "required", "FAIL", 1.0, "bytes", 2.0, note=hostile, basis=hostile)
    data = {"warnings": [hostile], "licences": {"weights": hostile}, "name": hostile, "set": [hostile]}
    found = report(stages, MEASURED, recipe=hostile, versions={hostile: hostile}, data=data)
    like, rows = Likeness(sqnr=1.0, cosine=None), explained().layers
    operator = Sensitivity(node=hostile, layer=hostile, op=hostile, alone=like, cumulative=like, gain=3.0, seconds=1e-5)
    layers = explained(
        file=hostile, against=hostile, converted=hostile, remark=hostile, inputs=hostile,
        operators=[operator.model_copy(update={"converted": like})],
        layers=[*rows, rows[0].model_copy(update={"name": hostile, "op": hostile})],
    )  # fmt: skip
    page = Page(render(found, [finding], why=layers))
    for words in ("Most frequent mistakes of", "TFLite against ONNX", "licences", "Loss of"):
        assert words in page.text or any(words in (own.get("aria-label") or "") for _, own in page.elements)
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert not [own for tag, own in page.elements if tag == "img"]
    assert "{{ 7 * 7 }}" in page.text or "7 * 7" not in hostile
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text


def test_the_wheel_has_the_templates() -> None:
    """Hatchling packs every file of the package that git does not ignore, whatever its suffix."""
    root = Path(__file__).parents[3]
    rules = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert rules["packages"] == ["pipeline/edgepress"]
    assert not {"exclude", "include", "only-include"} & rules.keys()
    ignored = (root / ".gitignore").read_text().splitlines()
    templates = [path for path in (root / "pipeline").rglob("*") if path.suffix in (".html", ".css", ".js")]
    assert {path.name for path in templates} >= {"base.html", "report.html", "compare.html", "page.css", "page.js"}
    assert not [path for path in templates for rule in ignored if path.match(rule.rstrip("/"))]


def test_nothing_to_show_is_said_and_never_left_out_in_silence() -> None:
    page = Page(render(report(STAGES, []), []))
    assert "No budget to meet: the recipe names no target and keeps nothing." in page.text
    assert "mobilenet — no budget" in page.text, "and no sign of success"
    assert "No curves of student: the cache had the result before curves were recorded." in page.text
    assert "Not compared yet: edgepress why mobilenet --sensitivity" in page.text
    assert "This run was compared with no accepted model" in page.text


def test_the_layer_to_change_first_is_named() -> None:
    page = Page(render(report(STAGES, MEASURED), FINDINGS, why=explained()))
    assert "First: return to float: conv2 (Conv, +9.3 dB); the outputs' SQNR is 11.0 dB" in page.text
    assert "12.5 dB, cosine 0.9900 11.5 dB +9.3 dB" in page.text, "by itself, in the whole file, and won in float"
    none = explained(operators=[row.model_copy(update={"gain": 0.1}) for row in explained().operators])
    page = Page(render(report(STAGES, MEASURED), FINDINGS, why=none))
    assert "First: no operator alone wins 0.5 dB in float" in page.text


def test_classes_that_lost_are_named_with_what_they_are_taken_for() -> None:
    def with_recalls(stage: Any, **recalls: tuple[int, int]) -> Any:
        own = {"recalls": recalls, "confused": [("shirt", "coat", 9)]}
        return stage.model_copy(update={"files": [file.model_copy(update=own) for file in stage.files]})

    stages = [
        with_recalls(STAGES[0], shirt=(80, 100), bag=(97, 100)),
        with_recalls(STAGES[1], shirt=(78, 100), bag=(97, 100)),
        with_recalls(STAGES[2], shirt=(70, 100), bag=(98, 100)),
    ]
    page = Page(render(report(stages, MEASURED[:3]), FINDINGS[:4]))
    assert "Recall fell for 1 of 2 classes, most for shirt (80.0% → 70.0%, −10.0 points of 100 examples)." in page.text
    assert "shirt 80.0% 78.0% 70.0% −10.0 100 bag 97.0% 97.0% 98.0% +1.0 100" in page.text
    assert "shirt coat 9 9" in page.text


@pytest.mark.parametrize(("listed", "before"), [(0, "0"), (CONFUSED - 1, "0"), (CONFUSED, "≤ 9")])
def test_a_mistake_that_the_starting_model_does_not_list(listed: int, before: str) -> None:
    """Of a list that is full, others may have been left out, which are no more frequent than its last."""
    start = [("shirt", f"class{number}", 20 - number) for number in range(listed)]
    rows = [("shirt", "class0", 30), ("shirt", "coat", 9)]
    stages = [
        stage.model_copy(update={"files": [file.model_copy(update=own) for file in stage.files]})
        for stage, confused in zip(STAGES[:3], (start, start, rows), strict=True)
        for own in [{"recalls": {"shirt": (70, 100)}, "confused": confused}]
    ]
    found = classes.classes(report(stages, MEASURED[:3]), FINDINGS[:4])
    assert found
    assert found.confused == [("shirt", "class0", 30, "20" if listed else "0"), ("shirt", "coat", 9, before)]
    page = Page(render(report(stages, MEASURED[:3]), FINDINGS[:4]))
    assert f"shirt coat 9 {before}" in page.text


def test_classes_without_a_test_example_have_no_recall() -> None:
    own = {"recalls": {"shirt": (0, 0)}}
    stages = [
        stage.model_copy(update={"files": [file.model_copy(update=own) for file in stage.files]})
        for stage in STAGES[:3]
    ]
    found = report(stages, MEASURED[:3])
    assert classes.classes(found, FINDINGS[:4]) is None
    assert "Recall fell" not in Page(render(found, FINDINGS[:4])).text


def test_curves_are_drawn_and_their_last_numbers_told() -> None:
    stage = STAGES[1].model_copy(update={"curves": [Curve(loss=[1.5, 0.25], metric=[0.5, 0.875], examples=300)]})
    (training,) = curves.trainings(report([STAGES[0], stage], []))
    assert training.words == "2 epochs, loss 0.250, accuracy 87.5% on 300 validation examples"
    assert len(training.plots) == 2
    gap = Curve(loss=[1.5, float("nan"), 0.5], metric=[float("nan")] * 3, examples=3)
    stage = STAGES[1].model_copy(update={"curves": [gap]})
    (training,) = curves.trainings(report([STAGES[0], stage], []))
    assert len(training.plots) == 1
    assert "nan" not in training.plots[0]


def test_only_the_pictures_that_the_run_wrote_are_shown(tmp_path: Path) -> None:
    good, other, text_file = tmp_path / "1.png", tmp_path / "2.png", tmp_path / "3.png"
    Image.new("RGB", (4, 4)).save(good)
    Image.new("RGB", (5, 5)).save(other)
    text_file.write_text("secret")
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in (good, other, text_file)}
    rows = [
        Picture(path=str(good), sha256=digests[good], row=7, label="<b>shirt", outputs={"int8": "coat 61%"}),
        Picture(path=str(other), sha256=digests[good], row=8, label="changed since"),
        Picture(path=str(text_file), sha256=digests[text_file], row=9, label="no picture"),
        Picture(path=str(tmp_path / "gone.png"), sha256=digests[good], row=10, label="gone"),
    ]
    found, missing = pictures.pictures(report(STAGES, [], pictures=rows))
    assert [row.words for row in found] == ["test example 7: <b>shirt"]
    assert missing == 3
    page = Page(render(report(STAGES, [], pictures=rows), []))
    assert "3 pictures of this run are missing, too large, or not what it wrote." in page.text
    (image,) = [own for tag, own in page.elements if tag == "img"]
    assert image["alt"] == "test example 7: <b>shirt"


def test_a_picture_of_several_panels_has_a_legend(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "1.png")
    sha256 = hashlib.sha256((tmp_path / "1.png").read_bytes()).hexdigest()
    colours = {"shirt": "#0072b2", "<b>bag": "#e69f00", "coat": 'red" onload="alert(1)'}
    row = Picture(
        path=str(tmp_path / "1.png"), sha256=sha256, row=7, label="", panels=["picture", "target"], colours=colours
    )
    page = Page(render(report(STAGES, [], pictures=[row]), []))
    marks = [own["fill"] for tag, own in page.elements if tag == "rect" and (own.get("fill") or "").startswith("#")]
    assert marks == ["#0072b2", "#e69f00"], "any other word is no colour"
    assert "picture · target shirt <b>bag" in page.text


def test_the_tightest_budget_is_that_whose_interval_reaches_furthest() -> None:
    size = Finding("t", "size", "required", "ok", 100.0, "bytes", 84.0, label="measured")
    latency = Finding("t", "latency", "required", "ok", 1.0, "seconds", 0.5, (0.3, 0.96), "estimated")
    advisory = Finding("t", "memory", "advisory", "FAIL", 1.0, "bytes", 9.0, label="measured")
    (aim,) = fit.aims([advisory, size, latency], "fail")
    assert [budget.check for budget in aim.budgets] == ["latency", "size", "memory"]
    assert (aim.status, aim.verdict) == ("ok", "fits")
    assert aim.budgets[0].sure == "estimated [300–960]"
    fails = Finding("worse", "size", "required", "FAIL", 100.0, "bytes", 184.0, label="measured")
    assert [aim.target for aim in fit.aims([size, latency, fails], "fail")] == ["worse", "t"]


@pytest.mark.parametrize("interval", [None, (-1e-9, 2e308), (float("-inf"), float("inf")), (0.1, 0.2)])
def test_a_bar_of_any_interval_can_be_drawn(interval: tuple[float, float] | None) -> None:
    drawn = budget_bar.bar(Finding("t", "size", "required", "undecided", 0.0, "points", -3.0, interval, "measured"))
    assert "nan" not in drawn
    assert "inf" not in re.sub(r'aria-label="[^"]*"', "", drawn)


def test_the_front_has_what_no_other_beats() -> None:
    def point(name: str, score: float, seconds: float, size: int) -> front.Point:
        return front.Point(name, "onnx", score, seconds, size, ("", "", ""))

    rows = [point("big", 0.9, 2.0, 200), point("small", 0.8, 1.0, 100), point("worse", 0.7, 1.5, 150)]
    assert {row.name for row in front.front(rows, error=False) if row.best} == {"big", "small"}
    assert {row.name for row in front.front(rows, error=True) if row.best} == {"small", "worse"}
    same = [point("a", 0.9, 1.0, 100), point("b", 0.9, 1.0, 100)]
    assert all(row.best for row in front.front(same, error=False))


def test_a_file_far_below_the_front_lies_at_the_edge_and_numbers_do_not_cover_each_other() -> None:
    def point(number: int, score: float, seconds: float) -> front.Point:
        return front.Point(f"file{number}", "onnx", score, seconds, 10**5 * number, ("", "", ""))

    rows = front.front(
        [point(1, 0.9, 2e-3), point(2, 0.9, 2.01e-3), point(3, 0.89, 2e-3), point(4, 0.1, 1e-3)], error=False
    )
    drawn = front.drawn(
        [row for row in rows if row.score > 0.5] + [replace(rows[3], best=False)], "accuracy", error=False, points=100
    )
    page = Page(f"<svg>{drawn}</svg>")
    places = [(float(own["x"] or 0), float(own["y"] or 0)) for _, own in page.elements if own.get("class") == "number"]
    assert [word for word in page.words if word.strip("▾").isdecimal()] == ["1", "2", "3", "4▾"]
    for at, one in enumerate(places):
        assert all(abs(one[0] - other[0]) > 13.9 or abs(one[1] - other[1]) > 11.9 for other in places[:at])
    bottoms = [float(own["cy"] or 0) + float(own["r"] or 0) for tag, own in page.elements if tag == "circle"]
    assert max(bottoms) <= front.BOTTOM + 1
    assert "50.0%" not in page.text, "the axis spans the others"


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.883, 0.921), (-5.0, 5.0), (1e-6, 3e-6), (2.0, 2.0)])
def test_ticks_lie_within_their_range(low: float, high: float) -> None:
    found = scales.ticks(low, high)
    assert 1 <= len(found) <= 12
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in found)
    assert found == sorted(set(found))
