"""`ls` shows all there is, in lines that fit, and finds what a word means."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from edgepress.commands import catalog
from edgepress.config import recipe
from edgepress.core import paths
from edgepress.core.errors import UserError
from edgepress.data import dataset
from edgepress.stages import TABLE

from tests.conftest import edgepress

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    paths._note.cache_clear()
    return tmp_path


def names(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines() if line.startswith("  ")]


def test_everything_has_a_line_that_fits(here: Path) -> None:
    text = catalog.listing()
    recipes = {path.stem for path in ROOT.glob("recipes/*.yaml") if not path.name.endswith(".lock.yaml")}
    targets = {path.stem for path in ROOT.glob("targets/*.yaml")}
    assert {*recipes, *targets, *TABLE, *dataset.NAMES} <= set(names(text))
    assert not any(".lock" in name for name in names(text))
    for line in text.splitlines():
        assert len(line) <= catalog.WIDTH
        assert not line.startswith("  ") or len(line.split()) > 1, "it says what it is"
        assert not line.endswith("…"), "the first line is short enough to be shown whole"
    assert text.splitlines()[-1].startswith("  1,"), "networks are counted"


def test_a_word_narrows_it(here: Path) -> None:
    assert (
        catalog.listing("orin")
        == """\
targets
  jetson-orin-nano  NVIDIA Jetson Orin Nano, 6 × Cortex-A78AE; onnxruntime, CPU, 6 threads"""
    )
    assert (
        catalog.listing("mobilenetv3_small_0")
        == """\
models
  timm/mobilenetv3_small_050
  timm/mobilenetv3_small_075
  timm/tf_mobilenetv3_small_075"""
    )
    assert names(catalog.listing("DISTILL.K")) == ["distill.kd"]
    assert "raspberry-pi-5" in names(catalog.listing("Cortex-A76")), "what it says about a thing counts too"
    assert "networks of timm with `resnet` in their name" in catalog.listing("resnet")


@pytest.mark.parametrize(
    ("word", "meant"), [("mobilnet", "mobilenet"), ("raspbery-pi-4", "raspberry-pi-4"), ("resnet18x", "resnet18")]
)
def test_no_hit_says_what_was_meant(word: str, meant: str, here: Path) -> None:
    with pytest.raises(UserError) as error:
        catalog.listing(word)
    assert str(error.value) == f"error: nothing here has `{word}` in its name\n  = help: did you mean `{meant}`?"


def test_a_kind_is_listed_whole(here: Path) -> None:
    assert names(catalog.listing("targets")) == list(catalog.files("targets"))
    assert names(catalog.listing("stage")) == list(TABLE)
    assert names(catalog.listing("Data sets")) == list(dataset.NAMES)
    assert catalog.listing("models").startswith("models\n  1,")


def test_where_nothing_is_near_it_is_said_what_can_be_listed(here: Path) -> None:
    with pytest.raises(UserError) as error:
        catalog.listing("xylophone")
    assert str(error.value) == (
        "error: nothing here has `xylophone` in its name\n"
        "  = help: `edgepress ls recipes`, `targets`, `stages`, `'data sets'` or `models` lists all of a kind"
    )


def test_what_is_here_counts_before_what_is_shipped(here: Path) -> None:
    (here / "recipes").mkdir()
    (here / "recipes/mobilenet.yaml").write_text(
        "# yaml-language-server: $schema=x\n# Mine, of\n# two lines. More.\nname: x\n"
    )
    (here / "targets").mkdir()
    (here / "targets/board.yaml").write_text("name: [\n")
    text = catalog.listing()
    assert re.search(r"^  mobilenet +Mine, of two lines\.$", text, re.MULTILINE)
    assert re.search(r"^  board +not readable: ", text, re.MULTILINE), "a wrong file hides nothing else"
    assert catalog.find("mobilenet") == Path("recipes/mobilenet.yaml")
    assert catalog.find("board") == Path("targets/board.yaml")
    assert catalog.find("resnet") == ROOT / "recipes/resnet.yaml"


RECIPE = "name: x\ntask: {data: digits}\nstages:\n  - {use: train, model: timm/resnet18}\n"
TARGET = "name: x\nruntime: onnxruntime\nbudgets: {size: 5 MB}\n"


@pytest.mark.parametrize("file", ["pets.yaml", "pets.yml", "recipes/pets.yaml", "recipes/pets.yml"])
def test_a_name_is_that_of_a_file_here(file: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "recipes").mkdir()
    (here / file).write_text(RECIPE)
    assert catalog.find("pets", "recipes") == catalog.find("pets") == Path(file)
    assert "pets" in names(catalog.listing("pets"))
    assert edgepress("validate", "pets").out == "1 file valid\n"
    assert edgepress("show", "pets").out.splitlines()[0] == f"x  {file}"
    assert edgepress("cp", "pets", "other.yaml").out == f"copied {file} to other.yaml\n"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("file", ["desk.yaml", "desk.yml", "targets/desk.yaml", "targets/desk.yml"])
def test_so_is_that_of_a_target_in_a_recipe_and_on_the_command_line(file: str, here: Path) -> None:
    (here / "targets").mkdir()
    (here / file).write_text(TARGET)
    (here / "pets.yaml").write_text(RECIPE + "  - {use: export.onnx}\ntargets: [desk]\n")
    assert edgepress("validate", "pets", "desk").out == "2 files valid\n"
    assert [str(path) for path in recipe.load(Path("pets.yaml")).target_files()] == [file]
    assert edgepress("doctor", "desk").code == 4, "it has no references, which is what was asked"


def test_the_one_here_counts_and_that_is_said(here: Path) -> None:
    (here / "mobilenet.yaml").write_text(RECIPE)
    (here / "host.yml").write_text(TARGET)
    said = edgepress("validate", "mobilenet", "host")
    assert said.out == "2 files valid\n"
    assert said.err.splitlines() == [
        "note: `mobilenet` is mobilenet.yaml, not the shipped recipe of that name",
        "note: `host` is host.yml, not the shipped target of that name",
    ]
    said = edgepress("cp", "mobilenet", "mobilenet.yaml", "--force")
    assert said.code == 0, "a copy of a shipped recipe can be had anew"
    assert (here / "mobilenet.yaml").read_text().splitlines()[0].startswith("# copied from edgepress")
    assert edgepress("diff", "mobilenet.yaml", "--against", "mobilenet").out == "no change\n"


def test_a_file_of_the_other_kind_or_of_none_hides_nothing(here: Path) -> None:
    (here / "host.yaml").write_text(RECIPE)
    (here / "mobilenet.yaml").write_text(TARGET)
    (here / "compose.yaml").write_text("services: {}\n")
    assert catalog.find("host", "targets") == ROOT / "targets/host.yaml"
    assert catalog.find("mobilenet", "recipes") == ROOT / "recipes/mobilenet.yaml"
    assert "compose" not in names(catalog.listing())
    (here / "b.yaml").write_text(RECIPE + "  - {use: export.onnx}\ntargets: [host]\n")
    assert edgepress("validate", "b").code == 0


def test_a_name_of_the_other_kind_is_told(here: Path) -> None:
    with pytest.raises(UserError, match="there is no recipe `host`\n  = help: `host` is a target"):
        catalog.find("host", "recipes")


def test_a_path_without_its_ending(here: Path) -> None:
    (here / "ml").mkdir()
    (here / "ml/pets.yml").write_text(RECIPE)
    assert catalog.find("ml/pets") == Path("ml/pets.yml")


def test_a_path_is_taken_as_it_is(here: Path) -> None:
    for name in ("mobilenet.yaml", "a/b", "x.yml", "."):
        assert catalog.find(name) == Path(name)
    (here / "mobilenet").mkdir()
    assert catalog.find("mobilenet").suffix == ".yaml", "a folder is no recipe"
    with pytest.raises(UserError, match="there is no recipe `host`"):
        catalog.find("host", "recipes")
