"""Two processes under `accelerate launch` make what one makes, within noise, and neither waits for ever."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TINY

RECIPE = f"""\
name: two
task: {{data: DATA, seed: 0}}
stages:
  - {{use: train, name: base, model: {json.dumps(TINY)}, epochs: 8, batch: 64, lr: 0.02, flip: false, shift: 0}}
  - use: distill.kd
    name: student
    student: {json.dumps(TINY)}
    teacher: base
    epochs: 8
    batch: 64
    lr: 0.02
    flip: false
    shift: 0
    views: 1
    patience: 6
  - {{use: export.onnx, name: float}}
targets: []
"""


STREAM = """\
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

def load():
    bunch = load_digits()
    for image, label in zip(bunch.images, bunch.target):
        yield Image.fromarray(np.round(image * 15).astype(np.uint8)), str(label)
"""


def scores(folder: Path) -> dict[str, float]:
    report: dict[str, Any] = json.loads((folder / "runs" / "two" / "report.json").read_text())
    return {stage["name"]: stage["files"][0]["scores"]["test"]["accuracy"] for stage in report["stages"]}


LAUNCH = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--main_process_port=0", "--module")
"""With `--cpu` accelerate starts one process, unless there is MPI. Port 0 is a free one: tests run side by side."""
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2]), "ACCELERATE_USE_CPU": "true"}


def run(folder: Path, *launch: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ENVIRONMENT
    command = [sys.executable, *(launch or ["-m"]), "edgepress", "run", "two.yaml"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def prepared(folder: Path, data: str) -> Path:
    folder.mkdir()
    (folder / "my_data.py").write_text(STREAM)
    (folder / "two.yaml").write_text(RECIPE.replace("DATA", data))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("data", ["digits", "./my_data.py:load"])
def test_two_processes_come_to_the_metrics_of_one(data: str, tmp_path: Path) -> None:
    """Of arrays, and of a stream, which the first process copies into the cache for both."""
    for name in ("one", "two"):
        prepared(tmp_path / name, data)
    run(tmp_path / "one")
    two = run(tmp_path / "two", *LAUNCH)
    mine, theirs = scores(tmp_path / "one"), scores(tmp_path / "two")
    # Of 360 test images; two runs of one process with other seeds differ by as much.
    assert all(abs(mine[name] - theirs[name]) < 0.04 for name in mine), (mine, theirs)
    assert min(theirs.values()) > 0.9
    assert two.stdout.count("No budget to meet") == 1, "one process speaks"
    assert run(tmp_path / "two").stderr.count("cached") == 3, "what two have made is in the cache of one"


def ranks(parent: int) -> dict[int, int]:
    """Process → its rank, of all that `accelerate launch` began."""
    found: dict[int, int] = {}
    for task in Path(f"/proc/{parent}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            environment = dict(
                each.partition("=")[::2] for each in Path(f"/proc/{child}/environ").read_text().split("\0")
            )
            found |= {child: int(environment["RANK"])} if "RANK" in environment else {}
            found |= ranks(child)
    return found


@pytest.mark.slow
def test_a_killed_process_ends_the_run_and_the_next_goes_on(tmp_path: Path) -> None:
    """The other one does not wait for it, and what is in the cache stays."""
    folder = prepared(tmp_path / "two", "./my_data.py:load")
    environment = os.environ | ENVIRONMENT
    command = [sys.executable, *LAUNCH, "edgepress", "run", "two.yaml"]
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as launched:
        cache, until = folder / ".edgepress", time.monotonic() + 240
        while not [*cache.glob("entries/*/*.safetensors")] and time.monotonic() < until:
            time.sleep(0.1)
        begun = ranks(launched.pid)
        assert {*begun.values()} == {0, 1}
        _, trains, *_ = sorted(pid for pid, rank in begun.items() if rank == 1)  # the first one waits for it
        os.kill(trains, signal.SIGKILL)
        _, errors = launched.communicate(timeout=120)
    assert launched.returncode != 0
    until = time.monotonic() + 20
    while (left := [pid for pid in begun if Path(f"/proc/{pid}").exists()]) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left, "none goes on alone"
    assert "was killed" in errors
    assert "crashed" not in errors, "the one that stays has no defect"
    assert "cached" in run(folder, *LAUNCH).stderr
