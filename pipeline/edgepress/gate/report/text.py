"""Render a report as plain text of at most 110 columns."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import PurePath
from statistics import median

from ...benchmark import statistics
from ...core.machine import instructions
from ...core.results import Machine, Preprocessing, Report, StageFacts
from ...core.units import show_bytes, show_count, show_score, show_seconds
from ...stages import TABLE
from ..judge import Finding, OnUndecided, Unit, exit_code, host_file
from . import change, details
from .advice import if_failed, if_open

WIDTH = 110
_MARKS = {"ok": "ok", "FAIL": "FAIL", "undecided": "?", "no number": "—"}
_ANSWERS: tuple[Unit, ...] = ("share", "points", "percent", "metric")
"""Units of what is counted on test examples."""
_NOT_MET = {"FAIL": "exceeded", "undecided": "undecided", "no number": "without a number"}
_SHOW: dict[Unit, Callable[[float], str]] = {
    "bytes": show_bytes,
    "seconds": show_seconds,
    "ratio": "{:.3f}x".format,
    "share": "{:.1%}".format,
    "points": "{:.2f} points".format,
    "percent": "{:.1f}%".format,
    "metric": "{:.3g}".format,
    "number": "{:.0f}".format,
}


def render(report: Report, findings: Sequence[Finding], on_undecided: OnUndecided = "fail") -> str:
    """The whole text, ending in a newline."""
    blocks = [
        _title(report, findings),
        _stages(report),
        [line for words in summaries(report) for line in _wrapped("", words)],
        [line for words in details.emulated(report) for line in _wrapped("", words)],
        _warnings(report),
        _gate(findings, report),
    ]
    blocks.append(summary(report, findings, on_undecided))
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _title(report: Report, findings: Sequence[Finding]) -> list[str]:
    machine = report.machine
    where = f"{machine.cpu}{_instructions(machine)}, {machine.cores} cores, {machine.system}"
    began = change.line(report, findings)
    lines = [*([began] if began else []), f"{report.recipe}  {report.date}, on {where}"]
    if changes := report.data.get("set"):
        lines.append("set: " + "  ".join(changes))
    if report.limited is not None:
        lines.append(f"A smoke run, limited to {report.limited}: it shows that the recipe works, not what it reaches.")
    return [part for line in lines for part in _wrapped("", line)]


def _instructions(machine: Machine) -> str:
    """Those that int8 answers depend on."""
    found = instructions(machine)
    return f" ({', '.join(found)})" if found else ""


def _stages(report: Report) -> list[str]:
    """One line a stage, and one with its changes against the stage that it worked on."""
    if not report.stages:
        return []
    table = stage_table(report)
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    widths[0], widths[1] = min(widths[0], 15), min(widths[1], 19)
    kind = report.data.get("kind", "images")
    lines = [f"{report.metric} on validation and test {kind}; latency on this machine, 1 thread"]
    for line in table:
        left = [_cut(cell, width).ljust(width) for cell, width in zip(line[:2], widths, strict=False)]
        right = [cell.rjust(width) for cell, width in zip(line[2:-1], widths[2:], strict=False)]
        lines.append("  ".join([*left, *right, line[-1]]).rstrip())
    lines += prepared(report)
    if report.preprocessing:
        lines += _wrapped("before each inference: ", before_inference(report.preprocessing))
    busy = [statistics.contention(each) for each in report.samples if each.cpu]
    if busy and median(busy) > statistics.CALM:
        lines.append(
            f"contention {median(busy):.2f}: other work shares the cores; latencies are CPU time, which it hardly moves"
        )
    return lines


def prepared(report: Report) -> list[str]:
    """How the models' inputs are made; reports of older versions do not say it."""
    return _wrapped("inputs: ", report.data["inputs"]) if report.data.get("inputs") else []


def before_inference(found: Preprocessing) -> str:
    """What the latencies do not have in them; medians."""
    parts = [f"{show_seconds(median(found.read))} to read and resize an image"] if found.read else []
    parts.append(f"{show_seconds(median(found.ready))} to {'normalise it' if found.read else 'prepare an example'}")
    return f"{', '.join(parts)}; measured here: CPU time, 1 thread, median of {len(found.ready)}"


def stage_table(report: Report) -> list[list[str]]:
    """Cells: a header, then for each stage its numbers and, below, their changes against the stage it worked on."""
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
        scores = ["—" if score is None else show_score(score, error=self.report.error) for score in self.scores]
        return [*sizes, *scores, self._latency()]

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
        return show_seconds(seconds) + (f"  {_interval(interval, 'seconds')}" if interval else "")


def _share(mine: float | None, theirs: float | None) -> str:
    if mine is None or not theirs:
        return ""
    change = _minus(f"{mine / theirs - 1:+.0%}")
    return f"x{mine / theirs:.0f}" if mine >= 10 * theirs else "same" if change in ("+0%", "−0%") else change


def summaries(report: Report) -> list[str]:
    """The stages' own lines; those of a report by an older version follow from its notes."""
    found = []
    for stage in report.stages:
        lines = stage.summary
        if lines is None:
            lines = TABLE[stage.use].summarize(stage.notes) if stage.use in TABLE else []
        found += [f"{stage.name}: {words}" for words in lines]
    return found


def _warnings(report: Report) -> list[str]:
    found = [(stage.name, warning) for stage in report.stages for warning in stage.warnings]
    return [line for name, warning in found for line in _wrapped(f"warning: {name}: ", warning)]


def _gate(findings: Sequence[Finding], report: Report) -> list[str]:
    """The findings of each target, aligned, under a line that says how its latency was found."""
    lines: list[str] = []
    for name, group in groupby(findings, key=lambda finding: finding.target):
        each = list(group)
        lines += [""] * bool(lines) + _wrapped(f"{name}    ", _head(each))
        lines += [line for words in details.more(report, name, each) for line in _wrapped("        ", words)]
        table = [cells(finding) for finding in each]
        widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
        for finding, row in zip(each, table, strict=True):
            check, value, limit, share, rest = row
            aligned = [check.ljust(widths[0]), value.rjust(widths[1]), limit.ljust(widths[2]), share.rjust(widths[3])]
            text = "no number; a missing measurement never passes" if finding.value is None else ""
            body = f"{aligned[0]}  {text}" if text else "  ".join([*aligned, rest])
            lines.append(f"  {_MARKS[finding.status]:<5} {body}{_level(finding)}".rstrip())
            lines += _below(finding, report)
        lines += _wrapped(" " * 8, begun) if (begun := starting(each)) else []
    return lines


def starting(findings: Sequence[Finding]) -> str:
    """`starting model (teacher): size 3.1 MB of 0.7 MB, exceeded; latency p50, memory not measured`; or empty."""
    starts = [(finding, finding.start) for finding in findings if finding.start]
    parts = []
    for finding, start in starts:
        _, value, limit, *_ = cells(replace(finding, value=start.value, interval=None))
        how = f"{start.label}, " if start.label not in (None, "measured") else ""
        if value:
            parts.append(f"{finding.check} {value} {limit}, {how}{_NOT_MET.get(start.status, 'met')}")
    if missing := [finding.check for finding, start in starts if start.value is None]:
        parts.append(f"{', '.join(missing)} not measured")
    return f"starting model ({starts[0][1].name}): {'; '.join(parts)}" if starts else ""


def _head(findings: Sequence[Finding]) -> str:
    """The judged file, and how its latency was found."""
    file = next((PurePath(finding.file).name for finding in findings if finding.file), "no file")
    latency = next((finding for finding in findings if finding.label and finding.check.startswith("latency")), None)
    return f"{file}, latency {latency.label}: {latency.basis}" if latency else file


def cells(finding: Finding) -> tuple[str, str, str, str, str]:
    """Check, value, limit, the share of the limit that is used, and the interval with the excess."""
    if finding.value is None:
        return finding.check, "", "", "", ""
    show, at_least = _SHOW[finding.unit], finding.check in ("accuracy", "macro_f1", "worst_recall")
    limit = f"{'at least' if at_least else 'of'} {show(finding.limit)}"
    used = f"{finding.value / finding.limit:.0%}" if finding.limit and finding.value >= 0 and not at_least else ""
    rest = [_interval(finding.interval, finding.unit)] if finding.interval else []
    if finding.status == "FAIL":
        over = finding.value - finding.limit
        rest.append(f"{'+' if over >= 0 else '−'}{show(abs(over))}")
    return finding.check, _minus(show(finding.value)), limit, used, "  ".join(rest)


def _level(finding: Finding) -> str:
    return "  (advisory)" if finding.level == "advisory" else ""


def _below(finding: Finding, report: Report) -> list[str]:
    grouped = report.groups and finding.unit in _ANSWERS
    told = [finding.basis] if finding.basis and (grouped or finding.label == "emulated") else []
    told += [finding.note] if finding.note else []
    lines = _wrapped(" " * 8, "; ".join(told)) if told else []
    if finding.status != "ok" and finding.place is not None:
        lines.append(f"        budget: {finding.place}")
        if finding.status == "FAIL" and finding.place.source:
            source, carets = finding.place.excerpt()
            lines += [f"        {finding.place.line:>4} | {source}", f"             | {carets}"]
    return lines


def _interval(interval: tuple[float, float], unit: Unit) -> str:
    """`[45.2–47.0]`, without the unit where both ends share it with the value beside them."""
    ends = [_minus(_SHOW[unit](bound)) for bound in interval]
    units = {end.lstrip("−0123456789.") for end in ends}
    if len(units) == 1:
        ends = [end.removesuffix(*units) for end in ends]
    return f"[{(' to ' if interval[0] < 0 else '–').join(ends)}]"


def summary(report: Report, findings: Sequence[Finding], on_undecided: OnUndecided) -> list[str]:
    """The verdict, with what makes it doubtful, and what to do next."""
    first, *following = _verdict(report, findings, on_undecided)
    used = {name for stage in report.stages for name in stage.inputs}
    counts = [stage for stage in report.stages if stage.name not in used or stage.name == report.reference]
    # What a trained student was made from may be wrong: that is a warning, and says nothing of the student.
    doubtful = next((stage for stage in report.stages if stage.doubt), None)
    if doubtful and any(stage.doubt for stage in counts):
        first = f"`{doubtful.name}` is {doubtful.doubt} (see its warning).  {first}"
    return [first, *following]


def _verdict(report: Report, findings: Sequence[Finding], on_undecided: OnUndecided) -> list[str]:
    if not findings:
        return ["No budget to meet: the recipe names no target and keeps nothing.  exit 0"]
    required = [finding for finding in findings if finding.level == "required"]
    failed = [finding for finding in required if finding.status == "FAIL"]
    open_ = [finding for finding in required if finding.status in ("undecided", "no number")]
    code = exit_code(findings, on_undecided)
    lines = [f"{counted(findings)}{' and let pass' if open_ and not code else ''}.  exit {code}"]
    if not code:
        return lines
    for advice in dict.fromkeys(
        [*(if_failed(report, finding) for finding in failed), *(if_open(report, finding) for finding in open_)]
    ):
        lines += _wrapped("Next: ", advice)
    return lines


def counted(findings: Sequence[Finding]) -> str:
    """`9 of 9 required budgets met; 3 advisory without a number`: every budget that is not met is in it."""
    required = [each.status for each in findings if each.level == "required"]
    advisory = [each.status for each in findings if each.level == "advisory"]
    met = f"{required.count('ok')} of {len(required)} required budgets met" if required else "no required budget"
    parts = [met, *(f"{required.count(status)} {word}" for status, word in _NOT_MET.items() if status in required)]
    besides = [f"{advisory.count(status)} advisory {word}" for status, word in _NOT_MET.items() if status in advisory]
    return "; ".join(filter(None, [", ".join(parts), ", ".join(besides)]))


def _wrapped(lead: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=lead, subsequent_indent=" " * min(len(lead), 8)) or [lead.rstrip()]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _minus(number: str) -> str:
    return number.replace("-", "−")
