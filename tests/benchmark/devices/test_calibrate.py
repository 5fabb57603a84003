"""`calibrate` and `doctor` against a real board, and what they say without one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from edgepress.benchmark.devices.transport import DeviceError
from edgepress.commands import calibrate
from edgepress.commands.calibrate import calibrate as measured
from edgepress.config import target as targets
from edgepress.core.errors import UserError
from edgepress.gate import estimate, published

from tests.conftest import edgepress

from .board import Board

PROFILE = """\
name: pi # ours
runtime: onnxruntime
threads: 1
python: {python}
budgets: {{latency: 20 ms}}
# From a table.
references:
  - {{model: timm/resnet18@224, ms: 300, precision: fp32, threads: 4, runtime: ncnn,
     statistic: min, source: a table, commit: abc}}
"""
TWO = ("timm/mobilenetv3_small_050@32", "timm/mobilenetv2_035@32")


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "pi.yaml"
    path.write_text(PROFILE.format(python=sys.executable))
    return path


@pytest.mark.slow
def test_the_references_of_a_device_are_written_with_date_and_device(board: Board, profile: Path) -> None:
    target = targets.at(targets.load(profile), board.reach)
    about = measured(target, profile.read_text(), profile, TWO)
    found = targets.load(profile)
    assert [(row.model, row.precision) for row in found.references] == [
        (name, precision) for name in TWO for precision in ("fp32", "int8")
    ]
    assert {(row.runtime, row.threads, row.source) for row in found.references} == {
        ("onnxruntime", 1, "edgepress calibrate")
    }
    assert all(0.01 < row.ms < 100 for row in found.references)
    assert found.calibrated
    assert found.calibrated.endswith(about)
    assert "onnxruntime 1" in found.calibrated
    text = profile.read_text()
    assert text.startswith("name: pi # ours\n"), "what a person wrote stays"
    assert "# From a table." in text
    assert board.left() == []
    assert len(published.reference_models(found, "float32")) == 2, "estimates rest on them from now on"
    again = profile.read_text()
    measured(targets.at(found, board.reach), again, profile, TWO[:1])
    assert len(targets.load(profile).references) == 2, "they take the place of those before"


@pytest.mark.slow
def test_nothing_is_written_when_the_device_goes(board: Board, profile: Path) -> None:
    before = profile.read_text()

    def say(done: int, total: int, words: str) -> None:
        if done == 1:
            board.unplug()

    with pytest.raises(DeviceError):
        measured(targets.at(targets.load(profile), board.reach), before, profile, TWO, say)
    assert profile.read_text() == before
    assert board.left() == []


def test_a_target_without_a_device(profile: Path) -> None:
    with pytest.raises(UserError, match="`pi` has `reach: none`"):
        measured(targets.load(profile), "", profile, TWO)
    for reach in ("ssh//pi", "pi@board", "ssh://a b"):
        said = edgepress("calibrate", profile, "--on", reach)
        assert said.code == 2
        assert f"`{reach}` is no device" in said.err
    assert all(name.count("@") == 1 for name in calibrate.NETWORKS)
    assert len(calibrate.NETWORKS) >= estimate.ENOUGH


def test_the_doctor_here() -> None:
    said = edgepress("doctor")
    assert said.code == 0
    assert "ok    onnxruntime 1" in said.out


def test_the_doctor_of_a_board(board: Board, profile: Path, tmp_path: Path) -> None:
    said = edgepress("doctor", profile, "--on", board.reach)
    assert said.code == 0, said
    assert f"ok    {board.reach} is reachable: " in said.out
    assert "free in its /tmp" in said.out
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    profile.write_text(PROFILE.format(python=tmp_path / "bare/bin/python"))
    said = edgepress("doctor", profile, "--on", board.reach)
    assert said.code == 4
    assert f"MISS  {board.reach} has no numpy and no onnxruntime" in said.out
    assert "-m pip install numpy onnxruntime" in said.out
    board.unplug()
    said = edgepress("doctor", profile, "--on", board.reach)
    assert said.code == 4
    assert "Connection refused" in said.out
    assert edgepress("doctor", profile).code == 0, "it has references to be estimated from"
