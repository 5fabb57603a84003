"""A copy works where it lies, says what it is of, and differs by what its owner changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from edgepress import __version__
from edgepress.commands import catalog
from edgepress.commands import copy as copies
from edgepress.config import recipe
from edgepress.core import paths
from edgepress.core.errors import UserError

from tests.conftest import LIGHT, Place, edgepress, laid_out

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", [*catalog.files("recipes"), *catalog.files("targets")])
def test_every_copy_is_valid_and_unchanged(name: str, here: Path) -> None:
    (here / "photos").mkdir()  # what the recipes for photos name, and a user brings
    assert edgepress("cp", name, "mine.yaml").code == 0
    assert edgepress("validate", "mine.yaml").code == 0
    said = edgepress("diff", "mine.yaml")
    assert (said.code, said.out) == (0, "no change\n")
    kind = "recipe" if (ROOT / f"recipes/{name}.yaml").is_file() else "target"
    lines = (here / "mine.yaml").read_text().splitlines()
    assert lines[0] == f"# copied from edgepress {__version__} {kind} {name}"
    assert "name: mine" in lines


def test_only_the_header_and_the_name_change(here: Path) -> None:
    edgepress("cp", "mobilenet", "mine.yaml")
    source = (ROOT / "recipes/mobilenet.yaml").read_text().splitlines()
    assert source[0].startswith("# yaml-language-server")
    source[source.index("name: mobilenet")] = "name: mine"
    assert (here / "mine.yaml").read_text().splitlines()[1:] == source[1:]


@pytest.mark.parametrize(("path", "written"), [(".", "mobilenet.yaml"), ("sub", "sub/mobilenet.yaml"), ("a", "a.yaml")])
def test_what_names_no_file_is_told_the_name(path: str, written: str, here: Path) -> None:
    (here / "sub").mkdir()
    said = edgepress("cp", "mobilenet", path)
    assert (said.code, f"write `{written}`" in said.err) == (2, True)


def test_the_diff_shows_what_was_changed(here: Path) -> None:
    edgepress("cp", "raspberry-pi-4", "board.yaml")
    place = Place(here)
    place.edit("board.yaml", "name: board", "name: my-board")
    place.edit("board.yaml", "latency: 40 ms", "latency: 20 ms # faster")
    said = edgepress("diff", "board.yaml")
    assert said.code == 0
    assert (
        said.out
        == f"""\
--- edgepress {__version__} target raspberry-pi-4
+++ board.yaml
@@ -7,7 +7,7 @@
 emulate: cortex-a72
 budgets:
   size: 5 MB
-  latency: 40 ms
+  latency: 20 ms # faster
   memory: {{limit: 200 MB, level: advisory}}
{" "}
 # Measured by the XNNPACK project on 2022-02-08; int8 is per channel.
"""
    )
    assert "-about: Raspberry Pi 4B" in edgepress("diff", "board.yaml", "--against", "raspberry-pi-5").out.replace(
        "5, ", "4B"
    )


def test_a_newer_release_shows_what_changed_there(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edgepress("cp", "resnet", "mine.yaml")
    newer = here.parent / "newer"
    (newer / "recipes").mkdir(parents=True)
    text = (ROOT / "recipes/resnet.yaml").read_text().replace("epochs: 12", "epochs: 14")
    (newer / "recipes/resnet.yaml").write_text(text)
    monkeypatch.setattr(paths, "SHIPPED", newer)
    monkeypatch.setattr(copies, "__version__", "9.0")
    said = edgepress("diff", "mine.yaml")
    changed = [line for line in said.out.splitlines() if line[0] in "+-"]
    assert changed == ["--- edgepress 9.0 recipe resnet", "+++ mine.yaml", "-    epochs: 14", "+    epochs: 12"]
    (newer / "recipes/resnet.yaml").rename(newer / "recipes/resnets.yaml")
    said = edgepress("diff", "mine.yaml")
    assert said.code == 2
    assert said.err == "error: edgepress 9.0 has no recipe `resnet`\n  = help: did you mean `resnets`?\n"


def test_what_it_names_beside_it_is_found_from_the_copy(here: Path) -> None:
    text = LIGHT.replace(
        "  - {use: export.onnx}", "  - {use: load, from: w.onnx}\n  - {use: load, from: teachers/fashion-a.safetensors}"
    )
    old = laid_out(here.parent / "old", text.replace("targets: [desk.yaml]", "targets: [desk.yaml, own, host] # mine"))
    (old.folder / "w.onnx").write_bytes(b"x")
    (old.folder / "targets").mkdir()
    (old.folder / "targets/own.yaml").write_text((old.folder / "desk.yaml").read_text())
    before = [file.resolve() for file in recipe.load(old.recipe).target_files()]
    new = here / "deep/er/new.yaml"
    said = edgepress("cp", "../old/recipe.yaml", "deep/er/new.yaml")
    assert said.code == 0, said
    copy = recipe.load(new)
    assert [file.resolve() for file in copy.target_files()] == before
    written = new.read_text()
    assert "targets: [../../../old/desk.yaml, ../../../old/targets/own.yaml, host] # mine" in written
    assert "from: ../../../old/w.onnx" in written
    assert "from: teachers/fashion-a.safetensors" in written, "shipped files are found from everywhere"
    assert written.startswith(f"# copied from edgepress {__version__} file ../../../old/recipe.yaml\n")
    assert edgepress("diff", new).out == "no change\n"


def test_data_and_code_beside_it_too(here: Path) -> None:
    """The forms that `data:` may take, whatever of them this version reads."""
    (here / "photos").mkdir()
    (here / "mine.py").write_text("")
    for said, expected in [("./photos", "../photos"), ("./mine.py:load", "'../mine.py:load'"), ("digits", "digits")]:
        (here / "a.yaml").write_text(f"name: photos\ntask: {{data: {said}}}\n")
        assert f"data: {expected}}}" in copies.copied(Path("a.yaml"), Path("sub/b.yaml"))
        assert "name: b\n" in copies.copied(Path("a.yaml"), Path("sub/b.yaml"))
        assert f"data: {said}}}" in copies.copied(Path("a.yaml"), Path("b.yaml")), "the same folder"


def test_the_line_for_editors_leads_somewhere_or_is_left_out(here: Path) -> None:
    for folder in ("recipes", "schema", "lab/x"):
        (here / folder).mkdir(parents=True)
    (here / "schema/recipe.json").write_text("{}")
    (here / "recipes/a.yaml").write_text("# yaml-language-server: $schema=../schema/recipe.json\n# A.\nname: a\n")
    for path, line in [("recipes/b.yaml", "../schema"), ("c.yaml", "./schema"), ("lab/x/d.yaml", "../../schema")]:
        text = copies.copied(Path("recipes/a.yaml"), Path(path))
        assert text.startswith(f"# yaml-language-server: $schema={line}/recipe.json\n# copied from edgepress ")
    assert "yaml-language-server" not in copies.copied(ROOT / "recipes/resnet.yaml", Path("e.yaml"))
    (here / "f.yaml").write_text("# yaml-language-server: $schema=https://example.org/recipe.json\nname: a\n")
    assert "https://example.org" in copies.copied(Path("f.yaml"), Path("lab/g.yaml"))


def test_a_copy_of_a_copy_notes_the_copy(here: Path) -> None:
    edgepress("cp", "resnet", "one.yaml")
    edgepress("cp", "one.yaml", "two.yaml")
    notes = [line for line in (here / "two.yaml").read_text().splitlines() if "copied from" in line]
    assert notes == [f"# copied from edgepress {__version__} file ./one.yaml"]


def test_windows_lines_stay(here: Path) -> None:
    (here / "a.yaml").write_bytes(b"# A.\r\nname: a\r\ntargets: []\r\n")
    edgepress("cp", "a.yaml", "b.yaml")
    text = (here / "b.yaml").read_bytes()
    assert text.count(b"\r\n") == text.count(b"\n") == 4
    assert edgepress("diff", "b.yaml").out == "no change\n"


def test_nothing_is_overwritten_unless_forced(here: Path) -> None:
    (here / "mine.yaml").write_text("precious\n")
    said = edgepress("cp", "resnet", "mine.yaml")
    assert (said.code, said.err) == (
        2,
        "error: `mine.yaml` is there already\n  = help: choose another name, or add `--force`\n",
    )
    assert (here / "mine.yaml").read_text() == "precious\n"
    assert edgepress("cp", "resnet", "mine.yaml", "--force").code == 0
    assert "name: mine" in (here / "mine.yaml").read_text()
    assert "is the file to copy" in edgepress("cp", "mine.yaml", "../here/mine.yaml", "--force").err


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        ("mine", "write `mine.yaml`"),
        ("my recipe.yaml", "cannot be a name"),
        ("sub", "write `sub/resnet.yaml`"),
        ("file/x.yaml", "cannot be a folder"),
    ],
)
def test_where_no_copy_can_be(file: str, shown: str, here: Path) -> None:
    (here / "sub").mkdir()
    (here / "file").write_text("")
    said = edgepress("cp", "resnet", file)
    assert said.code == 2
    assert shown in said.err
    assert sorted(path.name for path in here.iterdir()) == ["file", "sub"]


def test_all_files_or_none(here: Path) -> None:
    (here / "file").write_text("")
    with pytest.raises(UserError, match="cannot be a folder"):
        copies.write({Path("a.yaml"): "a", Path("file/b.yaml"): "b"})
    (here / "c.yaml").write_text("c")
    with pytest.raises(UserError, match="is there already"):
        copies.write({Path("a.yaml"): "a", Path("c.yaml"): "new"})
    assert {path.name: path.read_text() for path in here.iterdir()} == {"file": "", "c.yaml": "c"}
