"""List what a report was made from and on: recipe, data, digests, versions, machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from ....core.machine import instructions
from ....core.results import Report
from ....core.units import show_bytes
from ...judge import Finding
from .. import change
from ..inputs import before_inference


def provenance(report: Report, findings: Sequence[Finding]) -> list[tuple[str, list[str]]]:
    """Return pairs of a term and its values."""
    data, machine = report.data, report.machine
    counts = ", ".join(f"{name} {count}" for name, count in data.get("images", {}).items())
    sets = ", ".join(instructions(machine))
    changed = change.change(report, findings)
    result = changed.result.file if changed else ""
    file = next((file for stage in report.stages for file in stage.files if file.path == result), None)
    delivered = [f"{PurePath(file.path).name}, {show_bytes(file.bytes)}, sha256 {file.sha256}"] if file else []
    runtime = [before_inference(report.preprocessing)] if report.preprocessing else []
    changes = [f"--set {words}" for words in data.get("set", [])]
    found = [
        ("recipe", [report.source, f"sha256 {data.get('recipe_sha256', '')}", *changes]),
        ("date", [report.date]),
        ("data", [f"{data.get('name', '')}: {counts}", f"sha256 {data.get('sha256', '')}"]),
        ("inputs", [data["inputs"]] if data.get("inputs") else []),
        ("before each inference", runtime),
        ("result", delivered),
        ("targets", [PurePath(target).name for target in report.targets]),
        ("machine", [f"{machine.cpu}{f' ({sets})' if sets else ''}, {machine.cores} cores", machine.system]),
        ("devices", [f"{target}: {device.about or device.error}" for target, device in report.devices.items()]),
        ("versions", [", ".join(f"{name} {version}" for name, version in report.versions.items())]),
        ("licences", _licences(data.get("licences"))),
    ]
    return [(term, [value for value in values if value.strip(": ")]) for term, values in found if values]


def _licences(stated: Any) -> list[str]:
    """Return what the recipe's `card` stated when it was run; a licence that is not stated is unknown."""
    known = stated if isinstance(stated, dict) else {}
    return [
        f"{what}: {known[what] if known.get(what) else 'unknown; `card:` of the recipe states it'}"
        for what in ("weights", "data", "code")
    ]
