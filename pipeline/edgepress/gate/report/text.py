"""Render a report as plain text of at most 110 columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import PurePath

from ...core.errors import UserError, first_line
from ...core.machine import instructions
from ...core.printable import lines as printed
from ...core.printable import shown
from ...core.results import Machine, Report, StageFacts
from ...stages import TABLE
from ..judge import Finding, OnUndecided, Unit
from . import change, details
from .cells import cells, level, starting
from .stage_table import stage_lines
from .verdict import summary
from .wording import wrapped

_MARKS = {"ok": "ok", "FAIL": "FAIL", "undecided": "?", "no number": "—"}
_ANSWERS: tuple[Unit, ...] = ("share", "points", "decibels", "percent", "metric")
"""Units of what is counted on test examples."""


def render(report: Report, findings: Sequence[Finding], on_undecided: OnUndecided = "fail") -> str:
    """Return the full text, ending in a newline."""
    report, findings = shown(report), shown(findings)
    blocks = [
        _title(report, findings),
        stage_lines(report),
        [line for words in summaries(report) for line in wrapped("", words)],
        [line for words in details.emulated(report) for line in wrapped("", words)],
        _warnings(report),
        _gate(findings, report),
    ]
    blocks.append(summary(report, findings, on_undecided))
    return printed("\n\n".join("\n".join(block) for block in blocks if block) + "\n")


def _title(report: Report, findings: Sequence[Finding]) -> list[str]:
    machine = report.machine
    where = f"{machine.cpu}{_instructions(machine)}, {machine.cores} cores, {machine.system}"
    changed = change.line(report, findings)
    lines = [*([changed] if changed else []), f"{report.recipe}  {report.date}, on {where}"]
    if changes := report.data.get("set"):
        lines.append("set: " + "  ".join(changes))
    if report.limited is not None:
        lines.append(f"A smoke run, limited to {report.limited}: it shows that the recipe works, not what it reaches.")
    return [part for line in lines for part in wrapped("", line)]


def _instructions(machine: Machine) -> str:
    """Return the instruction sets that int8 results depend on."""
    names = instructions(machine)
    return f" ({', '.join(names)})" if names else ""


def summaries(report: Report) -> list[str]:
    """Return the stages' own lines; an older report has none, and they follow from its notes."""
    shown = []
    for stage in report.stages:
        lines = stage.summary
        if lines is None:
            lines = _summarized(stage) if stage.use in TABLE else []
        shown += [f"{stage.name}: {words}" for words in lines]
    return shown


def _summarized(stage: StageFacts) -> list[str]:
    """Return the lines that follow from the notes. Raises: UserError for notes that such a stage does not make."""
    try:
        return TABLE[stage.use].summarize(stage.notes)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        message = f"the report is damaged: `{stage.name}` has no notes of `{stage.use}` ({first_line(error)})"
        raise UserError(message, "`edgepress run` makes it anew") from error


def _warnings(report: Report) -> list[str]:
    warnings = [("data", warning) for warning in report.data.get("warnings", ())]
    warnings += [(stage.name, warning) for stage in report.stages for warning in stage.warnings]
    return [line for name, warning in warnings for line in wrapped(f"warning: {name}: ", warning)]


def _gate(findings: Sequence[Finding], report: Report) -> list[str]:
    """Return the findings of each target, aligned, below a line with the source of its latency."""
    lines: list[str] = []
    for name, group in groupby(findings, key=lambda finding: finding.target):
        members = list(group)
        lines += [""] * bool(lines) + wrapped(f"{name}    ", _head(members))
        lines += [line for words in details.more(report, name, members) for line in wrapped("        ", words)]
        table = [cells(finding) for finding in members]
        widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
        for finding, row in zip(members, table, strict=True):
            check, value, limit, share, rest = row
            aligned = [check.ljust(widths[0]), value.rjust(widths[1]), limit.ljust(widths[2]), share.rjust(widths[3])]
            text = "no number; a missing measurement never passes" if finding.value is None else ""
            body = f"{aligned[0]}  {text}" if text else "  ".join([*aligned, rest])
            lines.append(f"  {_MARKS[finding.status]:<5} {body} {level(finding)}".rstrip())
            lines += _below(finding, report)
        lines += wrapped(" " * 8, starts) if (starts := starting(members)) else []
    return lines


def _head(findings: Sequence[Finding]) -> str:
    """Return the judged file, and the source of its latency."""
    file = next((PurePath(finding.file).name for finding in findings if finding.file), "no file")
    latency = next((finding for finding in findings if finding.label and finding.check.startswith("latency")), None)
    return f"{file}, latency {latency.label}: {latency.basis}" if latency else file


def _below(finding: Finding, report: Report) -> list[str]:
    grouped = report.groups and finding.unit in _ANSWERS
    remarks = [finding.basis] if finding.basis and (grouped or finding.label == "emulated") else []
    remarks += [finding.note] if finding.note else []
    lines = wrapped(" " * 8, "; ".join(remarks)) if remarks else []
    if finding.status != "ok" and finding.place is not None:
        lines.append(f"        budget: {finding.place}")
        if finding.status == "FAIL" and finding.place.source:
            source, carets = finding.place.excerpt()
            lines += [f"        {finding.place.line:>4} | {source}", f"             | {carets}"]
    return lines
