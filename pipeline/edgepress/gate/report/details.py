"""List facts of judged files beside budgets.

Cold start, operators that compute in float, results on other processors.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from statistics import median

from ...core.results import Emulated, Report
from ...core.units import show_score, show_seconds
from ..judge import Finding

COMPUTED_IN_FLOAT = ("float32", "float16", "weights")


def more(report: Report, target: str, findings: Sequence[Finding]) -> list[str]:
    """Return the cold start and the float operators of the file that `target` judges."""
    path = next((finding.file for finding in findings if finding.file), "")
    if target == "recipe":
        return []
    words = []
    device = target if target in report.devices else ""
    for samples in report.samples:
        if samples.path == path and samples.load and samples.device == device and _measured(findings):
            load, first = median(samples.load), median(samples.first)
            parts = f"{show_seconds(load)} to load, {show_seconds(first)} to infer"
            words.append(f"cold start {show_seconds(load + first)}: {parts}; measured: {len(samples.load)} processes")
            break
    file = next((file for stage in report.stages for file in stage.files if file.path == path), None)
    if file and file.real and file.precision not in COMPUTED_IN_FLOAT:
        count = f"{sum(file.real.values())} of {sum(file.operators.values())}"
        words.append(f"{count} operators compute in float: {counted(file.real)}")
    return words


def _measured(findings: Sequence[Finding]) -> bool:
    return not any(finding.label == "estimated" for finding in findings)


def counted(counts: dict[str, int]) -> str:
    """Return `3 Softmax, 1 Gelu`."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


def emulated(report: Report) -> list[str]:
    """Return the scores of files on the targets' instruction sets; times under emulation mean nothing."""
    lines = []
    for target, files in report.emulated.items():
        for run in files:
            score = "does not run" if run.error else _shown(report, run.scores[report.metric])
            same = run.error or _alike(report, run)
            lines.append([target, run.cpu, PurePath(run.path).name, run.runtime, score, same])
    widths = [max(len(line[column]) for line in lines) for column in range(6)] if lines else []
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    versions = {
        f"{name} {version}"
        for files in report.emulated.values()
        for run in files
        for name, version in run.versions.items()
    }
    head = f"{report.metric} on test, emulated: on the device's own instruction set ({', '.join(sorted(versions))})"
    return [head, *rows] if rows else []


def _alike(report: Report, run: Emulated) -> str:
    if not run.alike:
        return f"outputs as here by an R² of {run.agreement:.3f}"
    if run.alike != "examples":
        return f"{run.agreement:.1%} of {run.alike} as here"
    count = len(run.correct) or report.data.get("images", {}).get("test", 0)
    return f"{round(run.agreement * count)} of {count} predictions as here"


def _shown(report: Report, score: float) -> str:
    return show_score(score, error=report.error, points=report.points)
