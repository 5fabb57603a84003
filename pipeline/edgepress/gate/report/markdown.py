"""Render a report as Markdown: a job summary, or a comment on a pull request."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ...core.results import Report
from ..judge import Finding, OnUndecided
from . import cells, change, inputs, stage_table, verdict


def render(report: Report, findings: Sequence[Finding], on_undecided: OnUndecided = "fail") -> str:
    """Return the verdict, a table of budgets, what to do next, and the table of stages folded away."""
    first, *following = verdict.summary(report, findings, on_undecided)
    blocks = [f"### edgepress `{report.recipe}`: {_escaped(first)}"]
    if changed := change.line(report, findings):
        blocks.append(_escaped(changed))
    if findings:
        blocks.append("\n".join([*_HEAD, *map(_row, findings)]))
    if starts := _starting(findings):
        blocks.append("\n".join(starts))
    if following:
        blocks.append("\n".join(f"- {_escaped(line)}" for line in _unwrapped(following)))
    warnings = [f"- data: {_escaped(words)}" for words in report.data.get("warnings", ())]
    warnings += [f"- {stage.name}: {_escaped(words)}" for stage in report.stages for words in stage.warnings]
    if warnings:
        blocks.append("\n".join(["Warnings:", "", *warnings]))
    if report.stages:
        blocks.append(_stages(report))
    machine = report.machine
    blocks.append(f"<sub>{report.date}, {_escaped(machine.cpu)}, {machine.cores} cores, {machine.system}</sub>")
    return "\n\n".join(blocks) + "\n\n"


_HEAD = ["| | target | budget | value | limit | interval | how |", "|---|---|---|---|---|---|---|"]


def _row(finding: Finding) -> str:
    _, value, limit, _, rest = cells.cells(finding)
    mark = f"**{finding.status}**" if finding.status == "FAIL" else finding.status
    level = " (advisory)" if finding.level == "advisory" else ""
    place = f"`{finding.place}`" if finding.place and finding.status != "ok" else ""
    how = "; ".join(filter(None, [": ".join(filter(None, [finding.label, finding.basis])), finding.note, place]))
    row = [mark + level, finding.target, finding.check, value or "no number", limit, rest, how]
    return "| " + " | ".join(map(_escaped, row)) + " |"


def _starting(findings: Sequence[Finding]) -> list[str]:
    """Return the starting model's results, one line per target."""
    groups = [(name, list(group)) for name, group in groupby(findings, key=lambda finding: finding.target)]
    return [f"- {name}: {_escaped(words)}" for name, group in groups if (words := cells.starting(group))]


def _stages(report: Report) -> str:
    header, *rows = stage_table.stage_table(report)
    lines = ["| " + " | ".join(map(_escaped, row)) + " |" for row in (header, ["---"] * len(header), *rows)]
    title = f"Stages: {report.metric} on validation and test; latency on this machine, 1 thread"
    if preparation := report.data.get("inputs"):
        lines += ["", f"Inputs: {_escaped(preparation)}."]
    lines += [line for words in report.data.get("notes", ()) for line in ("", f"Data: {_escaped(words)}.")]
    if report.preprocessing:
        lines += ["", f"Before each inference: {inputs.before_inference(report.preprocessing)}."]
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


def _escaped(words: str) -> str:
    return words.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
