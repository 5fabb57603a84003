"""Map over items in threads, in their order: for libraries that release the interpreter's lock.

Results are those of a plain loop, whatever the number of cores: each item is worked on by itself, and whoever adds
results up gets them in the order of the items.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from .capacity import cores

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST = 4
"""Threads, on however many cores: each may hold every activation of an example."""


def at_most() -> int:
    """Return how many threads the cores of this process can use."""
    return min(cores(), MOST)


def in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """Yield `work(item)` of each item in turn, computed a few items ahead on the cores of this process.

    What `work` or `items` raises is raised at its turn. Items are taken in the thread of the caller.
    """
    threads = at_most()
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
