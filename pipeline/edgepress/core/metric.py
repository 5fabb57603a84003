"""Define what a metric of model outputs against labels is, and the bootstrap draws that intervals come from.

A metric is what each example counts, and a reduction of that: the bootstrap reduces again, and scores nothing anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from . import intervals
from .errors import OwnCodeError

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = intervals.DRAWS
"""Draws of the bootstrap; the same examples are drawn for every model, so that two models can be paired."""
SECONDS = 8.0
"""For the draws of a metric without parts, whose every draw is a call; with fewer than `intervals.FEWEST` there is no
interval."""
CHUNK = 1 << 24
"""Bytes of outputs, and of eight times the labels, whose parts are made at once: a mask's intermediate arrays are that
many times the mask."""

_NUMBERS, _PICTURES = 2, 4
"""Axes of the targets of a regression, and of pictures."""


@dataclass(frozen=True)
class Rows:
    """The examples of a metric without parts, which is a function of them all."""

    outputs: np.ndarray
    y: np.ndarray
    value: float | None = None
    """The metric of all of them, if it is known."""

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: np.ndarray) -> Rows:
        return Rows(self.outputs[rows], self.y[rows])


Parts = Any
"""An array (n, …) with a row for each example, or `Rows`."""


@dataclass(frozen=True)
class Metric:
    """A number from outputs (n, labels) and labels as `data.Split` has them: `reduce(parts(outputs, y))`.

    `parts` has a row for each example, so that those of chunks are concatenated. `summed` parts count by their sum
    alone. `ranked` sets the examples against each other, once before all draws.
    `higher` says which way is better: a share, in percent, or an error in the unit of the labels. `tasks` are those
    that it can score. A metric is `counted` if it is the share of examples that are right, and `graded` if an example
    counts by degrees, so that its draws vary as soon as two models differ anywhere.
    """

    name: str
    parts: Callable[[np.ndarray, np.ndarray], Parts]
    reduce: Callable[[Parts], float]
    ranked: Callable[[Parts], Parts] | None = None
    summed: bool = False
    weighing: Callable[[Parts], Callable[[np.ndarray], float]] | None = None
    """Of parts that are ranked anew in every draw: a function of how often each example (n,) counts."""
    chunked: bool = True
    """Whether the parts of some examples need no others."""
    higher: bool = True
    tasks: tuple[str, ...] = ("single-label", "multi-label", "regression")
    counted: bool = False
    graded: bool = False
    points: float = 100.0
    """What a difference of 1 is in points: 100 of a share, and 1 of decibels, whose points are dB."""
    needs: str = ""
    """What `parts` takes beside outputs and targets: the `size` of the pictures, or the `peak` of their values."""
    counting: Callable[[np.ndarray], np.ndarray] | None = None
    """Which examples (n,) count anywhere, by the targets; None where all do."""
    of_task: Mapping[str, Metric] = field(default_factory=dict, compare=False)
    """Metrics of this name for other tasks."""
    unit: float | None = None
    """What an error is compared with in `score_points`; without it the mean size of the targets."""
    key: Sequence[Any] = ()
    """What tells it apart beside its name, as JSON data: of a user's own, its file and arguments."""

    def __call__(self, outputs: np.ndarray, y: np.ndarray) -> float:
        return self.value(self.collected(outputs, y))

    def collected(self, outputs: np.ndarray, y: np.ndarray) -> Parts:
        """Return the parts of all examples, ready to be reduced."""
        return self.joined([self.of_chunk(outputs, y)])

    def joined(self, chunks: Sequence[Parts]) -> Parts:
        """Return the parts of all examples of those of chunks of them, in their order; `Rows` are no chunks."""
        import numpy as np

        if isinstance(chunks[0], Rows):
            return chunks[0]
        parts = np.concatenate(chunks) if len(chunks) > 1 else chunks[0]
        return self.ranked(parts) if self.ranked else parts

    def of_chunk(self, outputs: np.ndarray, y: np.ndarray) -> Parts:
        """Return the parts of some examples."""
        import numpy as np

        if not self.chunked:
            return self.parts(outputs, y)
        many = max(CHUNK // max(outputs[:1].nbytes, 8 * y[:1].nbytes, 1), 1)
        starts = range(0, max(len(y), 1), many)
        return np.concatenate([self.parts(outputs[at : at + many], y[at : at + many]) for at in starts])

    def gathered(self, chunks: Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]]) -> Parts:
        """Return the parts of all examples, of `chunks` of outputs and targets, of which one is in memory at a time.

        A user's function without a value for each example needs all outputs at once: `chunks` is called again.
        """
        import numpy as np

        parts = []
        for outputs, y in chunks():
            parts.append(self.of_chunk(outputs, y))
            if isinstance(parts[-1], Rows):
                whole = zip(*chunks(), strict=True)
                return self.collected(*map(np.concatenate, whole))
        return self.joined(parts)

    def value(self, collected: Parts) -> float:
        """Return the metric of `collected` parts."""
        return float(self.reduce(collected))

    def score_points(self, outputs: np.ndarray, y: np.ndarray) -> float:
        """Score in points, more is better: 100 times a share, decibels, or minus 100 times an error, that of numbers in
        units of their mean size, and of points in pictures in units of the larger side."""
        return self.points_of(self(outputs, y), y)

    def points_of(self, value: float, y: np.ndarray) -> float:
        """Return `score_points` of the metric's `value` on targets `y`."""
        import numpy as np

        size = self.unit or (max(float(np.abs(y).mean()), 1e-9) if y.dtype.kind == "f" else 1)
        return self.points * value if self.higher else -100 * value / size

    def examples(self, y: np.ndarray) -> int:
        """Return how many of the examples count: a query without a mate, or an unseen point, says nothing."""
        if self.counting is None:
            return len(y)
        many = max(CHUNK // max(y[:1].nbytes, 1), 1)
        return sum(int(self.counting(y[at : at + many]).sum()) for at in range(0, len(y), many))

    def of_data(self, **facts: Any) -> Metric:
        """Return the metric for data of these facts, `size` and `peak`; see `needs`."""
        fact = facts.get(self.needs)
        if fact is None:
            return self
        unit = None if self.higher else float(max(fact))
        return replace(self, parts=partial(self.parts, **{self.needs: fact}), unit=unit)

    def resampled(self, outputs: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> list[float]:
        """Return the metric on bootstrap draws of the examples, or of whole `groups` of them; see `draws`."""
        return self.draws(self.collected(outputs, y), groups)

    def draws(self, collected: Parts, groups: np.ndarray | None = None) -> list[float]:
        """Return the metric on `RESAMPLES` bootstrap draws (Efron, 1979), in an order that only their number decides.

        Without parts, and with those that are ranked anew, they are the first of these draws, as many as `SECONDS`
        allow; none where those are too few.
        """
        import numpy as np

        if self.weighing is not None:
            weighed, count = self.weighing(collected), len(collected)
            values = (weighed(np.bincount(rows, minlength=count)) for rows in _drawn(count, groups))
            return _in_time(0.0 if math.isnan(value) else value for value in values)  # as `_of_sums`: nothing counts
        if isinstance(collected, Rows):
            return _in_time(self.value(collected[rows]) for rows in _drawn(len(collected), groups))

        if self.summed and np.isfinite(collected).all():  # 0 times what is no number is none either
            return list(self._of_sums(collected, groups))
        values = (self.value(collected[rows]) for rows in _drawn(len(collected), groups))
        if math.isnan(self.value(collected)):
            return [round(value, 6) for value in values]
        return [0.0 if math.isnan(value) else round(value, 6) for value in values]  # as `_of_sums`: nothing counts

    def _of_sums(self, collected: np.ndarray, groups: np.ndarray | None) -> Iterator[float]:
        """Yield the draws of `summed` parts: how often each example is drawn, times its part.

        Counts are exact in float64, where the product is BLAS's. A draw in which nothing counts is 0 for every model.
        """
        import numpy as np

        flat = collected.reshape(len(collected), -1).astype(np.float64)
        for rows in _drawn(len(flat), groups):
            total = np.bincount(rows, minlength=len(flat)) @ flat
            value = self.value(total.reshape(1, *collected.shape[1:]))
            yield 0.0 if math.isnan(value) and not total.any() else round(value, 6)


def _in_time(draws: Iterator[float]) -> list[float]:
    start, values = monotonic(), []
    for value in draws:
        values.append(round(value, 6))
        if monotonic() - start > SECONDS:
            break
    return values if len(values) >= intervals.FEWEST else []


def plain(name: str, function: Callable[[np.ndarray, np.ndarray], float], **more: Any) -> Metric:
    """Return the metric of a function of all outputs and labels, which has no parts."""
    return Metric(name, Rows, lambda rows: function(rows.outputs, rows.y), chunked=False, **more)


def _drawn(count: int, groups: np.ndarray | None) -> Iterator[np.ndarray]:
    """Yield the rows of each draw, of `count` examples or of whole groups of them."""
    import numpy as np

    random = np.random.default_rng(count)
    if groups is None:
        for _ in range(RESAMPLES):
            yield random.integers(0, count, count)
    else:
        rows = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
        for _ in range(RESAMPLES):
            yield np.concatenate([rows[group] for group in random.integers(0, len(rows), len(rows))])


def of_constant(metric: Metric, y: np.ndarray) -> float | None:
    """Return an error metric's value for outputs that all are the mean of the targets `y`; None where it has none.

    Numbers and pictures have a mean that is an output; of points outputs are heat maps.
    """
    import numpy as np

    if metric.higher or not (y.ndim == _PICTURES or (y.dtype.kind == "f" and y.ndim == _NUMBERS)):
        return None
    mean = y.mean(0) if isinstance(y, np.ndarray) else sum(row.astype(np.float64) for row in y) / len(y)
    mean = mean / 255 if y.dtype == np.uint8 else mean

    def chunks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        many = max(CHUNK // max(mean.nbytes, 1), 1)
        for at in range(0, len(y), many):
            part = y[at : at + many]
            yield np.broadcast_to(mean, part.shape).astype(np.float32), part

    try:
        return metric.value(metric.gathered(chunks))
    except OwnCodeError:
        return None  # a function of the user's that has no value there: only zero is near zero, then
