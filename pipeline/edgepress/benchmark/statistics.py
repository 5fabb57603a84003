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
from typing import TYPE_CHECKING, Any, Literal

from ..core import intervals
from ..core.results import Samples

if TYPE_CHECKING:
    import numpy as np

Status = Literal["ok", "FAIL", "undecided"]

LOOKS = (4, 6, 8, 12, 16)
"""After how many processes a verdict may be taken."""
ALPHA = 0.01
"""The chance of a wrong verdict, spread evenly over the looks."""
CALM = 1.05
"""Wall time over CPU time up to which a verdict on wall time is given."""

_TINY = 1e-12


@dataclass(frozen=True)
class Verdict:
    """`value` with its interval, and what that means for the limit; one process alone has no interval."""

    status: Status
    value: float
    interval: tuple[float, float] | None


def log_ratios(candidate: Samples, reference: Samples) -> list[float]:
    """Return per process the log of candidate over reference; both must come from the same processes and rounds."""
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
    from scipy import stats

    mean, count = fmean(logs), len(logs)
    if count < 2:
        return math.exp(mean), None
    half = stats.t.ppf(1 - ALPHA / len(LOOKS), count - 1) * stdev(logs) / math.sqrt(count)
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


def accuracy(correct: str, limit: float, groups: Sequence[int] = ()) -> Verdict:
    """Judge the share of right images (`1` in `correct`), at least `limit`, by Wilson's 95% interval.

    With `groups`, one for each image, by a bootstrap over these, where it is wider; one group decides nothing.
    """
    from scipy import stats

    share = correct.count("1") / len(correct)
    wilson = stats.binomtest(correct.count("1"), len(correct)).proportion_ci(0.95, method="wilson")
    low, high = float(wilson.low), float(wilson.high)
    if groups:
        count = len(set(groups))
        if count < 2:
            return Verdict("undecided", share, None)
        wide = intervals.of_draws(share, intervals.means_of_groups(_marks(correct), groups), count)
        low, high = max(min(low, wide[0]), 0.0), min(max(high, wide[1]), 1.0)
        if share in (0.0, 1.0):  # no group differs from another: so many groups bound it, not so many images
            unseen = intervals.never_seen(count)
            low, high = (min(low, 1 - unseen), high) if share else (low, max(high, unseen))
    status: Status = "ok" if low >= limit else "FAIL" if high < limit else "undecided"
    return Verdict(status, share, (low, high))


def metric_drop(
    reference: Sequence[float],
    candidate: Sequence[float],
    values: tuple[float, float],
    limit: float,
    *,
    higher: bool,
    units: int = 0,
    examples: int = 0,
    near: float = 0.0,
) -> Verdict:
    """Judge how far a metric falls behind the reference's: points, or percent that an error grows by.

    `values` are the metric of reference and candidate on all test examples, the sequences its values on the same
    bootstrap draws of them; the interval is of the paired differences, over so many `units` (examples, or groups).
    Of a share it is no narrower than the rule of three, 3 of so many `examples`, for models that no draw tells apart.
    An error below `near` has no percent: growth, and `limit`, are then in the metric's own unit.
    """
    import numpy as np

    own = not higher and is_near_zero(values[0], near)

    def drops(before: Any, after: Any) -> Any:
        if higher:
            return 100 * (before - after)
        return after - before if own else 100 * (after - before) / np.maximum(before, max(near, _TINY))

    value, drawn = float(drops(*values)), drops(np.asarray(reference), np.asarray(candidate))
    if units == 1:
        return Verdict("undecided", value, None)
    low, high = intervals.of_draws(value, drawn, units) if units else np.percentile(drawn, [2.5, 97.5]).tolist()
    if higher and examples:
        half = 100 * intervals.never_seen(examples, 0.05)
        low, high = min(low, value - half), max(high, value + half)
    status: Status = "ok" if high <= limit else "FAIL" if low > limit else "undecided"
    return Verdict(status, value, (float(low), float(high)))


def is_near_zero(error: float, near: float) -> bool:
    """Return whether percent of `error` mean nothing: it is below `near`, or below rounding."""
    return error < max(near, _TINY)


def accuracy_drop(reference: str, candidate: str, limit: float, groups: Sequence[int] = ()) -> Verdict:
    """Judge the points lost against `reference` on the same images, at most `limit`, by a paired 95% interval.

    The interval is never narrower than that of no image being answered differently, where the exact bound on the share
    of such images is 1 - 0.025^(1/n); the normal approximation alone would claim certainty there. With `groups`, one
    for each image, a bootstrap over these widens it; one group decides nothing.
    """
    from scipy import stats

    count = len(reference)
    lost = sum(mine == "0" and theirs == "1" for mine, theirs in zip(candidate, reference, strict=True))
    won = sum(mine == "1" and theirs == "0" for mine, theirs in zip(candidate, reference, strict=True))
    drop = (lost - won) / count
    error = math.sqrt(max((lost + won) / count - drop**2, 0) / max(count - 1, 1))
    half = max(stats.t.ppf(0.975, max(count - 1, 1)) * error, intervals.never_seen(count))
    low, high = drop - half, drop + half
    if groups:
        many = len(set(groups))
        if many < 2:
            return Verdict("undecided", 100 * drop, None)
        drawn = intervals.means_of_groups(_marks(reference) - _marks(candidate), groups)
        wide = intervals.of_draws(drop, drawn, many)
        low, high = max(min(low, wide[0]), -1.0), min(max(high, wide[1]), 1.0)
    low, high = 100 * low, 100 * high
    status: Status = "ok" if high <= limit else "FAIL" if low > limit else "undecided"
    return Verdict(status, 100 * drop, (low, high))


def _marks(correct: str) -> np.ndarray:
    import numpy as np

    return np.frombuffer(correct.encode(), np.uint8).astype(float) - ord("0")
