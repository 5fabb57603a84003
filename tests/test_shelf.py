"""`ls` shows all there is, in lines that fit, and finds what a word means."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline import data, shelf
from pipeline.errors import UserError
from pipeline.stages import TABLE

ROOT = Path(__file__).parents[1]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines() if line.startswith("  ")]


def test_everything_has_a_line_that_fits(here: Path) -> None:
    text = shelf.listing()
    recipes = {path.stem for path in ROOT.glob("recipes/*.yaml") if not path.name.endswith(".lock.yaml")}
    targets = {path.stem for path in ROOT.glob("targets/*.yaml")}
    assert {*recipes, *targets, *TABLE, *data.NAMES} <= set(names(text))
    assert not any(".lock" in name for name in names(text))
    for line in text.splitlines():
        assert len(line) <= shelf.WIDTH
        assert not line.startswith("  ") or len(line.split()) > 1, "it says what it is"
    assert text.splitlines()[-1].startswith("  1,"), "networks are counted"


def test_a_word_narrows_it(here: Path) -> None:
    assert (
        shelf.listing("orin")
        == """\
targets
  jetson-orin-nano  NVIDIA Jetson Orin Nano, 6 × Cortex-A78AE; onnxruntime on its CPU, 6 threads"""
    )
    assert (
        shelf.listing("mobilenetv3_small_0")
        == """\
models
  timm/mobilenetv3_small_050
  timm/mobilenetv3_small_075
  timm/tf_mobilenetv3_small_075"""
    )
    assert names(shelf.listing("DISTILL.K")) == ["distill.kd"]
    assert "raspberry-pi-5" in names(shelf.listing("Cortex-A76")), "what it says about a thing counts too"
    assert "networks of timm with `resnet` in their name" in shelf.listing("resnet")


@pytest.mark.parametrize(
    ("word", "meant"), [("mobilnet", "mobilenet"), ("raspbery-pi-4", "raspberry-pi-4"), ("resnet18x", "resnet18")]
)
def test_no_hit_says_what_was_meant(word: str, meant: str, here: Path) -> None:
    with pytest.raises(UserError) as error:
        shelf.listing(word)
    assert str(error.value) == f"error: nothing here has `{word}` in its name\n  = help: did you mean `{meant}`?"


def test_what_is_here_counts_before_what_is_shipped(here: Path) -> None:
    (here / "recipes").mkdir()
    (here / "recipes/mobilenet.yaml").write_text(
        "# yaml-language-server: $schema=x\n# Mine, of\n# two lines. More.\nname: x\n"
    )
    (here / "targets").mkdir()
    (here / "targets/board.yaml").write_text("name: [\n")
    text = shelf.listing()
    assert re.search(r"^  mobilenet +Mine, of two lines\.$", text, re.MULTILINE)
    assert re.search(r"^  board +not readable: ", text, re.MULTILINE), "a wrong file hides nothing else"
    assert shelf.find("mobilenet") == Path("recipes/mobilenet.yaml")
    assert shelf.find("board") == Path("targets/board.yaml")
    assert shelf.find("resnet") == ROOT / "recipes/resnet.yaml"


def test_a_path_is_taken_as_it_is(here: Path) -> None:
    for name in ("mobilenet.yaml", "a/b", "x.yml", "."):
        assert shelf.find(name) == Path(name)
    (here / "mobilenet").mkdir()
    assert shelf.find("mobilenet").suffix == ".yaml", "a folder is no recipe"
    with pytest.raises(UserError, match="there is no recipe `host`"):
        shelf.find("host", "recipes")
