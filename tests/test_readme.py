"""README.md and docs/ show what the result files and the classes say, and every link, command and option exists."""

from __future__ import annotations

import re
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
from edgepress.commands.main import cli
from edgepress.config.recipe import validate
from edgepress.data.dataset import Dataset
from edgepress.models import checkpoint
from edgepress.models.description import Network
from torch import nn

from tests.conftest import fresh
from tests.readme import BLOCKS, PAGES, PART, PICTURES, README, ROOT, rendered

TEXTS = {path: path.read_text(encoding="utf-8") for path in PAGES}
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]
SHELL = re.compile(r"^```(?:sh|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MOST_LINES, MOST_WORDS = 200, 1500
"""Of the first page: what one reads before deciding."""


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("name", BLOCKS)
def test_generated_parts_are_fresh(name: str) -> None:
    (block,) = (part for text in TEXTS.values() for part in PART.finditer(text) if part[2] == name)
    assert block[0] == f"{block[1]}{BLOCKS[name]()}{block[3]}", "run `make readme`"


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_fresh(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == PICTURES[name](), "run `make readme`"


def test_every_part_has_a_generator_and_rendering_is_stable() -> None:
    found = Counter(part[2] for text in TEXTS.values() for part in PART.finditer(text))
    assert found == dict.fromkeys(BLOCKS, 1)
    once = rendered(TEXTS[README])
    assert rendered(once) == once


def test_the_first_page_is_short() -> None:
    text = TEXTS[README]
    assert len(text.splitlines()) <= MOST_LINES
    assert len(text.split()) <= MOST_WORDS
    for name, most in (("verdict", 25), ("red", 12)):
        assert len(BLOCKS[name]().splitlines()) - 2 <= most, name


def test_a_red_verdict_points_at_its_budget() -> None:
    lines = BLOCKS["red"]().splitlines()
    at = next(number for number, line in enumerate(lines) if line.strip(" |") and not line.strip(" |^"))
    place, source, caret = lines[at - 2 : at + 1]
    column = int(place.rpartition(":")[2])
    margin = source.index("|") + 2
    assert caret.index("^") == margin + column - 1
    assert re.fullmatch(r"\d+ kB", source[margin:][column - 1 :])
    assert caret.count("^") == len(source[margin:]) - column + 1


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    page = ROOT / name
    for link in re.findall(r"\]\(([^)\s]+)\)", _prose(TEXTS[page])):
        if link.startswith(("https://", "http://")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert page.is_relative_to(ROOT / "docs") <= target.is_relative_to(ROOT / "docs"), f"{link} leaves the site"
        if anchor:
            assert anchor in _anchors(TEXTS[target]), link


def test_every_page_is_in_the_navigation() -> None:
    """`make docs` checks it as well, and needs mkdocs."""
    nav = re.findall(
        r"- (?:[A-Z]\w+: )?([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(f"docs/{page}" for page in nav) == sorted(name for name in NAMES if name.startswith("docs/"))


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_option_exists(name: str) -> None:
    text = TEXTS[ROOT / name]
    targets = re.findall(r"^([a-z-]+(?: [a-z-]+)*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    known = {target for line in targets for target in line.split()}
    used = re.findall(r"(?:`|^|\$ )make ([a-z-]+(?: [a-z-]+)*)", text, re.MULTILINE)
    assert {target for words in used for target in words.split()} <= known
    for command, words in _commands(text):
        assert command in cli.commands, command
        options = {
            option for each in cli.commands[command].params if isinstance(each, click.Option) for option in each.opts
        }
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options, (command, words)


def test_the_recipe_and_the_target_of_the_first_page_are_valid(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(name: .*?)```", TEXTS[README], re.DOTALL)
    (recipe,) = (block for block in blocks if "stages:" in block)
    (target,) = (block for block in blocks if "runtime:" in block)
    (tmp_path / "photos").mkdir()
    (tmp_path / "mine.yaml").write_text(recipe, encoding="utf-8")
    (tmp_path / "my-board.yaml").write_text(target, encoding="utf-8")
    assert validate([tmp_path / "mine.yaml", tmp_path / "my-board.yaml"]) == []


def test_the_stage_of_the_guide_works(
    few: Dataset, perform: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", TEXTS[ROOT / "docs" / "write-a-stage.md"], re.DOTALL)
    module = ModuleType("magnitude")
    monkeypatch.setitem(sys.modules, "magnitude", module)  # where pydantic looks the annotations up
    exec(compile(source, "write-a-stage.md", "exec", dont_inherit=True), module.__dict__)
    finetune = {"epochs": 1, "batch": 32}
    stage = module.PruneMagnitude.model_validate({"use": "prune.magnitude", "sparsity": "75%", "finetune": finetune})
    before = fresh(Network(arch="timm/mobilenetv2_050"), few, tmp_path / "before")
    after, made = perform(stage, {"input": before}, few)
    assert made.summary == ["75.0% of the weights of its layers are zero"]
    layers = [each for each in checkpoint.load(after.path)[0].modules() if isinstance(each, nn.Conv2d)]
    zeros, weights = (sum(count(each.weight) for each in layers) for count in (_zeros, nn.Parameter.numel))
    assert zeros / weights == pytest.approx(0.75, abs=0.01)


def _zeros(weight: nn.Parameter) -> int:
    return int((weight == 0).sum())


def _prose(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def _anchors(text: str) -> set[str]:
    """Of the headings, as GitHub and mkdocs make them."""
    heads = re.findall(r"^#+ (.+)$", _prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


def _commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Every `edgepress …` of a shell block."""
    for block in SHELL.findall(text):
        for line in block.splitlines():
            if (found := re.match(r"(?:\$ )?(?:\S*/)?edgepress ([a-z]+)\b(.*)", line)) and "--version" not in line:
                yield found[1], shlex.split(found[2], comments=True)
