"""The hook of pre-commit: it is given the recipes and targets of a repository, no lock files, and checks them."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.conftest import edgepress

ROOT = Path(__file__).parents[2]
(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())

NEEDS = re.compile(r"pip install|from: \./photos")


def chosen(path: str) -> bool:
    """Whether pre-commit gives this file to the hook."""
    return bool(re.search(HOOK["files"], path)) and not re.search(HOOK["exclude"], path)


def test_it_is_given_recipes_and_targets_alone() -> None:
    assert chosen("recipes/mine.yaml")
    assert chosen("ml/targets/phone.yml")
    assert not chosen("recipes/mine.lock.yaml")
    assert not chosen("docs/recipes.md")
    assert not chosen(".github/workflows/ci.yaml")


def test_it_checks_shipped_files() -> None:
    """All but the recipes of packages that are not in every environment."""
    files = [*ROOT.glob("recipes/*.y*ml"), *ROOT.glob("targets/*.y*ml")]
    named = [str(path.relative_to(ROOT)) for path in files]
    program, *arguments = HOOK["entry"].split()
    assert program == "edgepress"
    wanted = [path for path, name in zip(files, named, strict=True) if chosen(name)]
    assert len(wanted) == len([name for name in named if ".lock." not in name])
    said = edgepress(*arguments, *(path for path in wanted if not NEEDS.search(path.read_text())))
    assert (said.code, said.err) == (0, "")


def test_a_wrong_file_stops_a_commit(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    wrong = tmp_path / "recipes" / "wrong.yaml"
    wrong.write_text("name: wrong\nstages: []\n")
    said = edgepress(*HOOK["entry"].split()[1:], wrong)
    assert said.code == 2
    assert "wrong.yaml:" in said.err
