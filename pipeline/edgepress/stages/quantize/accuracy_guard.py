"""Bound the accuracy loss of a quantized graph against its float model.

By the metric where there are labels, by likeness to the float model elsewhere, and by the boxes of a detector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core import boxes
from ...core import likeness as grouped
from ...core.columns import split
from ...core.errors import UserError
from ...core.keep import limit
from ...core.metric_functions import predicted
from ...tasks.detection import FEW, SHOWN

if TYPE_CHECKING:
    from ...core.metric import Metric
    from ...data.dataset import Dataset

LIKENESS = "likeness"
"""Agreement weighed by the float model's probabilities; see `likeness`."""
BOXES = "agreement of boxes"
_MOVED = 5
"""Points of it for each point of `keep`: a box that lies elsewhere may be as near to its object, or nearer."""
_LEAST = 0.5
"""Of it, whatever `keep` is: a file that finds other boxes is another model."""


@dataclass(frozen=True)
class Criterion:
    """A bound of `value` of a model's outputs: at least `least`, or at most where less is better.

    `reference` is the value of the float model; `of` is whose bound it is, the `stage`'s `keep` or the `recipe`'s."""

    by: str
    of: str
    value: Callable[[np.ndarray], float]
    reference: float
    least: float
    higher: bool = True

    def margin(self, value: float) -> float:
        """Return 100 times the distance to the bound; less than 0 where it is missed."""
        return round(100 * (value - self.least if self.higher else self.least - value), 9)


@dataclass(frozen=True)
class Guard:
    """The criteria of a stage; all have to hold."""

    criteria: tuple[Criterion, ...]

    def holds_boxes(self, outputs: np.ndarray) -> bool:
        """Return whether boxes decide, and are kept."""
        return any(criterion.by == BOXES for criterion in self.criteria) and self.margin(outputs) >= 0

    def margin(self, outputs: np.ndarray) -> float:
        """Return the smallest margin of all criteria; −∞ for outputs that are no numbers."""
        margins = [criterion.margin(criterion.value(outputs)) for criterion in self.criteria]
        finite = all(np.isfinite(column).all() for column in split(outputs).values())
        return min(margins) if finite and not np.isnan(margins).any() else -np.inf

    def notes(self, outputs: dict[str, np.ndarray]) -> list[dict[str, Any]]:
        """Return a row of the report for each criterion: its bound, the float value, and that of each preset."""
        return [
            {
                "by": criterion.by,
                "of": criterion.of,
                "higher": criterion.higher,
                "float": criterion.reference,
                "least": criterion.least,
                "found": {name: criterion.value(values) for name, values in outputs.items()},
                "examples": len(next(iter(outputs.values()))),
                "missed": [
                    name for name, values in outputs.items() if not criterion.margin(criterion.value(values)) >= 0
                ],
            }
            for criterion in self.criteria
        ]


def guard(
    expected: np.ndarray,
    y: np.ndarray,
    data: Dataset,
    metric: Metric,
    keep: float,
    floor: float | None,
    marks: np.ndarray | None = None,
    whole_error: float | None = None,
    detections: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Guard:
    """Build the criteria for outputs on the examples whose float outputs are `expected`.

    With labels `y` the metric may fall by `keep` points, or an error grow by `keep` percent. Without, and for
    `agreement`, which has none, `keep` is points of `likeness`, or of boxes. `floor` is the metric that the recipe
    wants, as far as the float model has it; in points, an error times 100: of that, what is more than the float model's
    error `whole` on all of validation, as a share. `marks` are the answers that `agreement` is with, by default the
    float model's. Outputs are logits or values, and `detections` are the boxes of a detector's without labels.
    """
    if data.labelled and metric.name != "agreement":
        if floor is not None and not metric.higher and whole_error:
            floor *= metric(expected, y) / whole_error  # these examples may be harder than all of them
        return Guard(tuple(_by_metric(expected, y, metric, keep, floor)))
    if not data.labels:
        return Guard(tuple(_without_labels(expected, metric, keep, floor, marks, detections)))
    alike = Criterion(LIKENESS, "stage", lambda outputs: likeness(outputs, expected), 1.0, 1 - keep / 100)
    if floor is None:
        return Guard((alike,))
    expected_classes = predicted(expected) if marks is None else marks
    own = metric(expected, expected_classes)
    wanted = Criterion(
        metric.name, "recipe", lambda outputs: metric(outputs, expected_classes), own, min(floor / 100, own)
    )
    return Guard((alike, wanted))


def _without_labels(
    expected: np.ndarray,
    metric: Metric,
    keep: float,
    floor: float | None,
    marks: np.ndarray | None,
    detections: Callable[[np.ndarray], np.ndarray] | None,
) -> Iterator[Criterion]:
    """Yield the criteria of outputs without classes.

    By the boxes of a detector, `core.boxes.agreement`, where the float model finds enough of them: whether a corner is
    off by a tenth of the picture, or of the box, no comparison of numbers tells. Else by R² of the worst channel group;
    see `core.likeness`.
    """
    found = None if detections is None else detections(expected)
    if detections is not None and found is not None and boxes.shown(found, SHOWN) >= FEW:
        yield Criterion(
            BOXES, "stage", lambda outputs: boxes.agreement(found, detections(outputs), SHOWN), 1.0,
            max(1 - _MOVED * keep / 100, _LEAST),
        )  # fmt: skip
    else:
        yield Criterion(LIKENESS, "stage", lambda outputs: grouped.likeness(outputs, expected), 1.0, 1 - keep / 100)
    if floor is not None:
        reference = expected if marks is None else marks
        own = metric(expected, reference)
        yield Criterion(metric.name, "recipe", lambda outputs: metric(outputs, reference), own, min(floor / 100, own))


def _by_metric(
    expected: np.ndarray, y: np.ndarray, metric: Metric, keep: float, floor: float | None
) -> list[Criterion]:
    def value(outputs: np.ndarray) -> float:
        return metric(outputs, y)

    own = value(expected)
    if np.isnan(own):
        raise UserError(
            f"none of the {len(y)} held-out validation examples counts in `{metric.name}`",
            "add validation examples that do, or bound nothing: `keep: null`",
        )
    limits = {"stage": limit(metric, own, keep, y)}
    if floor is not None:
        allowed = floor / metric.points
        limits["recipe"] = min(allowed, own) if metric.higher else max(allowed, own)
    return [Criterion(metric.name, of, value, own, least, metric.higher) for of, least in limits.items()]


def likeness(outputs: np.ndarray, expected: np.ndarray) -> float:
    """Return 1 where every class of `outputs` (n, classes) is that of `expected`, and 0 at chance.

    A class other than the expected one costs what the float model gives it less; so that where that model hesitates
    between two, either is nearly right. With probabilities that are right, it is the share of the lead over chance in
    accuracy that is left, without a label.
    """
    if not np.isfinite(outputs).all():
        return 0.0
    z = expected.astype(np.float64)
    shares = np.exp(z - z.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    rows = np.arange(len(z))
    lost = shares.max(1) - shares[rows, outputs.argmax(1)]
    lead = shares.max(1) - 1 / z.shape[1]
    return float(1 - lost.sum() / max(float(lead.sum()), 1e-12))
