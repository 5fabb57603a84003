"""Compute metrics of model outputs against labels, with the bootstrap draws that intervals come from.

A metric is what each example counts, and a reduction of that: the bootstrap reduces again, and scores nothing anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
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
CHUNK = 256
"""Examples whose parts are made at once: a mask's intermediate arrays are many times the mask."""


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
    that it can score. A metric is `counted` if it is the share of examples that are right.
    """

    name: str
    parts: Callable[[np.ndarray, np.ndarray], Parts]
    reduce: Callable[[Parts], float]
    ranked: Callable[[Parts], Parts] | None = None
    summed: bool = False
    chunked: bool = True
    """Whether the parts of some examples need no others."""
    higher: bool = True
    tasks: tuple[str, ...] = ("single-label", "multi-label", "regression")
    counted: bool = False
    key: Sequence[Any] = ()
    """What tells it apart beside its name, as JSON data: of a user's own, its file and arguments."""

    def __call__(self, outputs: np.ndarray, y: np.ndarray) -> float:
        return self.value(self.collected(outputs, y))

    def collected(self, outputs: np.ndarray, y: np.ndarray) -> Parts:
        """Return the parts of all examples, ready to be reduced."""
        import numpy as np

        if not self.chunked:
            return self.parts(outputs, y)
        starts = range(0, max(len(y), 1), CHUNK)
        parts = np.concatenate([self.parts(outputs[at : at + CHUNK], y[at : at + CHUNK]) for at in starts])
        return self.ranked(parts) if self.ranked else parts

    def value(self, collected: Parts) -> float:
        """Return the metric of `collected` parts."""
        return float(self.reduce(collected))

    def score_points(self, outputs: np.ndarray, y: np.ndarray) -> float:
        """Score in points, more is better: 100 times a share, or minus 100 times an error, that of numbers in units of
        their mean size."""
        value = self(outputs, y)
        import numpy as np

        size = max(float(np.abs(y).mean()), 1e-9) if y.dtype.kind == "f" else 1
        return 100 * value if self.higher else -100 * value / size

    def resampled(self, outputs: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> list[float]:
        """Return the metric on bootstrap draws of the examples, or of whole `groups` of them; see `draws`."""
        return self.draws(self.collected(outputs, y), groups)

    def draws(self, collected: Parts, groups: np.ndarray | None = None) -> list[float]:
        """Return the metric on `RESAMPLES` bootstrap draws (Efron, 1979), in an order that only their number decides.

        Without parts they are the first of these draws, as many as `SECONDS` allow; none where those are too few.
        """
        if isinstance(collected, Rows):
            start, values = monotonic(), []
            for rows in _drawn(len(collected), groups):
                values.append(round(self.value(collected[rows]), 6))
                if monotonic() - start > SECONDS:
                    break
            return values if len(values) >= intervals.FEWEST else []
        if self.summed and bool((abs(collected) < math.inf).all()):  # 0 · ∞ is no number
            return list(self._of_sums(collected, groups))
        return [round(self.value(collected[rows]), 6) for rows in _drawn(len(collected), groups)]

    def _of_sums(self, collected: np.ndarray, groups: np.ndarray | None) -> Iterator[float]:
        """Yield the draws of `summed` parts: how often each example is drawn, times its part.

        Counts are exact in float64, where the product is BLAS's.
        """
        import numpy as np

        flat = collected.reshape(len(collected), -1).astype(np.float64)
        for rows in _drawn(len(flat), groups):
            total = np.bincount(rows, minlength=len(flat)) @ flat
            yield round(self.value(total.reshape(1, *collected.shape[1:])), 6)


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
    """Return an error metric's value for outputs that all are the mean of the labels `y`; None where it has none."""
    import numpy as np

    if metric.higher or y.dtype.kind != "f":
        return None
    try:
        return metric(np.broadcast_to(y.mean(0), y.shape).astype(np.float32), y)
    except OwnCodeError:
        return None  # a function of the user's that has no value there: only zero is near zero, then


def _call(name: str, *arrays: np.ndarray) -> Any:
    """Call the function `name` of `metric_functions`, imported only here: recipes are validated without numpy."""
    return getattr(import_module(".metric_functions", __package__), name)(*arrays)


def _metric(name: str, parts: str, reduce: str, ranked: str = "", **more: Any) -> Metric:
    ranking = partial(_call, ranked) if ranked else None
    return Metric(name, partial(_call, parts), partial(_call, reduce), ranking, **more)


_CLASSES = ("single-label", "multi-label")
METRICS = {
    metric.name: metric
    for metric in (
        _metric("accuracy", "right", "share", summed=True, tasks=_CLASSES, counted=True),
        _metric("macro-f1", "classified", "macro_f1", tasks=_CLASSES),
        _metric("worst-recall", "classified", "worst_recall", tasks=_CLASSES),
        _metric("auc", "odds", "auc", "odds_ranked", tasks=_CLASSES),
        _metric("mae", "errors", "mean", higher=False, tasks=("regression",)),
        # With the answers of the reference in the place of labels.
        _metric(
            "agreement", "agreeing", "agreed", summed=True, chunked=False, tasks=("single-label",), counted=True
        ),
    )
}
"""What a recipe's `metric:` may name: one row each."""
