"""Bound the accuracy loss of a quantized graph against its float model.

By the metric where there are labels, by likeness to the float model elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.keep import limit

if TYPE_CHECKING:
    from ...core.metrics import Metric
    from ...data.dataset import Dataset

LIKENESS = "likeness"
"""What the float model's own probabilities say of other answers; see `likeness`."""


@dataclass(frozen=True)
class Criterion:
    """`value` of a model's answers has to be `least` at least, or at most where less is better; `reference` is that of
    the float model. `of` says who asks: the `stage`'s own `keep`, or the `recipe`'s."""

    by: str
    of: str
    value: Callable[[np.ndarray], float]
    reference: float
    least: float
    higher: bool = True

    def margin(self, value: float) -> float:
        """100 times what is left; less than 0 where it is not reached."""
        return round(100 * (value - self.least if self.higher else self.least - value), 9)


@dataclass(frozen=True)
class Guard:
    """The criteria of a stage, all of which have to hold."""

    criteria: tuple[Criterion, ...]

    def margin(self, answers: np.ndarray) -> float:
        """That of the criterion that is nearest to failing; answers that are no numbers hold none."""
        found = [each.margin(each.value(answers)) for each in self.criteria]
        return min(found) if np.isfinite(answers).all() and not np.isnan(found).any() else -np.inf

    def notes(self, answers: dict[str, np.ndarray]) -> list[dict[str, Any]]:
        """For the report: of each criterion what is asked, what float has, and what each preset reached."""
        return [
            {
                "by": each.by,
                "of": each.of,
                "higher": each.higher,
                "float": each.reference,
                "least": each.least,
                "found": {name: each.value(mine) for name, mine in answers.items()},
                "examples": len(next(iter(answers.values()))),
                "missed": [name for name, mine in answers.items() if not each.margin(each.value(mine)) >= 0],
            }
            for each in self.criteria
        ]


def guard(
    expected: np.ndarray,
    y: np.ndarray,
    data: Dataset,
    metric: Metric,
    keep: float,
    floor: float | None,
    marks: np.ndarray | None = None,
    whole: float | None = None,
) -> Guard:
    """What is asked of answers to the examples that `expected` is the float model's answers to.

    With labels `y` the metric may fall by `keep` points, or an error grow by `keep` percent. Without, and for
    `agreement`, which has none, `keep` is points of `likeness`. `floor` is the metric that the recipe wants, as far as
    the float model has it; in points, an error times 100: of that, what is more than the float model's error `whole` on
    all of validation, as a share. `marks` are the answers that `agreement` is with, by default
    the float model's. Answers are as `metadata.to_logits` has them.
    """
    if data.labelled and metric.name != "agreement":
        if floor is not None and not metric.higher and whole:
            floor *= metric(expected, y) / whole  # these examples may be harder than all of them
        return Guard(tuple(_by_metric(expected, y, metric, keep, floor)))
    alike = Criterion(LIKENESS, "stage", lambda answers: likeness(expected, answers), 1.0, 1 - keep / 100)
    if floor is None:
        return Guard((alike,))
    told = expected.argmax(1) if marks is None else marks
    own = metric(expected, told)
    wanted = Criterion(metric.name, "recipe", lambda answers: metric(answers, told), own, min(floor / 100, own))
    return Guard((alike, wanted))


def _by_metric(
    expected: np.ndarray, y: np.ndarray, metric: Metric, keep: float, floor: float | None
) -> list[Criterion]:
    def value(answers: np.ndarray) -> float:
        return metric(answers, y)

    own = value(expected)
    limits = {"stage": limit(metric, own, keep, y)}
    if floor is not None:
        limits["recipe"] = min(floor / 100, own) if metric.higher else max(floor / 100, own)
    return [Criterion(metric.name, of, value, own, least, metric.higher) for of, least in limits.items()]


def likeness(expected: np.ndarray, answers: np.ndarray) -> float:
    """1 where every answer (n, classes) is that of `expected`, 0 where they are drawn at random.

    A class other than the expected one costs what the float model gives it less; so that where that model hesitates
    between two, either is nearly right. With probabilities that are right, it is the share of the lead over chance in
    accuracy that is left, without a label.
    """
    if not np.isfinite(answers).all():
        return 0.0
    z = expected.astype(np.float64)
    shares = np.exp(z - z.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    rows = np.arange(len(z))
    lost = shares.max(1) - shares[rows, answers.argmax(1)]
    lead = shares.max(1) - 1 / z.shape[1]
    return float(1 - lost.sum() / max(float(lead.sum()), 1e-12))
