"""Draw a budget: the value as a bar, its interval as a whisker, and the limit as a line."""

from __future__ import annotations

import math

from markupsafe import Markup

from ...judge import Finding
from ..cells import NOT_MET, cells
from . import scales, svg

_BAR = 200.0


def bar(finding: Finding) -> Markup:
    """Draw the value as a bar, its interval as a whisker, and the limit as a line; nothing without a value."""
    if finding.value is None or not math.isfinite(finding.value) or not math.isfinite(finding.limit):
        return Markup("")
    ends = [end for end in finding.interval or () if math.isfinite(end)]
    low = min(0.0, finding.value, finding.limit, *ends)
    high = max(0.0, finding.value, *ends, finding.limit * 1.1)
    scale = scales.linear(low, high, 4.0, _BAR - 4)
    start, end = sorted((scale(0.0), scale(finding.value)))
    kind = finding.status.replace(" ", "-")
    check, value, limit, share, rest = cells(finding)
    words = " ".join(filter(None, [check, value, limit, share, rest]))
    parts = [
        svg.line(scale(low), 12.0, scale(high), 12.0, "track"),
        svg.tag("rect", x=start, y=6.0, width=max(end - start, 1.5), height=12.0, class_=f"bar {kind}"),
        svg.line(scale(finding.limit), 1.0, scale(finding.limit), 23.0, "limit"),
    ]
    if len(ends) == 2:
        parts.insert(2, svg.whisker(scale(ends[0]), scale(ends[1]), 12.0))
    met = "met" if finding.status == "ok" else NOT_MET[finding.status]
    return svg.plot(f"{words}: {met}", 24.0, *parts, width=_BAR, class_="meter")
