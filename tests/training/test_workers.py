"""Errors of the processes that load batches: the cause first, and a mistake of the user's as it is elsewhere."""

from __future__ import annotations

import gc
import os
import pickle
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from edgepress.core.errors import Place, Problem, UserError
from edgepress.training import workers
from torch.utils.data import dataloader

WRONG = UserError([Problem("the image is broken", "take it out", Place(Path("a.png"), 2, 1, 3, "abc"))])


def refuse(batch: int) -> int:
    raise WRONG


def fail(batch: int) -> int:
    raise ValueError("seven is odd\nas everybody knows")


def die(batch: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return batch


def exhaust(batch: int) -> int:
    raise RuntimeError("unable to write to file </torch_19_2816>: No space left on device (28)")


def frozen(batch: int) -> int:
    return gc.get_freeze_count()


def test_no_collection_writes_into_pages_that_processes_share_until_the_last_loader_ends() -> None:
    outer = workers.loaded(frozen, [0, 1])
    assert next(outer) > 100_000  # of the objects of torch
    assert min(workers.loaded(frozen, [0])) > 100_000
    assert gc.get_freeze_count()
    outer.close()  # type: ignore[attr-defined]
    assert not gc.get_freeze_count()


def test_batches_come_in_order() -> None:
    assert list(workers.loaded(abs, [-3, 1, -2])) == [3, 1, 2]


def test_a_users_error_arrives_whole() -> None:
    with pytest.raises(UserError) as error:
        list(workers.loaded(refuse, [1]))
    assert error.value.problems == WRONG.problems
    assert str(error.value) == str(WRONG)


def test_any_other_error_has_its_cause_first_and_then_its_traceback() -> None:
    with pytest.raises(workers.WorkerError) as error:
        list(workers.loaded(fail, [1]))
    first, *rest = str(error.value).splitlines()
    assert first == "a process that loads batches failed: ValueError: seven is odd"
    assert any("in fail" in line for line in rest)


def test_a_killed_process_is_no_bug_of_edgepress() -> None:
    with pytest.raises(UserError, match="a process that loads batches was killed; out of memory"):
        list(workers.loaded(die, [1]))


def test_little_shared_memory_is_said() -> None:
    with pytest.raises(UserError, match="too little shared memory") as error:
        list(workers.loaded(exhaust, [1]))
    assert "--shm-size" in error.value.problems[0].help


@pytest.mark.parametrize("load", [refuse, fail, die, exhaust])
def test_a_failed_loader_is_shut_down(load: Callable[[int], int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The garbage collector closes its queues first, and then descriptors that are others' by then."""
    made: list[Any] = []
    kind: Any = dataloader._MultiProcessingDataLoaderIter
    begin = kind.__init__
    monkeypatch.setattr(kind, "__init__", lambda self, loader: (made.append(self), begin(self, loader))[1])
    with pytest.raises((UserError, workers.WorkerError)):
        list(workers.loaded(load, [1]))
    assert [each._shutdown for each in made] == [True]


class Mine(UserError):
    """Of a subclass, as that of the user's code."""


def test_errors_survive_pickle() -> None:
    error = pickle.loads(pickle.dumps(Mine(WRONG.problems)))
    assert isinstance(error, Mine)
    assert error.problems == WRONG.problems
