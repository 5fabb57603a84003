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


class Lines:
    """Progress for logs and pipes: a line when a stage begins, now and then while it runs, and when it ends."""

    def __init__(self, *, metric: str = "accuracy", error: bool = False) -> None:
        self.metric, self.error = metric, error
        self.last = 0.0
        self.head = ""

    def begin(self, label: str, use: str, position: int, count: int) -> None:
        self.head = f"[{position + 1}/{count}] {label}" if count else label
        self.last = time.monotonic()
        self._print(f"{self.head}: {use}" if use != label else self.head)

    def advance(self, done: int, total: int, words: str) -> None:
        if time.monotonic() - self.last >= QUIET_SECONDS:
            self.last = time.monotonic()
            self._print(f"{self.head}: {100 * done // max(total, 1)}%, {words}")

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
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[words]}", markup=False),
        )
        self.bars = Progress(*columns, transient=True, console=Console(stderr=True))
        self.bars.start()
        self.task: TaskID | None = None
        self.metric, self.error = metric, error

    def begin(self, label: str, use: str, position: int, count: int) -> None:
        if self.task is not None:
            self.bars.remove_task(self.task)
        head = f"[{position + 1}/{count}] {label}" if count else label
        self.task = self.bars.add_task(printable.word(head), total=None, words="")

    def advance(self, done: int, total: int, words: str) -> None:
        assert self.task is not None
        self.bars.update(self.task, completed=done, total=total, words=printable.word(words))

    def end(self, facts: StageFacts) -> None:
        line = printable.word(summary(facts, metric=self.metric, error=self.error))
        self.bars.console.print(f"  {line}", markup=False, emoji=False, highlight=False)

    def close(self) -> None:
        self.bars.stop()


class Silent:
    """Progress of the processes that train along: none."""

    def begin(self, label: str, use: str, position: int, count: int) -> None: ...
    def advance(self, done: int, total: int, words: str) -> None: ...
    def end(self, facts: StageFacts) -> None: ...
    def close(self) -> None: ...


Shown = Lines | Live | Silent


def progress(*, metric: str = "accuracy", error: bool = False) -> Lines | Live:
    """Choose the progress that suits standard error (the report has standard output); `metric` is the recipe's."""
    return (Live if sys.stderr.isatty() else Lines)(metric=metric, error=error)
