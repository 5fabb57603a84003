"""Compute metrics of model outputs against labels, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import intervals
from .errors import OwnCodeError

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = intervals.DRAWS
"""Draws of the bootstrap; the same examples are drawn for every model, so that two models can be paired."""


@dataclass(frozen=True)
class Metric:
    """A number from outputs (n, labels) and labels as `data.Split` has them.

    `higher` says which way is better: a share, in percent, or an error in the unit of the labels. `tasks` are those
    that it can score. A metric is `counted` if it is the share of examples that are right.
    """

    name: str
    function: Callable[[np.ndarray, np.ndarray], float]
    higher: bool = True
    tasks: tuple[str, ...] = ("single-label", "multi-label", "regression")
    counted: bool = False
    key: Sequence[Any] = ()
    """What tells it apart beside its name, as JSON data: of a user's own, its file and arguments."""

    def __call__(self, outputs: np.ndarray, y: np.ndarray) -> float:
        return float(self.function(outputs, y))

    def score_points(self, outputs: np.ndarray, y: np.ndarray) -> float:
        """Score in points, more is better: 100 times a share, or minus 100 times an error, that of numbers in units of
        their mean size."""
        value = self(outputs, y)
        import numpy as np

        size = max(float(np.abs(y).mean()), 1e-9) if y.dtype.kind == "f" else 1
        return 100 * value if self.higher else -100 * value / size

    def resampled(self, outputs: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> list[float]:
        """Compute the metric on `RESAMPLES` bootstrap draws of examples (Efron, 1979), or of whole `groups` of them."""
        import numpy as np

        random = np.random.default_rng(len(y))
        draws: Iterator[np.ndarray]
        if groups is None:
            draws = (random.integers(0, len(y), len(y)) for _ in range(RESAMPLES))
        else:
            rows = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
            chosen = (random.integers(0, len(rows), len(rows)) for _ in range(RESAMPLES))
            draws = (np.concatenate([rows[group] for group in draw]) for draw in chosen)
        if self.name == "agreement" and y.dtype.kind not in "iu":
            from . import likeness

            return likeness.resampled(outputs, y, draws)
        return [round(self(outputs[rows], y[rows]), 6) for rows in draws]


def of_constant(metric: Metric, y: np.ndarray) -> float | None:
    """Return an error metric's value for outputs that all are the mean of the labels `y`; None where it has none."""
    import numpy as np

    if metric.higher or y.dtype.kind != "f":
        return None
    try:
        return metric(np.broadcast_to(y.mean(0), y.shape).astype(np.float32), y)
    except OwnCodeError:
        return None  # a function of the user's that has no value there: only zero is near zero, then


def _score(name: str, outputs: np.ndarray, y: np.ndarray) -> float:
    """Call the function `name` of `metric_functions`, imported only here: recipes are validated without numpy."""
    value: float = getattr(import_module(".metric_functions", __package__), name)(outputs, y)
    return value


_CLASSES = ("single-label", "multi-label")
METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", partial(_score, "accuracy"), tasks=_CLASSES, counted=True),
        Metric("macro-f1", partial(_score, "macro_f1"), tasks=_CLASSES),
        Metric("worst-recall", partial(_score, "worst_recall"), tasks=_CLASSES),
        Metric("auc", partial(_score, "auc"), tasks=_CLASSES),
        Metric("mae", partial(_score, "mae"), higher=False, tasks=("regression",)),
        # With the answers of the reference in the place of labels.
        Metric("agreement", partial(_score, "agreement_with"), tasks=("single-label",), counted=True),
    )
}
"""What a recipe's `metric:` may name: one row each."""
