"""Show the stages of a run as a table: sizes, scores and latencies."""

from __future__ import annotations

import math
from statistics import median

from ...benchmark import statistics
from ...core.results import Report, StageFacts
from ...core.units import show_bytes, show_count, show_score, show_seconds
from ..judge import host_file
from . import change
from .inputs import around_inference, prepared
from .wording import cut, interval_text, minus


def stage_lines(report: Report) -> list[str]:
    """Return one line per stage, and one with its changes against its input stage."""
    if not report.stages:
        return []
    table = stage_table(report)
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    widths[0], widths[1] = min(widths[0], 15), min(widths[1], 19)
    kind = report.data.get("kind", "images")
    lines = [f"{report.metric} on validation and test {kind}; latency on this machine, 1 thread"]
    for line in table:
        left = [cut(cell, width).ljust(width) for cell, width in zip(line[:2], widths, strict=False)]
        right = [cell.rjust(width) for cell, width in zip(line[2:-1], widths[2:], strict=False)]
        lines.append("  ".join([*left, *right, line[-1]]).rstrip())
    lines += prepared(report) + around_inference(report)
    busy = [statistics.contention(samples) for samples in report.samples if samples.cpu]
    if busy and median(busy) > statistics.CALM:
        lines.append(
            f"contention {median(busy):.2f}: other work shares the cores; latencies are CPU time, which it hardly moves"
        )
    return lines


def stage_table(report: Report) -> list[list[str]]:
    """Return the cells: a header, then each stage's numbers and, below, their changes against its input stage."""
    table = [["stage", "", "parameters", "size", "MACs", "val", "test", "latency"]]
    rows = {stage.name: _Row(report, stage) for stage in report.stages}
    for stage in report.stages:
        row = rows[stage.name]
        table.append([stage.name, stage.use, *row.cells()])
        before = next((rows[name] for name in stage.inputs if name in rows), None)
        if before is not None:
            table.append(["", f"vs {before.name}", *row.changes(before)])
    return table


class _Row:
    """The numbers of one stage's file for this machine."""

    def __init__(self, report: Report, stage: StageFacts) -> None:
        file = host_file(stage, report.machine)
        scores = file.scores if file else {}
        self.name, self.report = stage.name, report
        self.sizes = (stage.parameters, file.bytes if file else None, stage.macs)
        self.scores = tuple(scores.get(split, {}).get(report.metric) for split in ("validation", "test"))
        samples = change.timed(report.samples, file)
        self.logs = statistics.log_percentiles(samples, 50) if samples else []

    def cells(self) -> list[str]:
        sizes = [
            "—" if size is None else show(size)
            for size, show in zip(self.sizes, (show_count, show_bytes, show_count), strict=True)
        ]
        scores = ["—" if score is None else self._shown(score) for score in self.scores]
        return [*sizes, *scores, self._latency()]

    def _shown(self, score: float) -> str:
        return show_score(score, error=self.report.error, points=self.report.points)

    def changes(self, before: _Row) -> list[str]:
        sizes = [_share(mine, theirs) for mine, theirs in zip(self.sizes, before.sizes, strict=True)]
        scores = [
            "" if mine is None or theirs is None else change.moved(self.report, mine, theirs)
            for mine, theirs in zip(self.scores, before.scores, strict=True)
        ]
        return [*sizes, *scores, _share(self._seconds(), before._seconds())]

    def _seconds(self) -> float | None:
        return math.exp(median(self.logs)) if self.logs else None

    def _latency(self) -> str:
        seconds = self._seconds()
        if seconds is None:
            return "—"
        _, interval = statistics.spread(self.logs)
        return show_seconds(seconds) + (f"  {interval_text(interval, 'seconds')}" if interval else "")


def _share(mine: float | None, theirs: float | None) -> str:
    if mine is None or not theirs:
        return ""
    change = minus(f"{mine / theirs - 1:+.0%}")
    return f"x{mine / theirs:.0f}" if mine >= 10 * theirs else "same" if change in ("+0%", "−0%") else change
