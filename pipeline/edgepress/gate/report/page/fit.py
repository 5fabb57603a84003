"""Answer the first screen of the page: does it fit, by how much, how sure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePath

from markupsafe import Markup

from ...checks import AT_LEAST
from ...judge import Finding, OnUndecided, exit_code
from ..cells import cells
from ..wording import interval_text
from .budget_bar import bar

_VERDICTS = {0: ("ok", "fits"), 1: ("FAIL", "does not fit"), 4: ("undecided", "not decided")}
"""Exit code → the status that it looks like, and its words."""
_KEEP = {"fits": "kept", "does not fit": "not kept"}
SIGNS = {"ok": "✓", "FAIL": "✗", "undecided": "?", "no number": "—"}
_ORDER = {"FAIL": 0, "no number": 1, "undecided": 2, "ok": 3}


@dataclass(frozen=True)
class Budget:
    """One finding as a row: its cells as the text report writes them, and a bar."""

    status: str
    sign: str
    check: str
    value: str
    limit: str
    share: str
    rest: str
    sure: str
    how: str
    place: str
    advisory: bool
    bar: Markup


@dataclass(frozen=True)
class Aim:
    """The budgets of one target, the tightest first."""

    target: str
    status: str
    sign: str
    verdict: str
    file: str
    budgets: list[Budget]

    @property
    def first(self) -> list[Budget]:
        """Return the tightest budget, and the latency where that is another one."""
        latency = [budget for budget in self.budgets[1:] if budget.check.startswith("latency")]
        return [self.budgets[0], *([] if self.budgets[0].check.startswith("latency") else latency[:1])]


def verdict(findings: Sequence[Finding], on_undecided: OnUndecided) -> tuple[str, str]:
    """Return the status that the findings look like together, and its words.

    An exit code of 0 alone is no success: what is let pass stays undecided, and advisory budgets decide nothing.
    """
    required = {finding.status for finding in findings if finding.level == "required"}
    if not required:
        return "no number", "no required budget" if findings else "no budget"
    code = exit_code(findings, on_undecided)
    return _VERDICTS[code] if code or "undecided" not in required else ("undecided", "not decided, let pass")


def aims(findings: Sequence[Finding], on_undecided: OnUndecided) -> list[Aim]:
    """Return every target with its verdict, and the recipe's own `keep`, those that do not fit first."""
    found = []
    for target, group in groupby(findings, key=lambda finding: finding.target):
        members = sorted(group, key=_tightness)
        status, words = verdict(members, on_undecided)
        name = "the recipe's keep" if target == "recipe" else target
        if target == "recipe":
            words = _KEEP.get(words, words)
        file = next((PurePath(finding.file).name for finding in members if finding.file), "")
        found.append(Aim(name, status, SIGNS[status], words, file, [_budget(finding) for finding in members]))
    # A target without a required budget has no verdict, and no place before one that has.
    return sorted(found, key=lambda aim: (aim.status == "no number", _ORDER[aim.status]))


def _tightness(finding: Finding) -> tuple[bool, int, float]:
    """Order budgets: those that decide the exit code first, by status, then by how near the limit they may be.

    That is the used share of the limit at the end of the interval that is nearer to it.
    """
    if finding.value is None or not finding.limit:
        return finding.level != "required", _ORDER[finding.status], 0.0
    low, high = finding.interval or (finding.value, finding.value)
    used = high / finding.limit
    if finding.check in AT_LEAST:
        used = finding.limit / low if low > 0 else math.inf
    return finding.level != "required", _ORDER[finding.status], -used


def _budget(finding: Finding) -> Budget:
    check, value, limit, share, rest = cells(finding)
    return Budget(
        finding.status,
        SIGNS[finding.status],
        check,
        value or "no number",
        limit,
        share,
        rest,
        _sure(finding),
        "; ".join(filter(None, [": ".join(filter(None, [finding.label, finding.basis])), finding.note])),
        str(finding.place) if finding.place and finding.status != "ok" else "",
        finding.level == "advisory",
        bar(finding),
    )


def _sure(finding: Finding) -> str:
    """Return how the value was found and its interval; a missing one never passes."""
    if finding.value is None:
        return "a missing measurement never passes"
    interval = interval_text(finding.interval, finding.unit) if finding.interval else ""
    exact = "exact" if finding.unit in ("bytes", "number") and finding.label == "measured" else ""
    return ", ".join(filter(None, [finding.label, exact])) + (f" {interval}" if interval else "")
