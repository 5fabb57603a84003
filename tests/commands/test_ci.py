"""What runs in other people's CI: the action, the snippets of docs/ci.md and the job that `new` writes are sound."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from edgepress.commands import new
from edgepress.commands.main import cli
from edgepress.gate.report.formats import FORMATS

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
WORKFLOW = new.WORKFLOW.format(name="mine", install="pip install x", run="edgepress run mine.yaml")
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(# \.(?:github|gitlab).*?)```", PAGE, re.DOTALL)


def commands(text: str) -> Iterator[list[str]]:
    for line in text.replace("\\\n", " ").splitlines():
        if (
            found := re.search(r"\bedgepress (?=run|check|accept|validate)(.*)", line)
        ) and not line.lstrip().startswith("#"):
            yield shlex.split(found[1], comments=True)


@pytest.mark.parametrize(
    "text", [ACTION["runs"]["steps"][-1]["run"], WORKFLOW, *BLOCKS], ids=lambda text: text.splitlines()[0][:30]
)
def test_every_command_and_option_exists(text: str) -> None:
    found = list(commands(text))
    assert found
    for name, *words in found:
        options = {
            option for each in cli.commands[name].params for option in each.opts if isinstance(each, click.Option)
        }
        used = {word for word in words if word.startswith("--")} | set(re.findall(r"\+(--[a-z-]+)", " ".join(words)))
        assert used <= options
        formats = [words[index + 1] for index, word in enumerate(words) if word == "--format"]
        assert {each.partition("=")[0] for each in formats} <= FORMATS.keys()


def test_the_page_has_a_job_for_both() -> None:
    assert [block.split("/")[0].split("\n")[0].strip("# ") for block in BLOCKS] == [".github", ".gitlab-ci.yml"]
    for block in BLOCKS:
        assert isinstance(yaml.safe_load(block), dict)


def test_the_action_uses_every_input_and_nothing_else() -> None:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"inputs\.([a-z-]+)", text)) == ACTION["inputs"].keys()
    for step in ACTION["runs"]["steps"]:
        assert "uses" in step or step["shell"] == "bash"
        assert "${{" not in step.get("run", ""), "inputs reach a shell by its environment alone"


def test_every_workflow_of_this_repository_uses_commands_that_exist() -> None:
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        text = path.read_text(encoding="utf-8")
        assert yaml.safe_load(text)["jobs"]
        for line in re.findall(r"- run: edgepress (.*)", text):
            name, *words = shlex.split(line)
            known = {option for each in cli.commands[name].params for option in each.opts}
            assert {word for word in words if word.startswith("--")} <= known
