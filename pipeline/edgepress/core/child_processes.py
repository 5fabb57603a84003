"""Start Python processes of edgepress's own code.

They work from any folder, and the end of one is never taken for a verdict.

A folder that the user works in may have a `json.py` or a package `edgepress`: with `-P` Python does not look there.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

PYTHON = (sys.executable, "-P")
_LINUX = sys.platform == "linux"
_PACKAGE = __package__.partition(".")[0]
_DEATH_SIGNAL = 1
"""Option of Linux's prctl: the signal to get when the parent ends."""
_BIND = f"""\
import ctypes, os, sys
parent = int(sys.argv.pop(1))
if sys.platform == "linux":
    ctypes.CDLL(None).prctl({_DEATH_SIGNAL}, {int(signal.SIGKILL)}, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
"""
"""`end_with` for a process that has not imported the package, or never does."""
_RUN_FILE = """\
from runpy import run_path
del sys.argv[0]
run_path(sys.argv[0], run_name="__main__")
"""
_RUN = """\
import os, signal, sys
if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
sys.path.insert(0, sys.argv.pop(1))
import {package}
del sys.path[0]
from runpy import run_module
run_module("{module}", run_name="__main__", alter_sys=True)
"""
"""The package is this process's, whatever else has its name; all that it imports is found as here.

Ctrl-C ends it without a traceback, also within an import; a module that has to clean up replaces the handler.
"""


TRACEBACK = "Traceback (most recent call last):\n"
"""How what Python writes of an exception begins."""


class ChildDied(RuntimeError):
    """A process ended otherwise than by saying what is wrong."""


class SaidError(Exception):
    """A process of ours ended with the exit code `code`, and has said why."""

    def __init__(self, code: int) -> None:
        super().__init__(f"a process ended with code {code}, and has said why")
        self.code = code


def script(file: str, *arguments: object) -> list[str]:
    """Return the command that runs a file of ours, which imports nothing of the package; it is `bound`."""
    return [*PYTHON, "-c", _BIND + _RUN_FILE, str(os.getpid()), file, *map(str, arguments)]


def module(name: str, arguments: Sequence[str]) -> list[str]:
    """Return the command that runs the module `name` of this package as `python -m` would."""
    code = _BIND + _RUN.format(package=_PACKAGE, module=name)
    return [*PYTHON, "-c", code, str(os.getpid()), str(Path(__file__).parents[2]), *arguments]


def bound(command: Sequence[str]) -> list[str]:
    """Return the command whose process is killed when this one ends, also by SIGKILL; it would compute on for minutes.

    Linux alone can do that. The thread that starts it has to wait for it: its end counts as the process's.
    """
    code = f"{_BIND}os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-I", "-S", "-c", code, str(os.getpid()), *command] if _LINUX else [*command]


def end_with(parent: int) -> None:
    """Kill this process when `parent`, which forked it, ends."""
    if _LINUX:
        import ctypes

        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def ended(code: int) -> str:
    """Describe how a process ended."""
    if code >= 0:
        return f"ended with code {code}"
    if -code == signal.SIGKILL:
        return f"was killed by signal {-code}; out of memory?"
    signals = {number.value: f" ({number.name})" for number in signal.Signals}
    return f"was killed by signal {-code}{signals.get(-code, '')}"


def cause(errors: str, code: int) -> str:
    """Return in one line why a process ended: the error of the last traceback in what it wrote, or its last line."""
    _, traceback, rest = errors.rpartition(TRACEBACK)
    lines = [line.strip() for line in rest.splitlines() if line.strip() and not (traceback and line[0] == " ")]
    if code < 0 or not lines:
        return f"it {ended(code)}"
    return lines[0 if traceback else -1]
