"""Note what this process works on, for the one that supervises it, and bound what a foreign graph may take.

The note lies in memory that both processes share, since a process that a native library kills leaves no other word. The
bounds are the kernel's: a graph that computes for ever is ended by SIGXCPU, one that fills memory has an allocation
refused.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import resource
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

SIZE = 65536
"""Bytes of the shared memory: a length of 4 bytes, then JSON."""
LIMITS = "EDGEPRESS_LIMITS"
"""Environment variable: factor of all bounds; 0 is none."""
LESS_MEMORY = (
    "use less: a smaller `batch`, fewer `samples`, or `--limit`; else end other programs, or raise the limit (`ulimit "
    "-v`, the container's)"
)
"""The next act where memory runs out."""
_SECONDS, _SECONDS_PER_BYTE = 6.0, 1 / 50_000
_MEMORY, _COPIES, _ACTIVATIONS = 768 * 2**20, 20, 100
"""Memory of a graph: at least, times the file's size, and times the size of an example."""

Item = TypeVar("Item")

_area: mmap.mmap | None = None
_notes: list[dict[str, str]] = []
_bounds: list[Bounds] = []


def attach(area: mmap.mmap) -> None:
    """Write notes to `area` from here on, and let bounds hold: its reader can say what ended this process."""
    global _area  # noqa: PLW0603, one process has one supervisor
    _area = area


def read(area: mmap.mmap) -> dict[str, str]:
    """Return the last note: any of `stage`, `doing`, `file`, `seconds`, `code`; empty where there is none."""
    length = int.from_bytes(area[:4], "little")
    with suppress(ValueError):
        note: dict[str, str] = json.loads(area[4 : 4 + length] or b"{}")
        return note
    return {}


@contextmanager
def activity(**note: object) -> Iterator[None]:
    """Note `stage`, `doing` (a participle) and `file` while the block runs, beside those of the blocks around it."""
    _notes.append({key: str(value)[:4096] for key, value in note.items()})
    _write()
    try:
        yield
    finally:
        _notes.pop()
        _write()


def announce(code: int) -> None:
    """Note the exit code that this process ends with: one that is not announced is a library's."""
    _notes.append({"code": str(code)})
    _write()


def _write() -> None:
    if _area is None:
        return
    merged: dict[str, str] = {}
    for note in _notes:
        merged |= note
    content = json.dumps(merged).encode()[: SIZE - 4]
    _area[:4] = bytes(4)
    _area[4 : 4 + len(content)] = content
    _area[:4] = len(content).to_bytes(4, "little")


_BY_TICKS = -8
"""The kernel's clock CPUCLOCK_PROF of this process, `(~0 << 3) | 0` (linux/posix-timers.h)."""


class Bounds:
    """CPU seconds of loading a graph and of each of its runs, and bytes of memory until its second run."""

    def __init__(self, file: int, example: int = 0, threads: int = 1) -> None:
        """Set bounds for a graph of `file` bytes that runs on examples of `example` bytes, on `threads` at once."""
        factor = factor_of_limits()
        self.seconds = (_SECONDS + file * _SECONDS_PER_BYTE) * factor
        self.memory = int((_MEMORY + file * _COPIES + example * _ACTIVATIONS) * factor)
        self.holds = factor > 0
        self._threads = threads
        self._runs = 0
        self._due = 0.0
        self._before = {kind: resource.getrlimit(kind) for kind in (resource.RLIMIT_CPU, resource.RLIMIT_DATA)}

    def impose(self) -> None:
        """Bound this process from here on."""
        self.restart()
        if self.holds and (used := data_bytes()):
            lower(resource.RLIMIT_DATA, used + self.memory)

    def begin_run(self) -> None:
        """Give a run its seconds; costs a microsecond. What has run once has the memory that it needs."""
        self._runs += 1
        if self._runs == 2:
            resource.setrlimit(resource.RLIMIT_DATA, self._before[resource.RLIMIT_DATA])
        if limited_seconds() >= self._due:
            self.restart()

    def restart(self) -> None:
        """Give the graph its seconds from here on, and those that run beside it theirs."""
        now = limited_seconds()
        self._due = now + 1
        if self.holds:
            beside = self._threads if self._runs > 1 else 1  # the first run is alone
            lower(resource.RLIMIT_CPU, int(now + self.seconds * beside) + 1)

    def arguments(self, parts: int = 1) -> list[str]:
        """Return seconds, divided by `parts` but not below 2, and bytes, for a process that bounds itself."""
        if not self.holds:
            return [str(resource.RLIM_INFINITY)] * 2
        return [str(max(2, int(self.seconds / parts))), str(self.memory)]

    def lift(self) -> None:
        """Let the limits be as they were."""
        for kind, limits in self._before.items():
            resource.setrlimit(kind, limits)


@contextmanager
def bounded(bounds: Bounds, **note: object) -> Iterator[None]:
    """Hold `bounds` while the block runs, in a supervised process, and `note` it as `activity` does."""
    if _area is None:
        yield
        return
    bounds.impose()
    _bounds.append(bounds)
    try:
        with activity(seconds=f"{bounds.seconds:.0f}", **note):
            yield
    finally:
        _bounds.pop()
        bounds.lift()
        if _bounds:
            _bounds[-1].restart()  # what is left of its seconds may be less than none


def begin_run() -> None:
    """Note that a run of the bounded graph begins."""
    if _bounds:
        _bounds[-1].begin_run()


def begun(examples: Iterable[Item]) -> Iterator[Item]:
    """Yield examples; with each a run of the graph begins."""
    for value in examples:
        begin_run()
        yield value


def factor_of_limits() -> float:
    """Return the factor of all bounds, 1 by default; what is no finite number counts as 1."""
    with suppress(ValueError):
        factor = float(os.environ.get(LIMITS, "1"))
        return max(0.0, factor) if math.isfinite(factor) else 1.0
    return 1.0


def limited_memory() -> int | None:
    """Return the bytes that the user's own limit leaves a process (`ulimit -v`, `ulimit -d`); None without one."""
    limits = (resource.getrlimit(resource.RLIMIT_AS)[0], resource.getrlimit(resource.RLIMIT_DATA)[1])
    return min((limit for limit in limits if limit != resource.RLIM_INFINITY), default=None)


def limited_seconds() -> float:
    """Return the CPU seconds of this process that RLIMIT_CPU is compared with.

    The kernel counts those by ticks (4 ms), a whole one for the process that runs at the tick; `time.process_time` is
    exact. Beside other processes the two come apart, by 4 seconds in 10 where short bursts meet the ticks.
    """
    try:
        return time.clock_gettime(_BY_TICKS)
    except OSError:
        return time.process_time()


def data_bytes() -> int:
    """Return the bytes of this process that RLIMIT_DATA counts; 0 where the system does not say."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[5]) * mmap.PAGESIZE
    return 0


def lower(kind: int, wanted: int) -> None:
    """Limit this process to `wanted`, or to less where the user's own bound is lower."""
    _, hard = resource.getrlimit(kind)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)  # the user's own bound stays
    resource.setrlimit(kind, (limit, hard))
