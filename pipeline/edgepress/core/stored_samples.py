"""Check the times of one model, as results store them."""

from __future__ import annotations

from collections.abc import Iterator

from .results import Samples

SHORTEST, LONGEST = 1e-9, 1e6
"""Seconds: a clock's step, and more than a week for one inference."""
MOST_THREADS = 10**4


def of_samples(where: str, samples: Samples) -> Iterator[str]:
    """Yield what does not hold together in the times of one model."""
    rounds = [len(process) for process in samples.cpu]
    yield from wrong(f"{where}.path", bool(samples.path))
    yield from wrong(f"{where}.threads", 1 <= samples.threads <= MOST_THREADS)
    same = [len(process) for process in samples.wall] == rounds
    yield from wrong(f"{where}.cpu", same and all(rounds), "it has other rounds than `wall`, or none")
    for name in ("wall", "cpu"):
        for index, process in enumerate(getattr(samples, name)):
            sound = all(SHORTEST <= time <= LONGEST for time in process)
            yield from wrong(f"{where}.{name}.{index}", sound, "there is a time that no inference takes")
    yield from wrong(f"{where}.memory", samples.memory is None or samples.memory >= 0)
    starts = [*samples.load, *samples.first]
    yield from wrong(f"{where}.load", len(samples.load) == len(samples.first), "it has other processes than `first`")
    yield from wrong(f"{where}.load", all(0 <= time <= LONGEST for time in starts))
    both = zip(samples.load, samples.first, strict=False)
    yield from wrong(f"{where}.load", all(load + first >= SHORTEST for load, first in both))


def paired(first: Samples, second: Samples) -> bool:
    """Return whether two samples are of the same processes and rounds."""
    return [len(process) for process in first.cpu] == [len(process) for process in second.cpu]


def wrong(where: str, sound: bool, why: str = "this cannot be") -> Iterator[str]:
    """Yield where something is wrong and why, unless it is `sound`."""
    if not sound:
        yield f"{where}: {why}"
