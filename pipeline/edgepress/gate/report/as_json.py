"""Render a report as JSON: verdict, findings, stages; no raw outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ...core.printable import as_json
from ...core.results import Report
from ..judge import Finding, OnUndecided, exit_code
from . import change, verdict


def render(report: Report, findings: Sequence[Finding], on_undecided: OnUndecided = "fail") -> str:
    """Return one JSON object, ending in a newline; `version` changes when a field changes its meaning or goes.

    A number that is infinite, or none, is `null`.
    """
    stages = [stage.model_dump(exclude={"files": {"__all__": {"correct", "resampled"}}}) for stage in report.stages]
    changed = change.change(report, findings)
    document = {
        "version": 1,
        "recipe": report.recipe,
        "source": report.source,
        "date": report.date,
        "limited": report.limited,
        "inputs": report.data.get("inputs"),
        "data": {key: report.data.get(key, []) for key in ("notes", "warnings")},
        "exit": exit_code(findings, on_undecided),
        "summary": verdict.summary(report, findings, on_undecided)[0],
        "change": asdict(changed) if changed else None,
        "findings": [_finding(finding) for finding in findings],
        "stages": stages,
        "preprocessing": report.preprocessing.model_dump(exclude_defaults=True) if report.preprocessing else None,
        "emulated": {
            target: [file.model_dump(exclude={"correct", "resampled"}) for file in files]
            for target, files in report.emulated.items()
        },
        "devices": {target: device.model_dump() for target, device in report.devices.items()},
        "machine": report.machine.model_dump(),
        "versions": report.versions,
    }
    return as_json(document) + "\n"


def _finding(finding: Finding) -> dict[str, Any]:
    place = finding.place
    where = {"file": str(place.path), "line": place.line, "column": place.column} if place else None
    return asdict(finding) | {"place": where}
