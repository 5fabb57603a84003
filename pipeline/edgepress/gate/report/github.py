"""Render a report as GitHub's workflow commands.

They annotate the lines that set the budgets.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...core.printable import shown
from ...core.results import Report
from ..judge import Finding, OnUndecided, exit_code
from . import cells, change, verdict


def render(report: Report, findings: Sequence[Finding], on_undecided: OnUndecided = "fail") -> str:
    """Return one command a line.

    An error for what ends the job, a warning for what is open besides, notices of start → result and of the end.
    """
    report, findings = shown(report), shown(findings)
    title: dict[str, object] = {"title": f"edgepress {report.recipe}"}
    changed = change.line(report, findings)
    lines = [_command("notice", changed, title)] if changed else []
    lines += [_annotation(finding, on_undecided) for finding in findings if finding.status != "ok"]
    lines += [
        _command("warning", f"{stage.name}: {words}", title) for stage in report.stages for words in stage.warnings
    ]
    lines += [_command("warning", f"data: {words}", title) for words in report.data.get("warnings", ())]
    (first, *_) = verdict.summary(report, findings, on_undecided)
    if inputs := report.data.get("inputs"):
        lines.append(_command("notice", f"inputs: {inputs}", title))
    lines.append(_command("notice", first, title))
    return "".join(f"{line}\n" for line in lines)


def _annotation(finding: Finding, on_undecided: OnUndecided) -> str:
    ends = exit_code([finding], on_undecided) != 0
    _, value, limit, _, rest = cells.cells(finding)
    number = " ".join(filter(None, [finding.label, value, limit, rest])) or "no number"
    words = "; ".join(filter(None, [f"{finding.status}: {number}", finding.basis, finding.note]))
    where: dict[str, object] = {}
    if finding.place:
        place = finding.place
        where = {"file": _from_here(place.path), "line": place.line, "col": place.column}
    return _command("error" if ends else "warning", words, where | {"title": f"{finding.target} {finding.check}"})


def _from_here(path: Path) -> str:
    """Return a path from the top of the repository, where a job begins: annotations are placed by it."""
    here = Path.cwd()
    absolute = path.resolve()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else path)


def _command(name: str, words: str, properties: dict[str, object]) -> str:
    attributes = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    return f"::{name} {attributes}::{_data(words)}"


def _data(words: str) -> str:
    return words.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(words: str) -> str:
    return _data(words).replace(":", "%3A").replace(",", "%2C")
