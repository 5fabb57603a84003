"""Show the progress of a run: a live bar in a terminal, lines in a log."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from . import printable
from .metrics import points_of
from .units import show_bytes, show_count, show_score

if TYPE_CHECKING:
    from rich.progress import TaskID

    from .results import StageFacts

QUIET_SECONDS = 10.0
"""A log gets a line about a stage in the making at most this often."""


def summary(facts: StageFacts, *, metric: str = "accuracy", error: bool = False) -> str:
    """Describe a finished stage in one line, with its score by `metric`, which is an `error` or a share."""
    file = facts.files[0]
    how = "cached" if facts.cached else f"{facts.seconds:.1f} s"
    score = file.scores["validation"][metric]
    return (
        f"{facts.name}: {how}, {show_count(facts.parameters)} parameters, {show_bytes(file.bytes)}, "
        f"{show_score(score, error=error, points=points_of(metric))} on validation"
    )


def left(seconds: float) -> str:
    """Describe a time that is estimated: `40 s`, `3 min` or `1.5 h` left."""
    if seconds < 90:
        return f"{seconds:.0f} s left"
    return f"{seconds / 60:.0f} min left" if seconds < 5400 else f"{seconds / 3600:.1f} h left"


class Pace:
    """How much of a piece of work is done by when; a smaller `done` or another `total` begins the next piece."""

    def __init__(self) -> None:
        self.done, self.total, self.began, self.start = 0, 0, 0.0, 0

    def left(self, done: int, total: int, now: float) -> str:
        """Return in words how long the rest takes at the pace so far; empty while nothing tells."""
        if total != self.total or done < self.done:
            self.total, self.began, self.start = total, now, done
        self.done = done
        moved = done - self.start
        return left((now - self.began) * (total - done) / moved) if moved > 0 and done < total else ""


class Lines:
    """Progress for logs and pipes: a line when a stage begins, now and then while it runs, and when it ends."""

    def __init__(self, *, metric: str = "accuracy", error: bool = False) -> None:
        self.metric, self.error = metric, error
        self.heads: dict[str, str] = {}
        self.last: dict[str, float] = {}
        self.paces: dict[str, Pace] = {}

    def begin(self, label: str, use: str, position: int, count: int) -> None:
        self.paces[label] = self.paces[""] = Pace()
        head = self.heads[label] = self.heads[""] = f"[{position + 1}/{count}] {label}" if count else label
        self.last[label] = self.last[""] = time.monotonic()
        self._print(f"{head}: {use}" if use != label else head)

    def advance(self, done: int, total: int, words: str, label: str = "") -> None:
        """Say how far the stage `label` is; by default the last one that began."""
        now = time.monotonic()
        rest = self.paces[label].left(done, total, now)
        if now - self.last[label] >= QUIET_SECONDS:
            self.last[label] = now
            self._print(", ".join(filter(None, (f"{self.heads[label]}: {100 * done // max(total, 1)}%", words, rest))))

    def end(self, facts: StageFacts) -> None:
        self._print(f"  {summary(facts, metric=self.metric, error=self.error)}")

    def close(self) -> None:
        pass

    def _print(self, line: str) -> None:
        printable.say(printable.word(line), error=True)


class Live:
    """Progress for a terminal: a bar with the current work, and a line for each finished stage above it."""

    def __init__(self, *, metric: str = "accuracy", error: bool = False) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[words]}", markup=False),
        )
        self.bars = Progress(*columns, transient=True, console=Console(stderr=True))
        self.bars.start()
        self.tasks: dict[str, TaskID] = {}
        self.last = ""
        self.metric, self.error = metric, error

    def begin(self, label: str, use: str, position: int, count: int) -> None:
        if not count:  # what stands alone follows on what is done
            self._remove(*self.tasks)
        head = f"[{position + 1}/{count}] {label}" if count else label
        self.tasks[label], self.last = self.bars.add_task(printable.word(head), total=None, words=""), label

    def advance(self, done: int, total: int, words: str, label: str = "") -> None:
        task = self.tasks[label or self.last]
        self.bars.update(task, completed=done, total=total, words=printable.word(words))

    def _remove(self, *labels: str) -> None:
        for task in [self.tasks.pop(label) for label in labels if label in self.tasks]:
            self.bars.remove_task(task)

    def end(self, facts: StageFacts) -> None:
        self._remove(facts.name)
        line = printable.word(summary(facts, metric=self.metric, error=self.error))
        self.bars.console.print(f"  {line}", markup=False, emoji=False, highlight=False)

    def close(self) -> None:
        self.bars.stop()


class Silent:
    """Progress of the processes that train along: none."""

    def begin(self, label: str, use: str, position: int, count: int) -> None: ...
    def advance(self, done: int, total: int, words: str, label: str = "") -> None: ...
    def end(self, facts: StageFacts) -> None: ...
    def close(self) -> None: ...


Shown = Lines | Live | Silent


def progress(*, metric: str = "accuracy", error: bool = False) -> Lines | Live:
    """Choose the progress that suits standard error (the report has standard output); `metric` is the recipe's."""
    return (Live if sys.stderr.isatty() else Lines)(metric=metric, error=error)
