"""Work in threads ends as a loop does, on however many cores."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from edgepress.core import threads
from edgepress.core.threads import MOST, in_order


@pytest.mark.parametrize("cores", [1, 2, 64])
def test_results_come_in_the_order_of_the_items(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: cores)
    busy, most, lock = 0, 0, threading.Lock()

    def work(item: int) -> int:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.002 * (item % 3))
        with lock:
            busy -= 1
        return item * item

    assert list(in_order(work, iter(range(20)))) == [item * item for item in range(20)]
    assert most <= min(cores, MOST)


def test_items_are_taken_only_a_few_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    found = in_order(lambda item: item, items())
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    assert len(taken) <= 3 + MOST + 1
    found.close()


def test_an_error_is_raised_at_its_turn() -> None:
    found = in_order(lambda item: 6 // item, [1, 2, 0, 3])
    assert [next(found), next(found)] == [6, 3]
    with pytest.raises(ZeroDivisionError):
        next(found)
