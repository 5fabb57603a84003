"""The agent on every Python that a board may have, over a pipe in place of ssh."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from edgepress.benchmark import worker
from edgepress.benchmark.devices import agent, remote
from edgepress.benchmark.devices.transport import PYTHON, DeviceError
from edgepress.models import session

OLDEST = (3, 8)
BOARDS = [f"3.{minor}" for minor in range(OLDEST[1], 14)]


def interpreter(version: str) -> str | None:
    """A Python of this version on the machine: on the path, or pyenv's."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return sys.executable
    found = [f"python{version}"]
    if shutil.which("pyenv"):
        script = f'pyenv prefix "$(pyenv latest {version})"'
        prefix = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False).stdout.strip()
        found.append(f"{prefix}/bin/python{version}")
    works = (each for each in found if shutil.which(each) and not _code(each))
    return next(works, None)


def _code(python: str) -> int:
    return subprocess.run([python, "-c", "import json"], capture_output=True, check=False).returncode


@pytest.fixture(params=BOARDS)
def board(request: pytest.FixtureRequest) -> Iterator[remote.Remote]:
    python = interpreter(request.param)
    if python is None:
        pytest.skip(f"no Python {request.param} on this machine")
    with remote.Remote([python, "-c", remote.START, "edgepress"], "board", lambda errors: None) as device:
        yield device


def test_the_protocol_on_every_python(board: remote.Remote, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    info = board.info()
    assert info["python"].startswith(request.node.callspec.params["board"])
    assert info["cores"] > 0
    (tmp_path / "sent").write_bytes(bytes(range(256)) * 1000)
    path = board.push(tmp_path / "sent")
    assert board.pull(path) == (tmp_path / "sent").read_bytes()
    done = board.run([PYTHON, "-c", "import sys; print(input()); sys.stderr.write('b'); sys.exit(3)"], "a\n")
    assert (done.code, done.out, done.err) == (3, "a\n", "b")
    with pytest.raises(DeviceError, match="took more than 1 s"):
        board.run(["sleep", "60"], timeout=1)
    with pytest.raises(DeviceError, match="has no `/not/there`"):
        board.pull("/not/there")
    board.__exit__(None, None, None)
    assert not Path(path).parent.exists()


def test_a_failure_of_the_agent_is_said_at_once() -> None:
    with (
        remote.Remote([sys.executable, "-c", remote.START, "edgepress"], "board", lambda errors: None) as device,
        pytest.raises(DeviceError, match=r"board: a try: AttributeError: .*no attribute 'dance'"),
    ):
        device._request({"do": "dance"}, timeout=60, task="a try")


def test_what_is_no_message_ends_the_agent_and_leaves_nothing() -> None:
    source = Path(agent.__file__).read_bytes()
    command = [sys.executable, "-c", remote.START, "edgepress"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"%d\n" % len(source) + source)
        process.stdin.flush()
        assert b"hello" in process.stdout.readline()
        _, errors = process.communicate(b"hello\n", timeout=60)
    (line,) = errors.decode().splitlines()
    assert line.startswith("the agent was sent something else than a message: JSONDecodeError(")
    assert process.returncode == 0


@pytest.mark.parametrize("file", [agent.__file__, worker.__file__, session.__file__])
def test_what_goes_to_boards_is_written_for_the_oldest_python(file: str) -> None:
    ast.parse(Path(file).read_text(encoding="utf-8"), feature_version=OLDEST)
