"""A process that waits for another says so at once, without a terminal, and can be interrupted."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from edgepress.core import file_lock

COMMAND = """
import sys
from pathlib import Path

import click
from edgepress.commands import exit_codes
from edgepress.core import file_lock


@click.command()
def command():
    with file_lock.hold(Path("lock"), "`small` as well"):
        print("has it")


sys.exit(exit_codes.run(command))
"""


def waiting(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """A command that waits for the lock of `folder`, and the line that it printed."""
    command = [sys.executable, "-c", COMMAND]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    return process, process.stderr.readline()


def test_who_has_it_is_said_at_once_and_it_follows(tmp_path: Path) -> None:
    with file_lock.hold(tmp_path / "lock", "it"):
        process, line = waiting(tmp_path)
        words = (
            rf"waiting for process {os.getpid()}, begun \d\d:\d\d:\d\d, which makes `small` as well; Ctrl-C gives up\n"
        )
        assert re.fullmatch(words, line), line
    assert process.communicate(timeout=60) == ("has it\n", "")
    assert process.returncode == 0


def test_an_interrupt_ends_the_waiting_at_once(tmp_path: Path) -> None:
    with file_lock.hold(tmp_path / "lock", "it"):
        process, _ = waiting(tmp_path)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=5)
    assert (process.returncode, out) == (130, "")
    assert err.strip() == "interrupted; the same command continues from here"


def test_it_is_said_again_while_it_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_lock, "AGAIN", 0.1)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if len(lines) == 3:
            holder.kill()

    script = "import filelock, time\nwith filelock.FileLock('lock'): print(1, flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE)
    assert holder.stdout
    holder.stdout.readline()
    with file_lock.hold(tmp_path / "lock", "it", say):
        assert lines[0] == "waiting for another process, which makes it; Ctrl-C gives up"
        assert lines[2].startswith("still waiting after 0 s for another process")
    holder.communicate()


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        ({"pid": 7, "host": "lab-2", "since": 0}, r"process 7 on lab-2, begun 19(69|70)-\d\d-\d\d \d\d:\d\d:\d\d"),
        ({"pid": 7, "host": socket.gethostname(), "since": time.time()}, r"process 7, begun \d\d:\d\d:\d\d"),
        ({"pid": 7, "host": "::error::x\n", "since": 0}, r"process 7, begun 19.*"),
        ({"pid": "::x", "host": "lab-2", "since": 0}, "another process"),
        ({"pid": 7, "host": "lab-2", "since": 1e300}, "another process"),
        ([], "another process"),
    ],
)
def test_the_holder_is_described_whatever_the_file_has(stored: Any, words: str, tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(json.dumps(stored))
    assert re.fullmatch(words, file_lock._holder(tmp_path / "lock"))


def test_one_process_at_a_time_is_alone_in_a_folder(tmp_path: Path) -> None:
    """It has no file of the lock's; the kernel ends it with its process."""
    folder, command = tmp_path / "run", COMMAND.replace('hold(Path("lock"), ', 'alone(Path("run"), ')
    with file_lock.alone(folder, "the files in `run`"):
        process = subprocess.Popen(
            [sys.executable, "-c", command], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr
        assert process.stderr.readline().startswith("waiting for another process, which makes `small` as well")
        assert not [*folder.iterdir()]
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "has it\n")
