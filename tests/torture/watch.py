"""Watch a command: its time, its memory, when to send a signal, how it ends and what it leaves running."""

from __future__ import annotations

import os
import resource
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.torture.ended import Ended

POLL, LOOK = 0.005, 0.08
"""Seconds between two looks at whether a command has ended, and at its memory."""
MOST = 3 << 30
"""Bytes at which a command is killed: the machine is shared."""


@dataclass(frozen=True)
class Stop:
    """A signal after some seconds, to the process, to its group, as Ctrl-C does, or to a child if it has one."""

    signal: signal.Signals
    after: float
    group: bool = False
    child: bool = False

    def send(self, pid: int) -> bool:
        """Return whether it was sent: to a child as soon as there is one."""
        if self.child:
            children = psutil.Process(pid).children()
            for child in children[:1]:
                child.send_signal(self.signal)
            return bool(children)
        os.kill(-pid if self.group else pid, self.signal)
        return True


def watch(
    pid: int, started: float, folder: Path, stop: Stop | None, wait: float, idle: int = 0, base: int = 0
) -> Ended:
    """Wait for the end of a process; kill it after `wait` seconds.

    An idle process has `idle` bytes, and each fork of a zygote its `base`: they do not count.
    """
    sent, memory, looked, code, cpu = None, 0, 0.0, None, 0.0
    others = {process.pid for process in psutil.Process().children()} - {pid}
    while code is None:
        time.sleep(POLL)
        now = time.monotonic() - started
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if ended:
            code, cpu = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
        elif stop and sent is None and now >= stop.after:
            sent = time.monotonic() if stop.send(pid) else None
        elif now - looked > LOOK:
            looked = now
            memory = max(memory, _memory(pid, base) - idle)
            if memory > MOST or now > wait:
                _kill_all(pid)
    return Ended(
        code=code,
        out=_text(folder / "out"),
        err=_text(folder / "err"),
        wall=time.monotonic() - started,
        cpu=cpu,
        memory=memory >> 20,
        heeded=time.monotonic() - sent if sent else None,
        orphans=_orphans(others),
        load=max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)),
    )


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(1 << 20).decode(errors="backslashreplace")


def _memory(pid: int, base: int) -> int:
    """Return the bytes that a process and its descendants hold; forks of a zygote beyond its `base` each."""
    held = 0
    with suppress(psutil.Error, OSError, ValueError):
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            forked = base and _command_line(process.pid) == _command_line(os.getpid())
            held += max(0, anonymous(process.pid) - (base if forked else 0))
    return held


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def anonymous(pid: int) -> int:
    """Return the bytes that a process holds, but for files."""
    resident, shared = Path(f"/proc/{pid}/statm").read_text().split()[1:3]
    return (int(resident) - int(shared)) * resource.getpagesize()


def _kill_all(pid: int) -> None:
    with suppress(psutil.Error):
        for process in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
            with suppress(psutil.Error):
                process.kill()


def _orphans(others: set[int]) -> int:
    """Kill and count what the command left running, after a moment in which it may end by itself."""
    left = [process for process in psutil.Process().children(recursive=True) if process.pid not in others]
    running = psutil.wait_procs(left, timeout=1.0)[1] if left else []
    for process in running:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(running, timeout=1.0)
    return len(running)
