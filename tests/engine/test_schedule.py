"""Jobs side by side: each after what it needs, measurements alone, no more at once than there may be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from edgepress.engine.schedule import Job, Schedule

DIAMOND = [Job("a", frozenset()), Job("b", frozenset({"a"})), Job("c", frozenset({"a"})), Job("d", frozenset("bc"))]


class Work:
    """Jobs that take a moment; knows which ran beside which. Those of `meet` end when all of them have begun."""

    def __init__(self, wrong: str = "", meet: str = "") -> None:
        self.begun: list[str] = []
        self.beside: dict[str, set[str]] = {}
        self.wrong, self.meet, self.most = wrong, meet, 0
        self._running: set[str] = set()
        self._lock, self._met = threading.Lock(), threading.Barrier(len(meet) or 1)

    def __call__(self, label: str) -> None:
        with self._lock:
            self.begun.append(label)
            self._running.add(label)
            self.most = max(self.most, len(self._running))
            for each in self._running:
                self.beside.setdefault(each, set()).update(self._running - {each})
        if label in self.meet:
            self._met.wait(60)
        time.sleep(0.02)
        with self._lock:
            self._running.remove(label)
        if label == self.wrong:
            raise ValueError(label)


class Pool(ThreadPoolExecutor):
    """Threads; knows the order in which jobs were submitted: which of two begins first is the machine's choice."""

    def __init__(self) -> None:
        super().__init__(8)
        self.submitted: list[str] = []

    def submit(self, work: Callable[..., Any], /, *labels: Any, **_: Any) -> Future[Any]:
        self.submitted += labels
        return super().submit(work, *labels)


def run(work: Work, schedule: Schedule) -> list[str]:
    with Pool() as pool:
        return list(schedule.run(pool, work))


def test_each_runs_after_those_that_it_needs() -> None:
    work = Work(meet="bc")
    done = run(work, Schedule(DIAMOND, 4))
    assert (done[0], {*done[1:3]}, done[3]) == ("a", {"b", "c"}, "d")
    assert work.beside["b"] == {"c"}
    assert not work.beside["a"] | work.beside["d"]


def test_no_more_at_once_than_asked_for_and_the_first_first() -> None:
    free = [Job(label, frozenset()) for label in "abcdef"]
    work = Work(meet="ab")
    with Pool() as pool:
        assert {*Schedule(free, 2).run(pool, work)} == {*"abcdef"}
    assert pool.submitted == [*"abcdef"]
    assert work.most == 2
    alone = Work()
    assert run(alone, Schedule(free, 4, lambda: False)) == [*"abcdef"]
    assert alone.most == 1, "without room one runs at a time"


def test_a_measurement_runs_alone_and_after_what_may_run_before() -> None:
    work = Work()
    measured = Job("m", frozenset(), alone=True)
    run(work, Schedule([measured, *DIAMOND, Job("after", frozenset("m"))], 4))
    assert sorted(work.begun[:4]) == [*"abcd"]
    assert work.begun[4:] == ["m", "after"]
    assert not work.beside["m"]


def test_an_error_is_raised_and_nothing_begins_after_it() -> None:
    work = Work(wrong="b")
    with pytest.raises(ValueError, match="b"):
        run(work, Schedule(DIAMOND, 4))
    assert "d" not in work.begun
