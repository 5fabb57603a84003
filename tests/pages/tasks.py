"""What distilling gains on masks, points, vectors and pictures."""

from __future__ import annotations

from statistics import fmean

from edgepress.core.metrics import DEFAULTS

from tests.bench import results
from tests.pages import stamp

UNITS = {"psnr": "dB"}
"""Unit of a default metric, where it is not a share."""


def tasks() -> str:
    """Test metric of teacher, plain and distilled students, and the gain of each way over the plain ones."""
    found = results.read("tasks")
    lines = ["| | test metric | gain over the plain student, 95% interval |", "|---|---|---|"]
    for task, case in found["tasks"].items():
        rows = [row["test"] for row in case["rows"]]
        metric = DEFAULTS[task]
        unit = UNITS.get(metric, "%")
        lines.append(f"| **{task}**, `{metric}`, {len(rows)} seeds | | |")
        for name in rows[0]:
            words = {"teacher": "teacher", "plain": "labels alone"}.get(name, f"`distill.{name}`")
            more = case["gain"].get(name)
            shown = f"{more['mean']:+.2f} [{more['low']:+.2f}, {more['high']:+.2f}]" if more else ""
            lines.append(f"| {words} | {fmean(row[name] for row in rows):.1f} {unit} | {shown} |")
    return "\n".join([*lines, "", stamp(found)]) + "\n"
