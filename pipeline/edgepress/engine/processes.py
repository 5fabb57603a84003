"""Make the results of stages that do not depend on each other in processes side by side.

Each has the threads that a stage has in a run without others, on which results depend, and makes one entry of the
cache; the run then takes it from there.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..config.chain import Step, sources
from ..core import child_processes
from ..core.activity import LESS_MEMORY
from ..core.errors import UserError
from ..data.images import free_memory
from .cache import Entry, key_of
from .key import material
from .schedule import Job, Schedule

if TYPE_CHECKING:
    from .engine import Engine, Progress

_PROGRAM = f"{__package__.partition('.')[0]}.commands.stage_process"
_MARGIN = 1.5
"""A further process starts where the free memory is so many times what the largest takes."""


def needs(engine: Engine, step: Step) -> frozenset[str]:
    """Return the labels of the results that shape a step: those that it works on, and the reference if it is above."""
    above = [each.label for each in engine.recipe.steps()]
    above = above[: above.index(step.label)]
    return frozenset({*sources(step), engine.recipe.reference_label()} & {*above})


class Processes:
    """The processes of a run: `ready(label)` waits until the result of that stage is in the cache."""

    def __init__(self, engine: Engine, progress: Progress, most: int) -> None:
        self.engine, self.progress, self.most = engine, progress, most
        self.steps = {step.label: step for step in engine.recipe.steps()}
        self.made: dict[str, float] = {}
        """Seconds of the stages that were made by these processes."""
        self._entries: dict[str, Entry] = {}
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = Lock()
        self._largest = 0
        self._ended = False
        self._finished: Iterator[str] = iter(())

    @contextmanager
    def started(self) -> Iterator[Processes]:
        """Run the processes inside the block; those that still run at its end are killed."""
        jobs = [Job(name, needs(self.engine, step), step.stage.chooses_by_time) for name, step in self.steps.items()]
        with ThreadPoolExecutor(self.most) as pool, ExitStack() as stack:
            stack.callback(self._end)
            self._finished = Schedule(jobs, self.most, self._room).run(pool, self._work)
            yield self

    def ready(self, label: str) -> None:
        while label not in self._entries:
            next(self._finished)

    def _work(self, label: str) -> None:
        """Make the result of a stage, unless it is in the cache."""
        step = self.steps[label]
        with self._lock:
            entries = {name: self._entries[name] for name in needs(self.engine, step)}
            key = key_of(material(self.engine, step, entries))
        entry = self.engine.cache.get(key)
        if entry is None:
            self.progress.begin(label, step.stage.use, list(self.steps).index(label), len(self.steps))
            self._run(label, key)
            entry = self.engine.cache.get(key)
        if entry is None:
            raise UserError(f"the result of stage `{label}` is not in the cache, though it was made", "run it again")
        self._entries[label] = entry

    def _run(self, label: str, key: str) -> None:
        engine, (read, write) = self.engine, os.pipe()
        job = {
            "recipe": str(engine.recipe.document.path),
            "changes": list(engine.recipe.document.changes),
            "cache": str(engine.cache.root),
            "limit": engine.limit,
            "label": label,
            "key": key,
            "pipe": write,
        }
        with open(read, "rb") as messages:
            try:
                process = self._start([json.dumps(job)], write)
            finally:
                os.close(write)
            for line in messages:
                self._heed(label, json.loads(line))
            code = process.wait()
            self._running.discard(process)
        if code < 0:
            raise UserError(f"the process of stage `{label}` {child_processes.ended(code)}", LESS_MEMORY)
        if code:
            raise child_processes.SaidError(code)

    def _start(self, arguments: list[str], pipe: int) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._ended:
                raise child_processes.SaidError(1)
            # Ctrl-C in a terminal goes to its group: this process ends the others, which say nothing of it.
            process = subprocess.Popen(
                child_processes.module(_PROGRAM, arguments),
                stdin=subprocess.DEVNULL,
                pass_fds=[pipe],
                process_group=0,
            )
            self._running.add(process)
            return process

    def _heed(self, label: str, message: dict[str, Any]) -> None:
        if "seconds" in message:
            self.made[label] = message["seconds"]
        else:
            self._largest = max(self._largest, message["bytes"])
            self.progress.advance(message["done"], message["total"], message["words"], label)

    def _room(self) -> bool:
        """Tell whether the free memory is enough for one more process."""
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        free = free_memory()
        return free is None or free > _MARGIN * max(own, self._largest)

    def _end(self) -> None:
        """Kill what runs, with what it has started; their entries are published whole or not at all."""
        with self._lock:
            self._ended = True
            for process in self._running:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
