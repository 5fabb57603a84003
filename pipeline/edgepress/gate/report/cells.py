"""Show a finding as cells: check, value, limit, used share, interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..checks import AT_LEAST
from ..judge import Finding
from .wording import SHOW, interval_text, minus

NOT_MET = {"FAIL": "exceeded", "undecided": "undecided", "no number": "without a number"}


def cells(finding: Finding) -> tuple[str, str, str, str, str]:
    """Return check, value, limit, used share of the limit, and the interval with the excess."""
    if finding.value is None:
        return finding.check, "", "", "", ""
    show, at_least = SHOW[finding.unit], finding.check in AT_LEAST
    limit = f"{'at least' if at_least else 'of'} {show(finding.limit)}"
    used = f"{finding.value / finding.limit:.0%}" if finding.limit and finding.value >= 0 and not at_least else ""
    rest = [interval_text(finding.interval, finding.unit)] if finding.interval else []
    if finding.status == "FAIL":
        over = finding.value - finding.limit
        rest.append(f"{'+' if over >= 0 else '−'}{show(abs(over))}")
    return finding.check, minus(show(finding.value)), limit, used, "  ".join(rest)


def level(finding: Finding) -> str:
    """Return ` (advisory)`, which stands behind the status of a budget that never fails the gate; or empty."""
    return " (advisory)" if finding.level == "advisory" else ""


def starting(findings: Sequence[Finding]) -> str:
    """Return `starting model (teacher): size 3.1 MB of 0.7 MB, exceeded; latency p50, no memory`; or empty."""
    starts = [(finding, finding.start) for finding in findings if finding.start]
    parts = []
    for finding, start in starts:
        _, value, limit, *_ = cells(replace(finding, value=start.value, interval=None))
        how = f"{start.label}, " if start.label not in (None, "measured") else ""
        if value:
            parts.append(f"{finding.check} {value} {limit}, {how}{NOT_MET.get(start.status, 'met')}")
    if missing := [finding.check for finding, start in starts if start.value is None]:
        parts.append(f"{', '.join(missing)} not measured")
    return f"starting model ({starts[0][1].name}): {'; '.join(parts)}" if starts else ""
