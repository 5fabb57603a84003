"""A recipe's own budgets are laid over a target profile's, are checked as in a target file, and keep their places."""

from __future__ import annotations

from pathlib import Path

import pytest
from edgepress.commands import catalog
from edgepress.config import recipe, target
from edgepress.core.errors import UserError
from edgepress.core.units import Relative

TEXT = """\
name: r
task: {data: digits}
stages:
  - {use: train, model: timm/resnet18}
  - {use: export.onnx}
  - {use: convert.tflite}
targets:
  - host
  - use: raspberry-pi-4
    budgets: {latency: {limit: 1 ms, percentile: 90, level: advisory}, size: 700 kB}
"""


def read(folder: Path, text: str = TEXT, *changes: str) -> recipe.Recipe:
    path = folder / "r.yaml"
    path.write_text(text, encoding="utf-8")
    return recipe.load(path, changes)


def test_a_budget_of_the_recipe_replaces_the_profiles_and_the_others_stay(tmp_path: Path) -> None:
    host, board = read(tmp_path).load_targets()
    profile = target.load(catalog.find("raspberry-pi-4", "targets"))
    latency, size = board.budgets.latency, board.budgets.size
    assert latency
    assert size
    assert (latency.limit, latency.percentile, latency.level) == (0.001, 90, "advisory")
    assert (size.limit, size.level) == (7e5, "required")
    assert board.budgets.memory == profile.budgets.memory
    assert board.model_dump(exclude={"budgets"}) == profile.model_dump(exclude={"budgets"})
    assert host.model_dump() == target.load(catalog.find("host", "targets")).model_dump()


def test_places_are_of_the_line_that_sets_the_budget(tmp_path: Path) -> None:
    host, board = read(tmp_path).load_targets()
    assert str(board.place("budgets", "size")) == f"{tmp_path}/r.yaml:10:78"
    assert str(board.place("budgets", "latency")) == f"{tmp_path}/r.yaml:10:24"
    assert str(board.place("budgets", "memory")).endswith("targets/raspberry-pi-4.yaml:10:11")
    assert str(board.place("regression", "size")).split(":")[0].endswith("targets/raspberry-pi-4.yaml")
    assert board.file == catalog.find("raspberry-pi-4", "targets")
    assert str(host.place("budgets", "size")).endswith("targets/host.yaml:6:9")


def test_a_path_counts_from_the_recipes_folder(tmp_path: Path) -> None:
    (tmp_path / "board.yaml").write_text("name: mine\nruntime: litert\nbudgets: {size: 1 MB}\n", encoding="utf-8")
    (_, board) = read(tmp_path, TEXT.replace("raspberry-pi-4", "./board.yaml")).load_targets()
    assert board.name == "mine"
    assert [name for name, _ in board.budgets.set_fields()] == ["size", "latency"]


def test_null_takes_a_budget_of_the_profile_away(tmp_path: Path) -> None:
    (_, board) = read(tmp_path, TEXT.replace("size: 700 kB", "memory: null")).load_targets()
    assert [name for name, _ in board.budgets.set_fields()] == ["size", "latency"]


def test_a_relative_latency_where_it_is_measured(tmp_path: Path) -> None:
    text = TEXT.replace("  - host\n", "  - {use: host, budgets: {latency: 0.3x timm/mobilenetv2_100@224}}\n")
    host, _ = read(tmp_path, text).load_targets()
    assert host.budgets.latency
    assert host.budgets.latency.limit == Relative(0.3, "timm/mobilenetv2_100@224")


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("budgets: {", "budgets: {sise: 1 MB, ", "10:15", "did you mean `size`?"),
        ("700 kB", "700", "10:78", "a number needs a unit here"),
        ("level: advisory", "levl: advisory", "10:54", "did you mean `level`?"),
        ("budgets: {latency", "budget: {latency", "10:5", "did you mean `budgets`?"),
        ("use: rasp", "usse: rasp", "9:5", "did you mean `use`?"),
        ("raspberry-pi-4", "raspberry-pi-4x", "9:10", "did you mean `raspberry-pi-4`?"),
        ("raspberry-pi-4", "./none.yaml", "9:10", "there is no file"),
        ("use: raspberry-pi-4", "use: host", "8:3", "`host` is listed twice"),
        ("  - host\n", "  - 5\n", "8:5", "write text"),
        ("  - host\n", "  - {use: host, budgets: {}}\n", "8:26", "no budget is set"),
        ("  - host\n", "  - {use: host, budgets: }\n", "8:25", "write a mapping of options, got nothing"),
        ("  - host\n", "  - {use: host}\n", "8:11", "missing option `budgets`"),
        ("{limit: 1 ms, percentile: 90, level: advisory}", "0.3x timm/resnet18@28", "10:14", "has to be measured"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(old: str, new: str, place: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as found:
        read(tmp_path, TEXT.replace(old, new))
    (problem,) = found.value.problems
    assert said in f"{problem.message} {problem.help}"
    assert str(problem.place) == f"{tmp_path}/r.yaml:{place}"


def test_one_file_under_two_names_is_one_target(tmp_path: Path) -> None:
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets/b.yaml").write_text("name: b\nruntime: litert\nbudgets: {size: 1 MB}\n", encoding="utf-8")
    text = TEXT.replace("raspberry-pi-4", "b").replace("  - host\n", "  - targets/b.yaml\n")
    with pytest.raises(UserError, match="is the same target as"):
        read(tmp_path, text)


def test_the_command_line_sets_a_budget_and_chooses_a_target_with_its_budgets(tmp_path: Path) -> None:
    (_, board) = read(tmp_path, TEXT, "targets.1.budgets.size=600 kB").load_targets()
    assert board.budgets.size
    assert (board.budgets.size.limit, str(board.place("budgets", "size"))) == (6e5, "--set:1:24")
    for names in (["raspberry-pi-4"], ["android-pixel", "raspberry-pi-4"]):
        changes = catalog.aimed(tmp_path / "r.yaml", names)
        assert changes == (f"targets=[{', '.join(names)}]",)
        *_, board = read(tmp_path, TEXT, *changes).load_targets()
        assert str(board.place("budgets", "size")) == f"{tmp_path}/r.yaml:10:78"
    assert catalog.aimed(tmp_path / "r.yaml", ["host", "raspberry-pi-4"]) == ()
