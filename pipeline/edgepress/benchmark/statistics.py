"""Decide whether a number is within its limit, or is still undecided.

Two sessions of one model in one process differ for as long as that process lives, so the replicate is the process:
each gives one number, and the interval is over processes. With one thread the clock is CPU time, which other work on
the machine hardly moves; with several it is wall time, since CPU time counts threads that spin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median, stdev
from typing import Literal

from ..core.errors import UserError
from ..core.intervals import student
from ..core.results import Samples

Status = Literal["ok", "FAIL", "undecided"]

LOOKS = (4, 6, 8, 12, 16)
"""After how many processes a verdict may be taken."""
ALPHA = 0.01
"""The chance of a wrong verdict, spread evenly over the looks."""
CALM = 1.05
"""Wall time over CPU time up to which a verdict on wall time is given."""


@dataclass(frozen=True)
class Verdict:
    """`value` with its interval, and what that means for the limit; one process alone has no interval."""

    status: Status
    value: float
    interval: tuple[float, float] | None


def log_ratios(candidate: Samples, reference: Samples) -> list[float]:
    """Return per process the log of candidate over reference; both must come from the same processes and rounds.

    Raises: UserError where they do not, as in a report that was edited.
    """
    if [len(process) for process in candidate.cpu] != [len(process) for process in reference.cpu]:
        message = f"`{candidate.path}` and `{reference.path}` were not timed in the same processes and rounds"
        raise UserError(message, "measure again: the times are damaged, or put together from several runs")
    if candidate.on_one_thread:
        return [
            median(math.log(mine / theirs) for mine, theirs in zip(*process, strict=True))
            for process in zip(candidate.cpu, reference.cpu, strict=True)
        ]
    pairs = zip(log_percentiles(candidate, 25), log_percentiles(reference, 25), strict=True)
    return [mine - theirs for mine, theirs in pairs]


def log_percentiles(samples: Samples, percentile: float) -> list[float]:
    """Return per process the log of a percentile of its times in seconds."""
    import numpy as np

    times = samples.cpu if samples.on_one_thread else samples.wall
    return [math.log(np.percentile(process, percentile)) for process in times]


def contention(samples: Samples) -> float:
    """Return the median of wall over CPU time of one thread: 1 on an idle machine, more when others take the cores."""
    return median(
        wall * samples.threads / cpu
        for walls, cpus in zip(samples.wall, samples.cpu, strict=True)
        for wall, cpu in zip(walls, cpus, strict=True)
    )


def spread(logs: Sequence[float]) -> tuple[float, tuple[float, float] | None]:
    """Return exp of the mean, and its interval at the level of one look: h = t(k-1, 1 - α/5)·s/√k."""
    mean, count = fmean(logs), len(logs)
    if count < 2:
        return math.exp(mean), None
    half = student(1 - ALPHA / len(LOOKS), count - 1) * stdev(logs) / math.sqrt(count)
    # Two processes that disagree wildly know nothing; the bound stays a number that JSON can hold.
    return math.exp(mean), (math.exp(mean - half), math.exp(min(mean + half, 700)))


def sequential(logs: Sequence[float], limit: float) -> Verdict:
    """Return the verdict of the first look that decides: measuring could have stopped there.

    `logs` holds one number for each process, in the order of measuring; fewer than four get a single look.
    """
    looks = [look for look in LOOKS if look <= len(logs)] or [len(logs)]
    for look in looks:
        value, interval = spread(logs[:look])
        if interval and interval[1] < limit:
            return Verdict("ok", value, interval)
        if interval and interval[0] > limit:
            return Verdict("FAIL", value, interval)
    return Verdict("undecided", value, interval)


def timed(logs: Sequence[float], samples: Samples, limit: float) -> Verdict:
    """Judge as `sequential`; wall time while other work takes the cores decides nothing."""
    verdict = sequential(logs, limit)
    busy = samples.provider == "cpu" and samples.threads > 1 and contention(samples) > CALM
    return replace(verdict, status="undecided") if busy else verdict


def paired(candidate: Samples, reference: Samples, limit: float) -> Verdict:
    """Judge whether the candidate's time over the reference's is below `limit`; both are of the same processes."""
    return timed(log_ratios(candidate, reference), candidate, limit)


def how(samples: Samples) -> str:
    """Return `onnxruntime, 1 thread, 4 × 100 rounds, CPU time`."""
    threads = "1 thread" if samples.threads == 1 else f"{samples.threads} threads"
    # A program that measures on a phone prints wall time only, which is then used for both.
    clock = "CPU time" if samples.on_one_thread and samples.cpu != samples.wall else "wall time"
    rounds = sorted({len(process) for process in samples.cpu})
    counted = f"{rounds[0]}" if len(rounds) == 1 else f"{rounds[0]}–{rounds[-1]}"
    on = "" if samples.provider == "cpu" else f" on {samples.provider}"
    return f"{samples.runtime}{on}, {threads}, {len(samples.cpu)} × {counted} rounds, {clock}"
