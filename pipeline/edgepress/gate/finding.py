"""Define a finding: the state of one budget of one target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from ..benchmark import statistics
from ..config.budgets import Level
from ..core.errors import Place

Status = Literal["ok", "FAIL", "undecided", "no number"]
Label = Literal["measured", "emulated", "estimated", "cited"]
OnUndecided = Literal["fail", "warn"]
Unit = Literal["bytes", "seconds", "ratio", "share", "points", "decibels", "percent", "metric", "number"]


@dataclass(frozen=True)
class Start:
    """The result of the starting model `name` under a budget: in the finding's unit, under the same limit."""

    name: str
    file: str
    status: Status
    value: float | None
    interval: tuple[float, float] | None
    label: Label | None
    note: str


@dataclass(frozen=True)
class Finding:
    """One budget of one target, with its value and status.

    `value`, `limit` and `interval` are in `unit`, `metric` being the metric's own; a missing `value` never passes.
    `file` is the judged file, `place` where the limit is written, `basis` how the value was found, `note` more
    for the reader, `start` the result of the starting model.
    """

    target: str
    check: str
    level: Level
    status: Status
    limit: float
    unit: Unit
    value: float | None = None
    interval: tuple[float, float] | None = None
    label: Label | None = None
    basis: str = ""
    place: Place | None = None
    note: str = ""
    file: str = ""
    start: Start | None = None


def noted(finding: Finding, note: str) -> Finding:
    """Return the finding with one more note."""
    return replace(finding, note="; ".join(filter(None, (finding.note, note))))


def within(finding: Finding, value: float) -> Finding:
    """Return the finding with a value that is exact: ok up to the limit, else FAIL."""
    return replace(finding, value=value, label="measured", status="ok" if value <= finding.limit else "FAIL")


def decided(finding: Finding, verdict: statistics.Verdict, **more: Any) -> Finding:
    return replace(
        finding, status=verdict.status, value=verdict.value, interval=verdict.interval, label="measured", **more
    )
