"""A board over ssh, against a real sshd: what it is asked, every way to fail, and that nothing is left on it."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from edgepress.benchmark import paired
from edgepress.benchmark.devices import agent, remote
from edgepress.benchmark.devices.connect import connect
from edgepress.benchmark.devices.transport import DeviceError
from edgepress.benchmark.paired import Model
from edgepress.core.results import Report

from tests import graphs
from tests.conftest import Place, edgepress

from .board import Board


@pytest.fixture
def model(tmp_path: Path) -> Path:
    onnx.save(graphs.small(), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """A Python without any package."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    return str(tmp_path / "bare" / "bin" / "python")


def test_files_go_there_and_come_back(board: Board, tmp_path: Path) -> None:
    sent = tmp_path / "sent.bin"
    sent.write_bytes(os.urandom(3_000_000))
    with connect(board.reach, sys.executable) as device:
        path = device.push(sent)
        assert Path(path).parent.parent == board.folder
        assert device.pull(path) == sent.read_bytes()
        assert device.push(sent) == path, "the same bytes are sent once"
        with pytest.raises(DeviceError, match="has no `/not/there`"):
            device.pull("/not/there")
        assert len(device.pull(path)) == 3_000_000, "an error is no end"
    assert board.left() == []


def test_programs_run_there(board: Board) -> None:
    with connect(board.reach, sys.executable) as device:
        done = device.run(["cat"], "word\n")
        assert (done.code, done.out, done.err) == (0, "word\n", "")
        done = device.run(["sh", "-c", "echo a; echo b >&2; exit 3"])
        assert (done.code, done.out, done.err) == (3, "a\n", "b\n")
        with pytest.raises(DeviceError, match="has no `nothing-of-this-name`"):
            device.run(["nothing-of-this-name"])
        with pytest.raises(DeviceError, match=r"`sleep` took more than 1 s"):
            device.run(["sleep", "60"], timeout=1)
        assert device.run(["true"]).code == 0
        assert not [each for each in board.processes() if "sleep" in each]


def test_it_says_what_it_is(board: Board) -> None:
    with connect(board.reach, sys.executable) as device:
        info = device.info()
    assert info["architecture"] == os.uname().machine
    assert info["cores"] == os.cpu_count()
    assert info["versions"]["numpy"] == np.__version__
    assert info["executable"] == sys.executable


def test_models_are_timed_and_weighed_there(board: Board, model: Path) -> None:
    with connect(board.reach, sys.executable) as device:
        models = [Model("one", model), Model("two", model)]
        found = paired.measure(models, looks=(2,), rounds=3, device=device)
        assert [len(each.cpu) for each in found] == [2, 2]
        assert {len(process) for each in found for process in each.cpu} == {3}
        weighed = paired.weigh(found[0], models[0], device)
        assert weighed.memory is not None
        assert weighed.memory > 10e6
        assert len(weighed.load) == paired.COLD
    assert board.left() == []


def nothing(board: Board) -> None:
    pass


@pytest.mark.parametrize(
    ("python", "first", "message", "help"),
    [
        ("no-such-python", nothing, "no-such-python: not found", "`python: /path/to/python3` in the target"),
        (sys.executable, Board.unplug, "Connection refused", "is its ssh server running?"),
        (
            sys.executable,
            lambda board: (board.config.parent / "user.pub").write_text(""),
            "Permission denied",
            "`ssh-copy-id 127.0.0.1 -p ",
        ),
        (
            sys.executable,
            lambda board: (board.config.parent / "known_hosts").write_text(""),
            "Host key verification failed",
            "connect once by hand",
        ),
    ],
    ids=["no python", "no server", "no key", "unknown host"],
)
def test_why_it_cannot_be_reached(
    python: str, first: Callable[[Board], object], message: str, help: str, board: Board
) -> None:
    first(board)
    with pytest.raises(DeviceError) as error, connect(board.reach, python):
        pass
    assert message in error.value.message
    assert board.reach in error.value.message
    assert help in error.value.help
    assert board.left() == []


def test_a_shell_that_talks_is_told(board: Board) -> None:
    script = board.config.parent / "python"
    script.write_text("#!/bin/sh\necho Welcome to the board\nsleep 1\n")
    script.chmod(0o755)
    with pytest.raises(DeviceError, match="prints text before it runs a command"), connect(board.reach, str(script)):
        pass


def test_a_device_that_falls_silent_is_given_up(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    script = board.config.parent / "python"
    script.write_text("#!/bin/sh\nexec sleep 30\n")
    script.chmod(0o755)
    monkeypatch.setattr(remote, "HELLO", 0.5)
    monkeypatch.setattr(remote, "LEAVE", 0.5)
    with pytest.raises(DeviceError, match="did not answer for 0 s: connecting"), connect(board.reach, str(script)):
        pass


def test_a_full_disk_is_told_and_cleaned(board: Board, tmp_path: Path) -> None:
    """The board's /tmp is 1 MB: a small file system, which only root can mount."""
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", board.folder]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here: run the tests as root")
    try:
        large = tmp_path / "large.onnx"
        large.write_bytes(os.urandom(2_000_000))
        with pytest.raises(DeviceError) as error, connect(board.reach, sys.executable) as device:
            device.push(large)
        assert error.value.message == f"{board.reach}: its disk is full: `large.onnx` takes 2.00 MB"
        assert board.left() == []
    finally:
        subprocess.run(["umount", board.folder], check=True)


def test_what_a_killed_agent_left_is_swept_by_the_next(board: Board) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    stale, other = board.folder / f"{agent.PREFIX}stale", board.folder / f"{agent.PREFIX}running"
    theirs = board.folder / f"{agent.PREFIX}daemon"
    for folder, name, pid in ((stale, agent.PID, gone.pid), (other, agent.PID, os.getpid()), (theirs, "pid", gone.pid)):
        folder.mkdir()
        (folder / name).write_text(str(pid))
    with connect(board.reach, sys.executable):
        assert not stale.exists()
        assert other.exists(), "that of another connection stays"
        assert theirs.exists(), "a daemon's own folder with its pid is no agent's"


def bench(*arguments: object) -> tuple[int, str]:
    said = edgepress("bench", *arguments)
    assert "Traceback" not in said.err
    return said.code, said.out + said.err


def test_bench_on_a_device(board: Board, model: Path, tmp_path: Path) -> None:
    target = tmp_path / "board.yaml"
    text = f"name: board\nruntime: onnxruntime\nreach: {board.reach}\npython: {sys.executable}\nbudgets: {{}}\n"
    target.write_text(text)
    code, said = bench(model, "--on", target)
    assert code == 0
    assert f", {os.uname().machine}, {os.cpu_count()} cores" in said
    target.write_text(text + "architecture: riscv64\n")
    code, said = bench(model, "--on", target)
    assert code == 4
    assert f"{board.reach} is {os.uname().machine}, and the target is riscv64" in said
    assert board.left() == []


def test_a_runtime_that_is_missing_is_told(board: Board, model: Path, bare: str, tmp_path: Path) -> None:
    target = tmp_path / "board.yaml"
    target.write_text(f"name: board\nruntime: onnxruntime\nreach: {board.reach}\npython: {bare}\nbudgets: {{}}\n")
    code, said = bench(model, "--on", target)
    assert code == 4
    assert f"{board.reach} has no numpy and no onnxruntime for Python" in said
    assert f"`{bare} -m pip install numpy onnxruntime`" in said


@pytest.mark.parametrize(
    ("on", "words"),
    [("ssh://", "`ssh://` is no device"), ("host", "`host` says"), ("raspberry-pi-4", "has `reach: none`")],
)
def test_what_is_no_device(on: str, words: str, model: Path) -> None:
    code, said = bench(model, "--on", on)
    if on == "host":
        assert code == 0, "this machine is one"
    else:
        assert code == 2
        assert words in said


def test_a_run_judges_the_board(copy: Place, board: Board) -> None:
    budgets = "{size: 5 MB, latency: 1 s, memory: 4 GB, accuracy_drop: 60 points}"
    (copy.folder / "phone.yaml").write_text(
        f"name: pi\nruntime: litert\nreach: {board.reach}\npython: {sys.executable}\nbudgets: {budgets}\n"
    )
    said = copy.run()
    assert said.code == 0, said
    assert re.search(
        r"pi\s+int8-tflite.tflite, latency measured: litert, 1 thread, 4 × 100 rounds, CPU\s+time, on", said.out
    )
    report = Report.model_validate_json((copy.runs / "whole" / "report.json").read_text())
    assert [each.path.endswith("int8-tflite.tflite") for each in report.samples if each.device == "pi"] == [True]
    assert report.devices["pi"].error == ""
    assert "versions" in report.devices["pi"].before
    board.unplug()
    said = copy.run()
    assert said.code == 4
    assert "no number; a missing measurement never passes" in said.out
    assert "Connection refused" in said.out
    assert copy.check().code == 4, "the report knows it too"


@pytest.mark.parametrize("number", range(20))
def test_unplugged_at_any_moment(number: int, board: Board, model: Path, tmp_path: Path) -> None:
    """Every server process of the board is killed: exit 4 in time, no process and no file left on either side."""
    target = tmp_path / "board.yaml"
    target.write_text(
        f"name: board\nruntime: onnxruntime\nreach: {board.reach}\npython: {sys.executable}\nbudgets: {{}}\n"
    )
    here = tmp_path / "here"
    here.mkdir()
    command = [sys.executable, "-m", "edgepress", "bench", model, "--against", model, "--tolerance", "0%"]
    process = subprocess.Popen(
        [*command, "--on", target],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(here)},
    )
    time.sleep(random.Random(number).uniform(0.3, 4.0))
    board.unplug()
    started = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - started < 30
    assert process.returncode == 4, (out, err)
    assert "error: ssh://127.0.0.1" in err
    assert "= help: is i" in err
    assert board.left() == []
    assert list(here.iterdir()) == []
