"""Render a report as Markdown: a job summary, or a comment on a pull request."""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import groupby

from ...core.printable import lines as printed
from ...core.printable import shown
from ...core.results import Report
from ..judge import Finding, OnUndecided
from . import cells, change, inputs, stage_table, verdict
from .markdown_text import block, code, escaped


def render(report: Report, findings: Sequence[Finding], on_undecided: OnUndecided = "fail") -> str:
    """Return the verdict, a table of budgets, what to do next, and the table of stages folded away."""
    report, findings = shown(report), shown(findings)
    first, *following = verdict.summary(report, findings, on_undecided)
    blocks = [f"### edgepress {code(report.recipe)}: {escaped(first)}"]
    if changed := change.line(report, findings):
        blocks.append(escaped(changed))
    if findings:
        blocks.append("\n".join([*_HEAD, *map(_row, findings)]))
    if starts := _starting(findings):
        blocks.append("\n".join(starts))
    if following:
        blocks.append("\n".join(f"- {escaped(line)}" for line in _unwrapped(following)))
    warnings = [f"- data: {escaped(words)}" for words in report.data.get("warnings", ())]
    warnings += [f"- {block(f'{stage.name}: {words}')}" for stage in report.stages for words in stage.warnings]
    if warnings:
        blocks.append("\n".join(["Warnings:", "", *warnings]))
    if report.stages:
        blocks.append(_stages(report))
    machine = report.machine
    blocks.append(f"<sub>{escaped(f'{report.date}, {machine.cpu}, {machine.cores} cores, {machine.system}')}</sub>")
    return printed("\n\n".join(blocks) + "\n\n")


_HEAD = ["| | target | budget | value | limit | interval | how |", "|---|---|---|---|---|---|---|"]


def _row(finding: Finding) -> str:
    _, value, limit, _, rest = cells.cells(finding)
    mark = f"**{finding.status}**" if finding.status == "FAIL" else finding.status
    place = code(str(finding.place)) if finding.place and finding.status != "ok" else ""
    found = "; ".join(filter(None, [": ".join(filter(None, [finding.label, finding.basis])), finding.note]))
    how = "; ".join(filter(None, [escaped(found), place]))
    row = [finding.target, finding.check, value or "no number", limit, rest]
    return "| " + " | ".join([mark + cells.level(finding), *map(escaped, row), how]) + " |"


def _starting(findings: Sequence[Finding]) -> list[str]:
    """Return the starting model's results, one line per target."""
    groups = [(name, list(group)) for name, group in groupby(findings, key=lambda finding: finding.target)]
    return [f"- {block(f'{name}: {words}')}" for name, group in groups if (words := cells.starting(group))]


def _stages(report: Report) -> str:
    header, *rows = stage_table.stage_table(report)
    table = [[*map(escaped, row)] for row in (header, *rows)]
    table.insert(1, ["---"] * len(header))
    lines = ["| " + " | ".join(row) + " |" for row in table]
    title = f"Stages: {html.escape(report.metric)} on validation and test; latency on this machine, 1 thread"
    if preparation := report.data.get("inputs"):
        lines += ["", f"Inputs: {escaped(preparation)}."]
    lines += [line for words in report.data.get("notes", ()) for line in ("", f"Data: {escaped(words)}.")]
    if report.preprocessing:
        lines += ["", f"Before each inference: {inputs.before_inference(report.preprocessing)}."]
        if after := inputs.after_inference(report.preprocessing):
            lines += ["", f"After each inference: {after}."]
    return "\n".join([f"<details><summary>{title}</summary>", "", *lines, "", "</details>"])


def _unwrapped(lines: Sequence[str]) -> list[str]:
    """Join lines that were wrapped for a page."""
    paragraphs: list[str] = []
    for line in lines:
        if line.startswith(" ") and paragraphs:
            paragraphs[-1] += " " + line.strip()
        else:
            paragraphs.append(line)
    return paragraphs
