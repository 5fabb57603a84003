"""The model card's table of budgets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from edgepress.commands.bundle import card
from edgepress.gate.judge import Finding


def test_the_table_of_budgets_tells_advisory_ones_and_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [
        Finding("t", "size", "advisory", "FAIL", 100.0, "bytes", 184.0, label="measured"),
        Finding("t", "accuracy", "required", "ok", 0.88, "share", 0.9, (0.89, 0.91), "measured"),
        Finding("t", "memory", "advisory", "no number", 1.0, "bytes"),
    ]
    monkeypatch.setattr(card.judge, "judge", lambda *_: findings)
    chosen: Any = SimpleNamespace(report=None, target=None)
    assert [*card._budgets(chosen)] == [
        "| budget | value | limit | interval | status |",
        "|---|---|---|---|---|",
        "| size | 184 B | of 100 B | +84 B | FAIL (advisory) |",
        "| accuracy | 90.0% | at least 88.0% | [89.0–91.0] | ok |",
        "| memory | no number |  |  | no number (advisory) |",
    ]
