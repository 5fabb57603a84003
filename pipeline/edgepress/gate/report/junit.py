"""Render a report as JUnit XML: a test case for every budget."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from ...core.printable import lines as printed
from ...core.printable import shown
from ...core.results import Report
from ..judge import Finding, OnUndecided, exit_code
from . import cells, change, verdict


def render(report: Report, findings: Sequence[Finding], on_undecided: OnUndecided = "fail") -> str:
    """Return a suite: an exceeded budget is a failure, an open one an error; one let pass says so and passes."""
    report, findings = shown(report), shown(findings)
    suite = ElementTree.Element("testsuite", name=f"edgepress {report.recipe}", timestamp=report.date)
    (first, *_) = verdict.summary(report, findings, on_undecided)
    properties = ElementTree.SubElement(suite, "properties")
    for name, words in (
        ("change", change.line(report, findings)),
        ("inputs", report.data.get("inputs")),
        ("summary", first),
    ):
        if words:
            ElementTree.SubElement(properties, "property", name=name, value=words)
    kinds = [_case(suite, finding, on_undecided) for finding in findings]
    counts = {"tests": len(kinds), "failures": kinds.count("failure"), "errors": kinds.count("error"), "skipped": 0}
    suites = ElementTree.Element("testsuites")
    for element in (suite, suites):
        element.attrib |= {name: str(count) for name, count in counts.items()}
    suites.append(suite)
    ElementTree.indent(suites, " ")
    return printed('<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n")


def _case(suite: ElementTree.Element, finding: Finding, on_undecided: OnUndecided) -> str:
    """Add the case of a finding. Returns its kind: `failure`, `error` or nothing."""
    case = ElementTree.SubElement(suite, "testcase", classname=finding.target, name=finding.check)
    if finding.place:
        case.attrib |= {"file": str(finding.place.path), "line": str(finding.place.line)}
    kind = {0: "", 1: "failure", 4: "error"}[exit_code([finding], on_undecided)]
    _, value, limit, _, rest = cells.cells(finding)
    number = " ".join(filter(None, [value, limit, rest])) or "no number"
    words = "\n".join(filter(None, [f"{finding.label or 'missing'}: {number}", finding.basis, finding.note]))
    if kind:
        ElementTree.SubElement(case, kind, message=f"{finding.status}: {number}", type=finding.status).text = words
    else:
        ElementTree.SubElement(case, "system-out").text = f"{finding.status}\n{words}"
    return kind
