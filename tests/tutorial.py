"""`python -m tests.tutorial`: run every command of docs/tutorial.md in an empty folder, and compare what it prints.

A `console` block holds commands behind `$ ` and what they print; `...` there stands for anything, on one line or over
several, as in doctest. All commands share one shell, as they would at a terminal. EDGEPRESS is this repository.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
END = "--- end of the command ---"
CHECKS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Command(NamedTuple):
    line: int
    words: str
    expected: str


def commands(text: str) -> Iterator[Command]:
    """Every command of a tutorial, in order, with the line that it stands on and what it must print."""
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1)) + 1
        lines = block[1].splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
        assert starts[:1] == [0], f"line {first}: a console block begins with a command"
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            yield Command(first + start, lines[start][2:], "".join(f"{line}\n" for line in lines[start + 1 : end]))


def follow(text: str, folder: Path) -> list[str]:
    """Run the commands in `folder`; what went otherwise than told, and nothing after the first of it."""
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    environment |= {"EDGEPRESS": str(ROOT), "COLUMNS": "120", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    shell = subprocess.Popen(
        ["bash", "--noprofile", "--norc"],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with shell:
        assert shell.stdin
        assert shell.stdout
        for command in commands(text):
            print(f"{TUTORIAL.name}:{command.line}: $ {command.words}", flush=True)
            # The end is printed with the status that the next command's `$?` is to see.
            shell.stdin.write(f"{command.words}\n{{ status=$?; echo '{END}'; (exit $status); }}\n")
            shell.stdin.flush()
            got = ""
            for line in shell.stdout:
                got += line.removesuffix(f"{END}\n")
                if line.endswith(f"{END}\n"):
                    break
                print(f"    {line}", end="", flush=True)
            else:
                got += "the shell ended\n"
            if difference := _difference(command, got):
                shell.stdin.close()
                return [difference]
        shell.stdin.close()
    return []


def _difference(command: Command, got: str) -> str:
    checker = doctest.OutputChecker()
    if checker.check_output(command.expected, got, CHECKS):
        return ""
    example = doctest.Example(command.words, command.expected)
    return f"{TUTORIAL.name}:{command.line}: $ {command.words}\n" + checker.output_difference(example, got, CHECKS)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        problems = follow(TUTORIAL.read_text(encoding="utf-8"), Path(folder))
    print("\n".join(problems) or "every command of the tutorial did what it says")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
