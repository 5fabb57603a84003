"""The tutorial's runner: it sees what differs. The tutorial itself is run by `make tutorial`."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from edgepress.commands.main import cli

from tests.tutorial import TUTORIAL, commands, follow

TEXT = """\
Words.

```console
$ echo one; cd /
one
$ pwd; false
/
```

```console
$ echo $?
1
$ echo a; echo b; echo c
a
...
c
```
"""


def test_commands_share_one_shell_and_its_status(tmp_path: Path) -> None:
    assert follow(TEXT, tmp_path) == []


@pytest.mark.parametrize("body", ["$ echo one\ntwo\n", "$ true\nout\n", "$ exit 3\nx\n"])
def test_another_output_is_told_with_its_line(body: str, tmp_path: Path) -> None:
    (problem,) = follow(f"```console\n{body}```\n", tmp_path)
    assert problem.startswith("tutorial.md:2: $ ")
    assert "Expected:" in problem


@pytest.mark.parametrize("body", ["$ exit 0\n$ true\n", "$ exit 3\n"])
def test_a_shell_that_ends_early_is_no_success(body: str, tmp_path: Path) -> None:
    (problem,) = follow(f"```console\n{body}```\n", tmp_path)
    assert "the shell ended" in problem


def test_nothing_runs_after_the_first_difference(tmp_path: Path) -> None:
    assert follow("```console\n$ echo one\ntwo\n$ touch later\n```\n", tmp_path)
    assert not (tmp_path / "later").exists()


def test_every_command_and_option_of_the_tutorial_exists() -> None:
    words = [each.words.split() for each in commands(TUTORIAL.read_text(encoding="utf-8"))]
    ours = [line for line in words if line[0] == "edgepress" and line[1] != "--version"]
    assert ours
    for line in ours:
        command = cli.commands[line[1]]
        options = {name for each in command.params if isinstance(each, click.Option) for name in each.opts}
        assert {word for word in line if word.startswith("--")} <= options
