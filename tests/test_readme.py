"""README.md says what the result files say, and shows no command that is not there."""

from __future__ import annotations

import re

import pytest
from edgepress.commands.main import cli

from tests.readme import BLOCKS, README, rendered


@pytest.mark.parametrize("name", BLOCKS)
def test_generated_parts_are_fresh(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(README.parent)
    text = README.read_text(encoding="utf-8")
    block = re.search(rf"<!-- generated: {name} -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert block, name
    assert block[1] == BLOCKS[name](), "run `make readme`"


def test_rendering_is_stable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(README.parent)
    once = rendered(README.read_text(encoding="utf-8"))
    assert rendered(once) == once


def test_every_command_exists() -> None:
    text = README.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+(?: [a-z-]+)*):", (README.parent / "Makefile").read_text(), re.MULTILINE))
    known = {name for line in targets for name in line.split()}
    assert set(re.findall(r"`?make ([a-z-]+)", text)) <= known
    assert set(re.findall(r"edgepress (run|check|plan|validate|gc)\b", text)) <= set(cli.commands)
