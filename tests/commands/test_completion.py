"""A shell completes commands, options, and the names of recipes and targets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BASH = """\
eval "$(_EDGEPRESS_COMPLETE=bash_source edgepress)"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
compopt() { echo files; }
_edgepress_completion edgepress
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with `edgepress`, as an installation writes it."""
    script = tmp_path / "bin" / "edgepress"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nfrom edgepress.__main__ import main\n\nmain()\n")
    script.chmod(0o755)
    return script.parent


def completed(programs: Path, *words: str) -> list[str]:
    """What bash completes of a line of `words`, the last of which is begun."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
    command = ["bash", "-c", BASH, "bash", *words]
    done = subprocess.run(command, cwd=programs.parent, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_commands_and_options_are_completed(programs: Path) -> None:
    assert completed(programs, "edgepress", "bun") == ["bundle"]
    assert completed(programs, "edgepress", "bundle", "--no-e") == ["--no-examples"]
    assert completed(programs, "edgepress", "x") == [""]


def test_recipes_and_targets_are_completed_and_files_stay(programs: Path) -> None:
    (programs.parent / "recipes").mkdir()
    for name in ("mobile-mine", "mobile\x1b[31m"):
        (programs.parent / "recipes" / f"{name}.yaml").write_text("name: mine\n")
    found = completed(programs, "edgepress", "run", "mobile")
    assert found == ["files", "mobile-mine", "mobilenet", "mobilenet-imagefolder"]
    assert completed(programs, "edgepress", "bundle", "mobilenet", "--target", "jetson-o") == [
        "files",
        "jetson-orin-nano",
    ]
    assert completed(programs, "edgepress", "cp", "hos") == ["files", "host"]
    assert completed(programs, "edgepress", "run", "./no") == ["files", ""]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell: str, programs: Path) -> None:
    environment = os.environ | {"_EDGEPRESS_COMPLETE": f"{shell}_source"}
    done = subprocess.run([programs / "edgepress"], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"_EDGEPRESS_COMPLETE={shell}_complete" in done.stdout
