"""What a report knows of judged files beside budgets: cold start, operators in float, answers elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from statistics import median

from ...core.results import Report
from ...core.units import show_score, show_seconds
from ..judge import Finding

COMPUTED_IN_FLOAT = ("float32", "float16", "weights")


def more(report: Report, target: str, findings: Sequence[Finding]) -> list[str]:
    """Of the file that `target` judges: its cold start, and the operators that still compute in float."""
    path = next((finding.file for finding in findings if finding.file), "")
    if target == "recipe":
        return []
    words = []
    device = target if target in report.devices else ""
    for each in report.samples:
        if each.path == path and each.load and each.device == device and _measured(findings):
            load, first = median(each.load), median(each.first)
            parts = f"{show_seconds(load)} to load, {show_seconds(first)} to infer"
            words.append(f"cold start {show_seconds(load + first)}: {parts}; measured: {len(each.load)} processes")
            break
    file = next((each for stage in report.stages for each in stage.files if each.path == path), None)
    if file and file.real and file.precision not in COMPUTED_IN_FLOAT:
        count = f"{sum(file.real.values())} of {sum(file.operators.values())}"
        words.append(f"{count} operators compute in float: {counted(file.real)}")
    return words


def _measured(findings: Sequence[Finding]) -> bool:
    return not any(finding.label == "estimated" for finding in findings)


def counted(counts: dict[str, int]) -> str:
    """`3 Softmax, 1 Gelu`."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda each: -each[1]))


def emulated(report: Report) -> list[str]:
    """What files answer on the instruction sets of targets; no time under emulation means anything."""
    lines = []
    for target, files in report.emulated.items():
        for each in files:
            score = "does not run" if each.error else show_score(each.scores[report.metric], error=report.error)
            count = len(each.correct) or report.data.get("images", {}).get("test", 0)
            same = each.error or f"{round(each.agreement * count)} of {count} predictions as here"
            lines.append([target, each.cpu, PurePath(each.path).name, each.runtime, score, same])
    widths = [max(len(line[column]) for line in lines) for column in range(6)] if lines else []
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    versions = {
        f"{name} {version}"
        for files in report.emulated.values()
        for each in files
        for name, version in each.versions.items()
    }
    head = f"{report.metric} on test, emulated: on the device's own instruction set ({', '.join(sorted(versions))})"
    return [head, *rows] if rows else []
