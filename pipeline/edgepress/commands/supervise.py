"""Run work in a child process, and say what ended it where it cannot say so itself.

A model that crashes a runtime, the kernel when memory runs out, and native code that ignores Ctrl-C end or hold the
child. The parent imports the standard library alone and runs no model, so none of these can happen to it.
"""

from __future__ import annotations

import mmap
import os
import resource
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn

from ..core import activity, child_processes, streams

PATIENCE = 1.5
"""Seconds that the child has to end by itself after an interruption."""
_AGAIN = 0.3
"""Seconds after which Ctrl-C is a second one: a terminal's reaches both processes at about the same time."""
WRONG, CRASHED, INTERRUPTED = 2, 3, 130
INTERRUPTED_WORDS = "interrupted; the same command continues from here"
_STOPS = (signal.SIGINT, signal.SIGTERM)
_LOADING = ("create_module", "exec_module")
_interrupted = threading.Event()
_SUBREAPER = 36
"""Option of Linux's prctl: orphans become this process's children."""


def main() -> NoReturn:
    """Run the command line and exit with its code.

    At once: while the interpreter ends, Python has no handlers any more, and a signal would end the process.
    """
    streams.open_all()
    os._exit(supervised(_command_line))


def _command_line() -> int:
    from . import exit_codes
    from .main import cli

    return exit_codes.run(cli)


def supervised(work: Callable[[], int]) -> int:
    """Return the exit code of `work`, which runs in a child process; its end by a signal becomes words and a code."""
    arrived: list[int] = []
    stops = [number for number in _STOPS if signal.getsignal(number) != signal.SIG_IGN]
    for number in stops:
        signal.signal(number, lambda number, frame: arrived.append(number))
    area = mmap.mmap(-1, activity.SIZE)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        for number in stops:
            signal.signal(number, _end_quietly)
        if arrived:
            os._exit(INTERRUPTED)
        child_processes.end_with(parent)
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        activity.attach(area)
        _silence_libraries()
        sys.unraisablehook, sys.excepthook = _raise_again, _dropped
        threading.excepthook = _lost_in_thread
        code = _code(work)
        if code == INTERRUPTED:
            os._exit(code)  # all blocks have ended; the interpreter's own end may take a second
        activity.announce(code)
        sys.exit(code)
    _prctl(_SUBREAPER, 1)
    return _Supervisor(child, area, arrived).wait()


def _code(work: Callable[[], int]) -> int:
    """Return the exit code of `work`; an error that it leaves never ends with the code of a budget."""
    try:
        return work()
    except KeyboardInterrupt:  # within the words for another error
        _say(INTERRUPTED_WORDS)
        return INTERRUPTED
    except MemoryError:
        os.write(2, b"error: memory ran out\n  = help: " + activity.LESS_MEMORY.encode() + b"\n")
        os._exit(WRONG)
    except Exception:
        sys.excepthook(*sys.exc_info())
        os._exit(CRASHED)


def _silence_libraries() -> None:
    """Leave out what libraries log and warn of: it quotes foreign words, and what is wrong is raised as well.

    `python -W default -m edgepress …` shows the warnings.
    """
    import logging
    import warnings

    logging.getLogger().addHandler(logging.NullHandler())
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def interrupt_once() -> None:
    """Let the first interruption raise KeyboardInterrupt, and no other: the work ends meanwhile, or is killed."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if _loads_extension(frame):
            _soon(interrupt)
            return
        _interrupted.set()
        for stop in _STOPS:
            signal.signal(stop, signal.SIG_IGN)
        raise KeyboardInterrupt

    for stop in _STOPS:
        if signal.getsignal(stop) != signal.SIG_IGN:
            signal.signal(stop, interrupt)


def _raise_again(lost: sys.UnraisableHookArgs) -> None:
    """Raise an interruption that came while an object was deleted, where Python drops it with a traceback.

    Other errors of deletions follow from an interruption, once there was one.
    """
    if lost.exc_type is KeyboardInterrupt:
        _interrupt_soon()
    elif not _interrupted.is_set():
        sys.__unraisablehook__(lost)


def _dropped(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Raise an interruption that came in an import of a library in C, which would print it and go on."""
    if kind is KeyboardInterrupt:
        _interrupt_soon()
    elif not _interrupted.is_set():
        sys.__excepthook__(kind, error, trace)


def _interrupt_soon() -> None:
    """Raise KeyboardInterrupt in a moment: what is raised in a hook is dropped too."""
    _soon(signal.default_int_handler)


def _soon(handler: Callable[[int, FrameType | None], Any]) -> None:
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001)


def _loads_extension(frame: FrameType | None) -> bool:
    """Whether a library in C is being loaded: one in C++ may end the process when Python code that it calls raises."""
    while frame is not None:
        code = frame.f_code
        if code.co_filename == ExtensionFileLoader.exec_module.__code__.co_filename and code.co_name in _LOADING:
            return isinstance(frame.f_locals.get("self"), ExtensionFileLoader)
        frame = frame.f_back
    return False


def _lost_in_thread(lost: threading.ExceptHookArgs) -> None:
    """Show the error that ends a thread, but for those that follow from an interruption."""
    if not _interrupted.is_set():
        threading.__excepthook__(lost)


@contextmanager
def interruptions_kept() -> Iterator[None]:
    """Raise KeyboardInterrupt for every error after an interruption: a library whose import fails has others."""
    _interrupted.clear()
    try:
        yield
    except Exception as error:
        if _interrupted.is_set():
            raise KeyboardInterrupt from error
        raise


def _end_quietly(number: int, frame: FrameType | None) -> NoReturn:
    """End before the work has begun to handle interruptions."""
    os._exit(INTERRUPTED)


class _Supervisor:
    """Wait for a child, forward interruptions to it, and put its end in words."""

    def __init__(self, child: int, area: mmap.mmap, arrived: list[int]) -> None:
        self.child, self.area, self.arrived = child, area, arrived
        self.interrupted: float | None = None

    def wait(self) -> int:
        """Return the exit code of the command."""
        status = self._status()
        note = activity.read(self.area)
        exited = os.WIFEXITED(status)
        if exited and os.WEXITSTATUS(status) in (WRONG, CRASHED, INTERRUPTED, int(note.get("code", -1))):
            return os.WEXITSTATUS(status)
        self._kill_orphans()
        if sys.stderr and sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K\x1b[?25h")  # a progress bar hides the cursor
        if self.interrupted is not None or (not exited and os.WTERMSIG(status) in _STOPS):
            _say(INTERRUPTED_WORDS)
            return INTERRUPTED
        from ..core import native_death
        from ..core.system_errors import SystemFault

        number = 0 if exited else os.WTERMSIG(status)
        error = native_death.exited(os.WEXITSTATUS(status), note) if exited else native_death.error(number, note)
        _say(str(error))
        known = "file" in note or "seconds" in note or isinstance(error, SystemFault)
        return WRONG if known else CRASHED

    def _status(self) -> int:
        """Return the child's status of `waitpid`. A signal wakes the process at once."""
        awake, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(awake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        while True:
            ended, status = os.waitpid(self.child, os.WNOHANG)
            if ended:
                return status
            self._forward()
            left = None if self.interrupted is None else max(0.0, self.interrupted + PATIENCE - time.monotonic())
            ready, _, _ = select.select([awake], [], [], left)
            if ready:
                with suppress(BlockingIOError):
                    os.read(awake, 4096)
            elif left is not None:
                os.kill(self.child, signal.SIGKILL)

    def _forward(self) -> None:
        """Pass an interruption on; kill the child at a second one."""
        while self.arrived:
            number, now = self.arrived.pop(0), time.monotonic()
            if self.interrupted is None:
                self.interrupted = now
                os.kill(self.child, number)
            elif now - self.interrupted > _AGAIN:
                os.kill(self.child, signal.SIGKILL)

    def _kill_orphans(self) -> None:
        """Kill what the child has started in this session, such as workers; a daemon has one of its own."""
        session = os.getsid(0)
        for process in _descendants(os.getpid()):
            with suppress(ProcessLookupError, PermissionError):
                if os.getsid(process) == session:
                    os.kill(process, signal.SIGKILL)


def _descendants(ancestor: int) -> list[int]:
    """Return the processes that a process has started, and those that these have; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            parent = int(status.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(status.parent.name))
    found = list(children.get(ancestor, ()))
    for process in found:
        found += children.get(process, ())
    return found


def _prctl(option: int, value: int) -> None:
    """Call Linux's prctl; elsewhere an end of the parent leaves the child running, as for any command."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _say(words: str) -> None:
    with suppress(OSError, AttributeError):  # standard error may be closed
        print(words, file=sys.stderr, flush=True)
