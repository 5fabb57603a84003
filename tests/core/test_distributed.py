"""Two processes under `accelerate launch` make what one makes, within noise, and neither waits for ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TINY

RECIPE = f"""\
name: two
task: {{data: digits, seed: 0}}
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


def scores(folder: Path) -> dict[str, float]:
    report: dict[str, Any] = json.loads((folder / "runs" / "two" / "report.json").read_text())
    return {stage["name"]: stage["files"][0]["scores"]["test"]["accuracy"] for stage in report["stages"]}


def run(folder: Path, *launch: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, *(launch or ["-m"]), "edgepress", "run", "two.yaml"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_two_processes_come_to_the_metrics_of_one(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "two.yaml").write_text(RECIPE)
    run(tmp_path / "one")
    two = run(tmp_path / "two", "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--module")
    mine, theirs = scores(tmp_path / "one"), scores(tmp_path / "two")
    # Of 360 test images; two runs of one process with other seeds differ by as much.
    assert all(abs(mine[name] - theirs[name]) < 0.04 for name in mine), (mine, theirs)
    assert min(theirs.values()) > 0.9
    assert two.stdout.count("No budget to meet") == 1, "one process speaks"
    assert run(tmp_path / "two").stderr.count("cached") == 3, "what two have made is in the cache of one"
