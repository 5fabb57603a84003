"""`report`: the page of a run and of a comparison, in a browser too, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import webbrowser
from pathlib import Path

import pytest
from edgepress.commands.compare import page as compare_page
from edgepress.core.explained import Explained
from edgepress.core.results import Report

from tests import browser
from tests.commands.compare.test_verdict import FAR, comparison
from tests.conftest import TINY, edgepress, laid_out
from tests.gate.report.test_page import Page

SMALL = f"""\
name: small
task: {{data: digits, seed: 0}}
stages:
  - {{use: train, name: base, model: {json.dumps(TINY)}, epochs: 3, batch: 64, lr: 0.02, flip: false, shift: 0}}
  - {{use: export.onnx, name: float}}
  - {{use: quantize.static, name: int8, samples: 64, effort: fast}}
  - {{use: convert.tflite, name: int8-tflite}}
targets: [desk.yaml, phone.yaml]
card: {{weights: MIT, intended_use: a test}}
"""


pytestmark = pytest.mark.xdist_group("report")
"""One worker makes the files."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run, whose paths are from there."""
    folder = tmp_path_factory.mktemp("small")
    laid_out(folder, SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        said = edgepress("run", "recipe.yaml", "--format", "html=here.html")
        assert said.code == 0, said.out + said.err
    return folder


@pytest.fixture
def work(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def test_a_run_writes_curves_recalls_and_pictures(made: Path) -> None:
    report = Report.model_validate_json((made / "runs" / "small" / "report.json").read_text())
    base, *others = report.stages
    (curve,) = base.curves
    assert len(curve.loss) == len(curve.metric) == 3
    assert curve.loss[-1] < curve.loss[0]
    assert not any(stage.curves for stage in others)
    for stage in report.stages:
        for file in stage.files:
            right, count = (sum(pair[k] for pair in file.recalls.values()) for k in (0, 1))
            assert right == file.correct.count("1")
            assert count == len(file.correct)
            assert sum(many for *_, many in file.confused) <= file.correct.count("0")
    assert 0 < len(report.pictures) <= 12
    for picture in report.pictures:
        content = (made / picture.path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == picture.sha256
        assert list(picture.outputs) == ["base", "float", "int8-tflite"]
        assert report.stages[-1].files[0].correct[picture.row] == "0", "what the result gets wrong"


def test_the_page_of_a_run_has_every_part(work: Path) -> None:
    said = edgepress("report", "recipe.yaml")
    assert said.code == 0, said.err
    assert said.out == "wrote runs/small/report.html\n"
    content = Path("runs/small/report.html").read_text()
    assert len(content.encode()) < 1_000_000
    page = Page(content)
    for words in ("Does it fit, by how much, how sure", "What each step bought and cost", "3 epochs, loss"):
        assert words in page.text
    assert len([tag for tag, _ in page.elements if tag == "img"]) > 0
    assert "weights: MIT data: unknown; card: of the recipe states it" in page.text
    assert content == Path("here.html").read_text(), "`run --format html` writes the same page"
    assert edgepress("report", "runs/small").out == said.out
    assert edgepress("report", "runs/small/report.json", "--out", "other.html").out == "wrote other.html\n"
    assert edgepress("check", "recipe.yaml", "--format", "html=other.html").code == 0


def test_layers_that_were_compared_are_on_the_next_page(work: Path) -> None:
    said = edgepress("why", "recipe.yaml", "--target", "phone", "--sensitivity", "--ranges")
    assert said.code == 0, said.err
    assert "against float.onnx on 32 validation examples" in said.out
    assert "in `int8-tflite.tflite`: of " in said.out, "the TFLite file that was made from the ONNX file"
    assert "operators of float.onnx on 32 validation examples" in said.out
    found = Explained.model_validate_json(Path("runs/small/why.json").read_text())
    seen = [row.converted.sqnr for row in found.operators if row.converted]
    assert len(seen) > 2
    assert min(seen) > 25, "the same integers but for the rounding of a step"
    assert any(row.seconds is not None for row in found.operators)
    assert edgepress("report", "recipe.yaml").code == 0
    page = Page(Path("runs/small/report.html").read_text())
    assert "First: " in page.text
    assert "won in float" in page.text
    Path("runs/small/why.json").write_text("{}")
    said = edgepress("report", "recipe.yaml")
    assert said.code == 2
    assert "`runs/small/why.json` is damaged" in said.err


def test_pictures_are_left_out_and_deleted_on_demand(work: Path) -> None:
    folder = work / "runs" / "small" / "pictures"
    (folder / "mine.png").write_text("not of edgepress")
    assert edgepress("run", "recipe.yaml", "--no-pictures").code == 0
    assert {path.name for path in folder.iterdir()} == {"mine.png", "SHA256SUMS"}
    report = Report.model_validate_json((work / "runs" / "small" / "report.json").read_text())
    assert report.pictures == []
    assert report.stages[0].curves, "they are of the cached result"


def test_what_cannot_be_shown_is_refused(work: Path) -> None:
    report = work / "runs" / "small" / "report.json"
    whole = report.read_text()
    for content, words in (
        ("", "is damaged"),
        (whole[:-20], "is damaged"),
        (whole.replace('"version":1', '"version":7'), "is damaged, or from another version"),
        (whole.replace('"source":"recipe.yaml"', '"source":"gone.yaml"'), "`gone.yaml`, the recipe of"),
    ):
        report.write_text(content)
        said = edgepress("report", "runs/small")
        assert said.code == 2, words
        assert words in said.err
        assert said.err.count("error:") == 1
    report.unlink()
    assert "holds neither report.json nor compare.json" in edgepress("report", "runs/small").err
    assert "there is no run of `small` in `runs`" in edgepress("report", "recipe.yaml").err
    assert edgepress("report", "runs/small/report.json").code == 2
    assert "there is no recipe `nothing`" in edgepress("report", "nothing").err


def test_open_shows_the_page_in_the_browser(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: bool(shown.append(address)))
    said = edgepress("report", "recipe.yaml", "--open")
    assert said.code == 0
    assert shown == [(work / "runs" / "small" / "report.html").as_uri()]
    assert "note: no browser was found to open it" in said.err


def test_a_file_of_somebody_else_is_not_overwritten(work: Path) -> None:
    Path("mine.html").write_text("<!doctype html>\n<p>mine")
    said = edgepress("report", "recipe.yaml", "--out", "mine.html")
    assert said.code == 2
    assert "is no report of edgepress, and is not overwritten" in said.err
    assert "= help: name a file of its own: `--out report.html`\n" in said.err
    assert Path("mine.html").read_text() == "<!doctype html>\n<p>mine"


def test_the_page_of_a_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "a+b"
    folder.mkdir(parents=True)
    (folder / "compare.json").write_text(comparison(FAR).as_json())
    said = edgepress("report", "a+b")
    assert said.code == 0, said.err
    assert said.out == "wrote runs/a+b/compare.html\n"
    page = Page((folder / "compare.html").read_text())
    assert "Verdict: " in page.text
    assert "of the gain survives." in page.text
    for route in comparison(FAR).routes:
        assert route in page.text
    (folder / "compare.json").write_text(comparison(FAR).as_json().replace('"repetitions":', '"repetitions":9'))
    said = edgepress("report", "runs/a+b/compare.json")
    assert said.code == 2
    assert "is damaged" in said.err


@pytest.mark.skipif(browser.PROGRAM is None, reason=browser.MISSING)
@pytest.mark.parametrize("which", ["run", "compare"])
def test_in_a_browser_nothing_fails_and_nothing_scrolls_sideways(which: str, work: Path, tmp_path: Path) -> None:
    """At the width of a phone and of a desktop, light and dark, no error, no address, and the verdict on top."""
    if which == "run":
        assert edgepress("report", "recipe.yaml", "--out", "page.html").code == 0
    else:
        Path("page.html").write_text(compare_page.render(comparison(FAR)))
    with browser.Browser(tmp_path / "profile") as opened:
        for width in (390, 1280):
            for dark in (False, True):
                opened.open(Path("page.html"), width, dark=dark)
                wide = opened.value("document.documentElement.scrollWidth")
                assert wide <= width, f"{wide} pixels at {width}"
                assert opened.value("document.getElementById('verdict').getBoundingClientRect().bottom") < 844
                background = opened.value("getComputedStyle(document.body).backgroundColor")
                assert (background == "rgb(255, 255, 255)") != dark
        asked = {address for address in opened.requests if not address.startswith("data:")}
        assert asked == {Path("page.html").resolve().as_uri()}
        opened.value("document.querySelector('table.sortable thead button')?.click()")
        assert opened.value("Boolean(document.querySelector('th[aria-sort=ascending]'))"), "the script sorts"
        assert opened.log == []
