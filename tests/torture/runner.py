"""Run the command line in processes of its own.

`Fresh` starts `python -m edgepress`. `Zygote` forks this process, which has imported the libraries before, so that a
command on a small file takes its own time and not that of the imports; all else is the same code and the same exit.
"""

from __future__ import annotations

import ctypes
import importlib
import os
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

from tests.torture.ended import Ended
from tests.torture.watch import Stop, anonymous, watch

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "edgepress")
WAIT = 40.0
"""Seconds after which a command is killed: long enough to see a limit of its own at work."""
_SUBREAPER = 36


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
                preexec_fn=setup,  # noqa: PLW1509  no thread runs here
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
        return watch(pid, started, folder, stop, wait, self.idle, self.base)


class Zygote(Fresh):
    """Run commands in forks of this process."""

    def __init__(self, modules: Sequence[str]) -> None:
        super().__init__()
        for module in modules:
            with suppress(ImportError):
                importlib.import_module(module)
        self.base = anonymous(os.getpid())

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
    imports = f"import importlib, sys\nfor name in {list(modules)!r}: importlib.import_module(name)\n"
    code = f"{imports}print()\nsys.stdin.read()"
    command = [sys.executable, "-u", "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment(Path())) as process:
        assert process.stdout
        process.stdout.readline()
        return anonymous(process.pid)


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
