"""No command but those that build models runs a file of the user's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ..conftest import edgepress
from ..data.made import arrays

CANARY = """\
from pathlib import Path
Path({mark!r}).write_text({name!r})
import numpy as np
from edgepress.data.examples import Examples
def load(**options):
    random = np.random.default_rng(0)
    return Examples(random.normal(size=(40, 4)).astype(np.float32), np.arange(40) % 2)
def build(num_classes=2): ...
def score(outputs, targets): return 0.5
"""
RECIPE = """\
name: mine
task: {{data: {data}, metric: ./code.py:score}}
stages:
  - {{use: train, name: a, model: {{arch: ./code.py:build}}, epochs: 1}}
  - {{use: train, name: b, model: {{arch: edgepress/mlp}}, epochs: 1}}
  - {{use: fuse.ensemble, name: teacher, models: [a, b]}}
  - {{use: distill.kd, name: student, student: {{arch: ./code.py:build}}, teacher: teacher, epochs: 1}}
  - {{use: load, name: own, from: ./w.safetensors, model: {{arch: ./code.py:build}}}}
  - {{use: export.onnx, input: own}}
targets: [./desk.yaml]
"""
TARGET = "name: desk\nruntime: onnxruntime\nreach: local\nbudgets: {size: 5 MB, latency: 1 s}\n"
NEW = ["new", "n", "--data", "./code.py:load", "--target", "./desk.yaml", "--latency", "5 ms", "--size", "1 MB"]
COMMANDS = {
    "validate": (["validate", "code.yaml", "arrays.yaml", "desk.yaml"], 0),
    "plan": (["plan", "code.yaml"], 0),
    "plan of known data": (["plan", "arrays.yaml"], 0),
    "plan for another target": (["plan", "code.yaml", "--target", "desk.yaml", "--set", "task.seed=1"], 0),
    "ls": (["ls"], 0),
    "show": (["show", "code.yaml", "--all"], 0),
    "show a target": (["show", "desk.yaml"], 0),
    "cp": (["cp", "code.yaml", "other.yaml"], 0),
    "diff": (["diff", "copied.yaml"], 0),
    "gc": (["gc", "--days", "0"], 0),
    "check": (["check", "code.yaml"], 2),
    "why": (["why", "code.yaml"], 2),
    "report": (["report", "code.yaml"], 2),
    "accept": (["accept", "code.yaml"], 2),
    "new": (NEW, 0),
}
"""Arguments, and the exit code in a folder where nothing was run yet."""
DECOYS = ("json", "yaml", "conftest", "sitecustomize", "usercustomize", "click", "torch", "pydantic")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from safetensors.numpy import save_file

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    for name in ("code", *DECOYS, "edgepress/__init__", "targets/__init__"):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(CANARY.format(mark=str(tmp_path / "RAN"), name=name))
    arrays(tmp_path / "x.npz")
    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "w.safetensors")
    (tmp_path / "code.yaml").write_text(RECIPE.format(data="./code.py:load"))
    (tmp_path / "arrays.yaml").write_text(RECIPE.format(data="{from: ./x.npz, normalize: none}"))
    (tmp_path / "desk.yaml").write_text(TARGET)
    assert edgepress("cp", "code.yaml", "copied.yaml").code == 0
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_no_file_of_the_user_is_run(name: str, folder: Path) -> None:
    arguments, code = COMMANDS[name]
    ended = edgepress(*arguments)
    assert (ended.code, (folder / "RAN").exists()) == (code, False), ended.err


def test_plan_says_what_it_would_have_to_run_and_runs_it_on_wish(folder: Path) -> None:
    ended = edgepress("plan", "code.yaml")
    rows = ended.out.splitlines()
    assert len(rows) == 6
    assert all(row.startswith("unknown  ") and "depends on the data of `./code.py:load`" in row for row in rows)
    assert ended.err == "note: `plan` does not run `./code.py:load`, which makes the data; `--run-code` does\n"
    (folder / "code.yaml").write_text(
        "name: mine\ntask: {data: ./code.py:load}\ntargets: [./desk.yaml]\nstages:\n"
        "  - {use: train, name: a, model: {arch: edgepress/mlp}, epochs: 1}\n"
    )
    ended = edgepress("plan", "code.yaml", "--run-code")
    assert (ended.code, ended.out) == (0, "run     a  not made yet with these options  (train)\n"), ended.err
    assert (folder / "RAN").exists()


def test_after_a_run_plan_agrees_with_it(folder: Path) -> None:
    (folder / "code.yaml").write_text(
        "name: mine\ntask: {data: ./code.py:load, metric: ./code.py:score}\ntargets: []\nstages:\n"
        "  - {use: train, name: a, model: {arch: edgepress/mlp}, epochs: 1}\n"
    )
    assert edgepress("run", "code.yaml").code == 0
    assert edgepress("plan", "code.yaml", "--run-code").out == "cached  a  nothing changed  (train)\n"
    assert edgepress("plan", "code.yaml").out.startswith("unknown  a  ")


def test_as_a_module_no_file_of_the_folder_hides_a_library(folder: Path) -> None:
    shutil.rmtree(folder / "edgepress")  # Python itself takes that one
    command = [sys.executable, "-m", "edgepress", "plan", "arrays.yaml"]
    path = os.pathsep.join(filter(None, [*sys.path, os.environ.get("PYTHONPATH", "")]))  # nothing is this folder
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})
    assert (ended.returncode, (folder / "RAN").exists()) == (0, False), ended.stderr
