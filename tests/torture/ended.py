"""How a command ended, and which of that is a fault."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

VERDICTS = (0, 1, 2, 4)
"""Exit codes of a command that nobody interrupts: 3 is a crash, 130 and 141 need a signal."""
SECONDS = 10.0
"""Longest wall time of a command on a mutated file; on a loaded machine as much CPU time, see `hangs`."""
MEGABYTES = 1024
"""Most memory of a command's processes together, beyond that of an idle one."""
TIMED = ("hang", "unheeded", "memory")
"""Faults that depend on the machine."""
HEED = 2.0
"""Longest time from a signal to the end."""
TRACEBACK = "Traceback (most recent call last)"
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys, or that change the order of the line."""
_COMMAND = re.compile(r"^::", re.MULTILINE)
"""What GitHub takes for a command, on either stream."""
_CRASH = re.compile(r"^edgepress crashed: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Ended:
    """`code` is negative for a signal; `memory` in MB beyond an idle process; `heeded` from a signal to the end."""

    code: int
    out: str
    err: str
    wall: float
    cpu: float
    memory: int
    orphans: int = 0
    heeded: float | None = None
    load: float = 1.0
    """Runnable processes for each core while it ran, at least 1."""

    @property
    def hangs(self) -> bool:
        """Over the limit in CPU time, or in wall time even if the machine was shared fairly with its load."""
        return max(self.cpu, self.wall / self.load) > SECONDS


@dataclass(frozen=True)
class Fault:
    kind: str
    detail: str = ""


def faults(ended: Ended, codes: Collection[int] = VERDICTS, timed: bool = True, commands: bool = False) -> list[Fault]:
    """Return every way in which a command broke its word.

    `timed`: it has to end within `SECONDS`; `commands`: its output is for GitHub, and has commands of its own.
    """
    both = f"{ended.out}\n{ended.err}"
    found = []
    if ended.code < 0:
        found.append(Fault("signal", f"killed by signal {-ended.code}"))
    elif ended.code not in codes:
        crash = _CRASH.search(ended.err)
        found.append(Fault("crash" if ended.code == 3 else "exit code", crash[1] if crash else f"exit {ended.code}"))
    if TRACEBACK in both:
        found.append(Fault("traceback", both[both.index(TRACEBACK) :].strip().splitlines()[-1][:200]))
    if timed and ended.hangs:
        found.append(Fault("hang", f"{ended.wall:.1f} s, {ended.cpu:.1f} s of CPU time"))
    if ended.memory > MEGABYTES:
        found.append(Fault("memory", f"{ended.memory} MB"))
    if ended.heeded is not None and ended.heeded / ended.load > HEED:
        found.append(Fault("unheeded", f"{ended.heeded:.1f} s after the signal"))
    if ended.orphans:
        found.append(Fault("orphans", f"{ended.orphans} processes left"))
    if ended.code == 2 and not ended.err.strip():
        found.append(Fault("no message"))
    return [*found, *(each for each in obeyed(both) if not (commands and each.kind == "CI command"))]


def obeyed(text: str) -> Iterable[Fault]:
    """Yield a fault for words of a file that a terminal or a CI would obey."""
    if control := _CONTROL.search(text):
        yield Fault("control character", ascii(text[max(control.start() - 40, 0) : control.end() + 20]))
    if command := _COMMAND.search(text):
        yield Fault("CI command", ascii(text[command.start() : command.start() + 60]))


def names(ended: Ended, *words: str) -> list[Fault]:
    """Return a fault unless the message holds one of `words`: the planted cause."""
    text = ended.err.lower()
    return [] if any(word.lower() in text for word in words) else [Fault("cause", (ended.err.strip() or "none")[-300:])]
