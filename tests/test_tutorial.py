"""The tutorial's runner: it sees what differs. The tutorial itself is run by `make tutorial`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from pipeline.cli import cli
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


@pytest.mark.parametrize("told, line", [("```console\n$ echo one\ntwo\n```\n", 2), ("```console\n$ true\nout\n```\n", 2)])
def test_another_output_is_told_with_its_line(told: str, line: int, tmp_path: Path) -> None:
    (problem,) = follow(told, tmp_path)
    assert problem.startswith(f"TUTORIAL.md:{line}: $ ")
    assert "Expected:" in problem


def test_nothing_runs_after_the_first_difference(tmp_path: Path) -> None:
    assert follow("```console\n$ echo one\ntwo\n$ touch later\n```\n", tmp_path)
    assert not (tmp_path / "later").exists()


def test_a_shell_that_ends_early_is_no_success(tmp_path: Path) -> None:
    code = "from tests.tutorial import follow; from pathlib import Path; import sys"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}; sys.exit(bool(follow({'```console\n$ exit 3\nx\n```\n'!r}, Path())))"],
        cwd=Path(__file__).parents[1],
        check=False,
    )
    assert run.returncode == 1


def test_every_command_and_option_of_the_tutorial_exists() -> None:
    words = [each.words.split() for each in commands(TUTORIAL.read_text(encoding="utf-8"))]
    ours = [line for line in words if line[0] == "edgepress"]
    assert ours
    for line in ours:
        command = cli.commands[line[1]]
        options = {name for each in command.params if isinstance(each, click.Option) for name in each.opts}
        assert {word for word in line if word.startswith("--")} <= options
