"""Load batches in other processes, whose errors come back with their cause first."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from ..core import child_processes
from ..core.errors import UserError, first_line
from ..core.threads import at_most
from .malloc import give_back, keep_little

Batch = TypeVar("Batch")
Result = TypeVar("Result")

_SHARED = r"shared memory|Bus error|/torch_\w+"
_KILLED = r"DataLoader worker \(pid\(?s?\)? .*?\) (?:is killed by signal: (?P<signal>[^.]+)|exited unexpectedly)"
_CAUSE = r"^[A-Za-z_][\w.]*(?:Error|Exception)\b.*$"
"""The line of a traceback that has the error."""


class WorkerError(RuntimeError):
    """A process that loads batches failed: the cause in one line, then its traceback."""


@dataclass(frozen=True)
class _Batches(Generic[Batch, Result]):
    """What a loader of torch takes: batches by number. It goes to processes that may import it anew."""

    load: Callable[[Batch], Result]
    batches: Sequence[Batch]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int) -> Result | UserError:
        try:
            return self.load(self.batches[step])
        except UserError as error:  # raised there, it would arrive as the text of its traceback
            return error


def loaded(load: Callable[[Batch], Result], batches: Sequence[Batch]) -> Iterator[Result]:
    """Yield `load(batch)` of each batch, in order, made by as many processes as there are cores, a few at most.

    Nothing is drawn from torch's own generator, so that a training that goes on draws what it would have drawn.

    Raises: UserError as `load` raises it, and for a process that was killed; WorkerError for anything else.
    """
    import torch
    from torch.utils.data import DataLoader

    loader: Any = DataLoader(
        _Batches(load, batches),  # type: ignore[arg-type]
        batch_size=None,
        num_workers=at_most(),
        # Python 3.14 would start a server, which imports torch once more; elsewhere it is not safe to fork.
        multiprocessing_context="fork" if sys.platform == "linux" else None,
        generator=torch.Generator(),
        worker_init_fn=partial(_begin, os.getpid()),  # torch's own look for their parent every 5 s
    )
    with _frozen():
        give_back()
        running = iter(loader)
        try:
            for result in running:
                if isinstance(result, UserError):
                    raise result
                yield result
        except Exception as error:
            if described := _described(error):
                raise described from error
            raise
        finally:
            # The garbage collector would close its queues first, and then, by their old numbers, files of others.
            running._shutdown_workers()


_open: list[None] = []
"""Loaders of this process that are open."""


@contextmanager
def _frozen() -> Iterator[None]:
    """Leave all objects of now out of garbage collection, here and in processes that are forked within.

    Collection writes into every object that it looks at, and what is written after a fork is there twice: a few
    thousand batches on, 100 MB in each process.
    """
    gc.collect()
    gc.freeze()
    _open.append(None)
    try:
        yield
    finally:
        _open.pop()
        if not _open:
            gc.unfreeze()


def _begin(parent: int, worker: int) -> None:
    child_processes.end_with(parent)
    keep_little()


def _described(error: Exception) -> Exception | None:
    """Return an error of torch's loader with its cause first; None for any other."""
    text = str(error)
    if isinstance(error, UserError):
        return None
    if re.search(_SHARED, text):
        little = "the processes that load batches have too little shared memory"
        return UserError(little, "enlarge /dev/shm (`docker run --shm-size 1g`), or lower `batch`")
    if killed := re.search(_KILLED, text):
        signal = (killed["signal"] or "Killed").strip()
        why = "; out of memory?" if signal == "Killed" else f": {signal}"
        return UserError(f"a process that loads batches was killed{why}", "free some memory, or lower `batch`")
    if not text.startswith("Caught "):
        return None
    causes = re.findall(_CAUSE, text, re.MULTILINE)
    return WorkerError(f"a process that loads batches failed: {causes[-1] if causes else first_line(error)}\n{text}")
