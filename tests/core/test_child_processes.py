"""Processes of ours in a folder where a stranger's modules have the names that they import; and how they may end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from edgepress.commands.compare import study
from edgepress.commands.compare.results import Comparison
from edgepress.core import child_processes

from tests.commands.compare.test_compare import TEXT
from tests.conftest import LIGHT, Place, edgepress, laid_out

ROOT = Path(__file__).parents[2]
SHADOWS = ("json", "numpy", "onnx", "onnxruntime", "torch", "click", "runpy", "random", "signal", "subprocess")


def hostile(folder: Path, recipe: str) -> Place:
    """A project whose own modules end whatever imports them with 1, the code of an exceeded budget."""
    place = laid_out(folder, recipe)
    for name in ("edgepress", "edgepress/commands", "edgepress/commands/compare", "pipeline", "data", "models"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit(1)\n")
    (folder / "edgepress/commands/compare/trial.py").write_text("raise SystemExit(1)\n")
    for name in SHADOWS:
        (folder / f"{name}.py").write_text("raise SystemExit(1)\n")
    return place


def ran(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`edgepress` in the folder of `place`; as from its script, Python does not look there."""
    command = [sys.executable, "-P", "-m", "edgepress", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "pipeline"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=place.folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_compare_among_strangers_modules(tmp_path: Path) -> None:
    place = hostile(tmp_path, TEXT.replace("epochs: 3", "epochs: 1"))
    done = ran(place, "compare", "recipe.yaml", "--seeds", "1", "--routes", "plain,fuse")
    assert done.returncode == 0, done
    assert "Verdict: " in done.stdout
    assert Comparison.model_validate_json((tmp_path / "runs/mine/compare.json").read_text()).repetitions == 1


@pytest.mark.slow
def test_run_check_and_why_among_strangers_modules(tmp_path: Path) -> None:
    place = hostile(tmp_path, LIGHT.replace("epochs: 6", "epochs: 1") + "keep: {accuracy_drop: 100 points}\n")
    place.edit("desk.yaml", "accuracy: 30%, accuracy_drop: 60 points", "accuracy: 1%")
    for command in ("run", "check", "why"):
        done = ran(place, command, "recipe.yaml")
        assert done.returncode == 0, done


def test_interrupted_while_it_imports() -> None:
    command = child_processes.module("edgepress.commands.compare.trial", [])
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and "numpy" not in Path(f"/proc/{process.pid}/maps").read_text():
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_python_m_does_not_import_what_lies_in_the_folder(tmp_path: Path) -> None:
    """Of a folder that has an `edgepress` itself Python takes that one, before anything of ours could say otherwise."""
    place = laid_out(tmp_path, LIGHT)
    (tmp_path / "json.py").write_text("raise SystemExit(1)\n")
    command = [sys.executable, "-m", "edgepress", "validate", "recipe.yaml"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "pipeline")}
    done = subprocess.run(command, cwd=place.folder, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1 file valid\n")


@pytest.mark.parametrize(
    ("ending", "code", "said"),
    [
        ("raise SystemExit(1)", 3, "a process that makes the routes ended with code 1"),
        ("raise RuntimeError", 3, "a process that makes the routes ended with code 1"),
        (
            "import os; os.kill(os.getpid(), 9)",
            2,
            "memory ran out: a process that makes the routes was killed by signal 9; out of memory?",
        ),
        ("import os; os.kill(os.getpid(), 11)", 3, "a process that makes the routes was killed by signal 11 (SIGSEGV)"),
        ("pass", 3, "a process that makes the routes left nothing: 0.jsonl"),
        ("raise SystemExit(2)", 2, ""),
        ("raise SystemExit(130)", 130, ""),
    ],
)
def test_the_end_of_a_repetition_is_never_a_verdict(
    ending: str, code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = laid_out(tmp_path, TEXT)
    monkeypatch.setattr(study.child_processes, "module", lambda name, arguments: [sys.executable, "-c", ending])
    found = edgepress("compare", place.recipe, "--seeds", "1", "--cache", place.cache, "--runs", place.runs)
    assert found.code == code, found
    assert said in found.err
    assert "Traceback" not in found.out
    assert not place.runs.exists(), "nothing was found out"


def test_a_module_of_ours_runs_as_with_python_m(tmp_path: Path) -> None:
    (tmp_path / "edgepress").mkdir()
    (tmp_path / "edgepress/__init__.py").write_text("raise SystemExit(1)")
    command = child_processes.module("edgepress.commands.compare.trial", ["--help"])
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--repetition" in done.stdout


@pytest.mark.parametrize(
    ("errors", "code", "cause"),
    [
        ("a\nb\n", 1, "b"),
        ("", 1, "it ended with code 1"),
        ("words", -11, "it was killed by signal 11 (SIGSEGV)"),
        (
            "chatter\nTraceback (most recent call last):\n  File x, line 1\n    f()\nOSError: first\n\n"
            "During handling of it:\n\n"
            "Traceback (most recent call last):\n  File y\n\nfar.Error: model '\t\n  (\n', no\nchatter\n",
            1,
            "far.Error: model '",
        ),
    ],
)
def test_the_cause_of_an_end_is_one_line(errors: str, code: int, cause: str) -> None:
    assert child_processes.cause(errors, code) == cause


LOADING = """
import time
from edgepress.training import workers

def load(batch):
    print(__import__("os").getpid(), flush=True)
    time.sleep(60)

for _ in workers.loaded(load, [0, 1]):
    pass
"""
WAITING = """
import os, subprocess
from edgepress.core import child_processes
subprocess.run(child_processes.bound(["/bin/sh", "-c", "echo $$; exec sleep 60"]))
"""
FORKED = """
import os, time
from edgepress.core import child_processes
parent = os.getpid()
if os.fork() == 0:
    child_processes.end_with(parent)
    print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
@pytest.mark.parametrize("code", [WAITING, FORKED, LOADING], ids=["bound", "forked", "loading batches"])
def test_a_process_does_not_outlive_the_one_that_started_it(code: str, tmp_path: Path) -> None:
    path = tmp_path / "started.py"
    path.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "pipeline")}
    with subprocess.Popen([sys.executable, "-P", path], stdout=subprocess.PIPE, text=True, env=environment) as started:
        assert started.stdout is not None
        child = int(started.stdout.readline())
        started.kill()
    end = time.monotonic() + 3
    while time.monotonic() < end and running(child):
        time.sleep(0.05)
    assert not running(child)


def running(process: int) -> bool:
    """Whether it runs: one whose end nobody has asked for yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_bound_process_is_what_it_would_be_alone() -> None:
    done = subprocess.run(child_processes.bound(["/bin/sh", "-c", 'echo "$@"; exit 7', "sh", "a b", ""]),
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (7, "a b \n")
