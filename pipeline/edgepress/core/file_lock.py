"""Hold a file lock, and report on standard error who has it while waiting for it."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EBADF, EINVAL, ENOLCK, ENOTSUP
from pathlib import Path

from . import printable

AGAIN = 30.0
"""Seconds after which a process that still waits says so again."""
Say = Callable[[str], None]


@contextmanager
def hold(path: Path, what: str, say: Say | None = None) -> Iterator[None]:
    """Hold the lock `path` while `what` is made.

    A process that has to wait says at once, and every `AGAIN` seconds, which process has the lock and since when; by
    default on standard error. The holder is written into the lock file, which stays: the lock itself is the kernel's,
    and ends with its process.
    """
    from filelock import FileLock, Timeout

    say = say or _print
    lock, started, timeout = FileLock(path), time.monotonic(), 0.0
    while True:
        try:
            lock.acquire(timeout=timeout)
            break
        except Timeout:
            waited = time.monotonic() - started
            still = f"still waiting after {waited:.0f} s" if timeout else "waiting"
            say(f"{still} for {_holder(path)}, which makes {what}; Ctrl-C gives up")
            timeout = AGAIN
    try:
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
        path.write_text(json.dumps(holder), encoding="utf-8")
        yield
    finally:
        lock.release()


@contextmanager
def alone(folder: Path, what: str, say: Say | None = None) -> Iterator[None]:
    """Be the only process that makes `what` in `folder`, by a lock of the folder itself, which leaves no file.

    A file system without such locks lets all of them go on.
    """
    import fcntl

    say = say or _print
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process, which makes {what}; Ctrl-C gives up")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (EBADF, EINVAL, ENOLCK, ENOTSUP):
                raise
        yield
    finally:
        os.close(descriptor)


def _holder(path: Path) -> str:
    """Describe the process that has the lock, as far as its file tells; the file may be anybody's."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        pid, host, since = int(stored["pid"]), str(stored["host"]), time.localtime(float(stored["since"]))
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return "another process"
    elsewhere = f" on {host}" if host != socket.gethostname() and re.fullmatch(r"[\w.-]{1,64}", host) else ""
    day = "%H:%M:%S" if since[:3] == time.localtime()[:3] else "%Y-%m-%d %H:%M:%S"
    return f"process {pid}{elsewhere}, begun {time.strftime(day, since)}"


def _print(words: str) -> None:
    printable.say(printable.word(words), error=True)
