"""Run the command line in processes of its own, and watch their time, memory and end.

`Fresh` starts `python -m edgepress`. `Zygote` forks this process, which has imported the libraries before, so that a
command on a small file takes its own time and not that of the imports; all else is the same code and the same exit.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.torture.ended import Ended

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "edgepress")
POLL, LOOK = 0.005, 0.08
"""Seconds between two looks at whether a command has ended, and at its memory."""
WAIT = 40.0
"""Seconds after which a command is killed: long enough to see a limit of its own at work."""
MOST = 3 << 30
"""Bytes at which it is killed: the machine is shared."""
_SUBREAPER = 36


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


@dataclass
class Fresh:
    """Run commands in new Python processes; `folder` holds `work`, `tmp`, and what was printed."""

    environment: Mapping[str, str] = field(default_factory=dict)
    idle: int = 0
    """Bytes of an idle process: what its imports hold."""
    base = 0

    def start(self, arguments: Sequence[str], folder: Path, prefix: Sequence[str], setup: Callable[[], None]) -> int:
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            process = subprocess.Popen(
                [*prefix, *COMMAND, *arguments],
                cwd=folder / "work",
                env=_environment(folder) | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=setup,
            )
        process.returncode = 0  # `watch` reaps it
        return process.pid

    def run(
        self,
        arguments: Sequence[str],
        folder: Path,
        *,
        stop: Stop | None = None,
        wait: float = WAIT,
        prefix: Sequence[str] = (),
        setup: Callable[[], None] = lambda: None,
    ) -> Ended:
        """Run `edgepress ARGUMENTS` in `folder/work`; kill what is left of it after `wait` seconds."""
        for name in ("work", "tmp", "home"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        pid = self.start(list(arguments), folder, prefix, setup)
        return _watch(pid, started, folder, stop, wait, self)


class Zygote(Fresh):
    """Run commands in forks of this process."""

    def __init__(self, modules: Sequence[str]) -> None:
        super().__init__()
        for module in modules:
            with suppress(ImportError):
                importlib.import_module(module)
        self.base = _anonymous(os.getpid())

    def start(self, arguments: Sequence[str], folder: Path, prefix: Sequence[str], setup: Callable[[], None]) -> int:
        if pid := os.fork():
            return pid
        code = 1
        try:
            os.setsid()
            for number, name in enumerate((os.devnull, folder / "out", folder / "err")):
                opened = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
                os.dup2(opened, number)
                os.close(opened)
            os.chdir(folder / "work")
            environment = _environment(folder)
            os.environ.clear()
            os.environ.update(environment)
            tempfile.tempdir = None
            sys.stdin, sys.stdout, sys.stderr = (
                os.fdopen(number, "rw"[number > 0], closefd=False) for number in range(3)
            )
            sys.stderr.reconfigure(line_buffering=True, errors="backslashreplace")
            sys.argv = ["edgepress", *arguments]
            signal.signal(signal.SIGINT, signal.default_int_handler)
            setup()
            code = _main()
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(Exception):
                sys.stdout.flush()
            os._exit(code)


def _main() -> int:
    """Run the entry point as Python would; return its exit code."""
    from edgepress.__main__ import main

    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def idle(modules: Sequence[str]) -> int:
    """Return the bytes of a process that has imported `modules` and does nothing."""
    code = f"import importlib, sys\nfor name in {list(modules)!r}: importlib.import_module(name)\nprint(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment(Path())) as process:
        assert process.stdout and process.stdout.readline()
        return _anonymous(process.pid)


def adopt_orphans() -> None:
    """Become the parent of processes whose own has ended, so that they can be counted and killed."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "pipeline"),
        "TMPDIR": str(folder / "tmp"),
        "HOME": str(folder / "home"),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
    }


def _watch(pid: int, started: float, folder: Path, stop: Stop | None, wait: float, runner: Fresh) -> Ended:
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
            memory = max(memory, _memory(pid, runner.base) - runner.idle)
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
            held += max(0, _anonymous(process.pid) - (base if forked else 0))
    return held


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _anonymous(pid: int) -> int:
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
