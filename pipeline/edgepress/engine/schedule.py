"""Run jobs side by side, each after those that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """What is to be done: `label`, after the jobs that it `needs`; `alone` while no other runs, such as to measure."""

    label: str
    needs: frozenset[str]
    alone: bool = False


class Schedule:
    """Give jobs to an executor: those of `most` threads or processes here, or any other of `concurrent.futures`.

    The first ready one comes first, those that run alone last. A further one starts where there is `room` for it.
    """

    def __init__(self, jobs: Sequence[Job], most: int, room: Callable[[], bool] = lambda: True) -> None:
        self.jobs, self.most, self.room = list(jobs), most, room

    def run(self, executor: Executor, work: Callable[[str], object]) -> Iterator[str]:
        """Yield the label of each job when `work(label)` has ended; an error of one is raised, and no other begins."""
        done: set[str] = set()
        running: dict[Future[object], Job] = {}
        while self.jobs or running:
            while job := self._next(done, list(running.values())):
                self.jobs.remove(job)
                running[executor.submit(work, job.label)] = job
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                label = running.pop(future).label
                future.result()
                done.add(label)
                yield label

    def _next(self, done: set[str], running: list[Job]) -> Job | None:
        """Return the job that may begin now, if there is one."""
        ready = sorted((job for job in self.jobs if job.needs <= done), key=lambda job: job.alone)
        if not ready or not running:
            return ready[0] if ready else None
        if ready[0].alone or running[0].alone or len(running) >= self.most or not self.room():
            return None
        return ready[0]
