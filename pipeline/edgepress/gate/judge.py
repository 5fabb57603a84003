"""Judge measurements by budgets: a pure function that returns findings.

The gate can be run again without measuring.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..benchmark import statistics
from ..config.target import Target
from ..core.errors import Place
from ..core.results import Report
from . import accuracy, timing
from . import keep as keeps
from .checks import check
from .files import file_of, host_file, judged, last_files
from .finding import Finding, OnUndecided, Status, Unit, noted, within

__all__ = [
    "Finding",
    "OnUndecided",
    "Status",
    "Unit",
    "check",
    "exit_code",
    "file_of",
    "host_file",
    "judge",
    "judged",
    "last_files",
]


def judge(report: Report, targets: Sequence[Target], keep: Place | None = None) -> list[Finding]:
    """Judge every budget and allowed regression of every target, then the recipe's own `keep`.

    `keep` is the place of that option in the recipe.
    """
    findings = []
    for target in targets:
        findings += _loaded(report, target)
        file = judged(report, target)
        findings += [check(report, target, name, budget, file) for name, budget in target.budgets.set_fields()]
        for name, allowed in target.regression.set_fields() if report.accepted else ():
            if name != "latency" or target.reach != "none":
                findings.append(_regression(report, target, name, allowed))
    findings += keeps.of_stages(report)
    if report.keep is not None:
        findings.append(keeps.of_recipe(report, targets, keep))
    if report.limited is not None:
        findings = [noted(finding, "a smoke run: no evidence about the full run") for finding in findings]
    return findings


def exit_code(findings: Iterable[Finding], on_undecided: OnUndecided = "fail") -> int:
    """Return 0, met; 1, a required budget is exceeded; or else 4, one is undecided or has no number.

    With `warn` what was measured and stays undecided is let pass; a missing number never is.
    """
    statuses = {finding.status for finding in findings if finding.level == "required"}
    open_ = {"no number"} if on_undecided == "warn" else {"undecided", "no number"}
    return 1 if "FAIL" in statuses else 4 if statuses & open_ else 0


def latency_decided(report: Report, targets: Sequence[Target]) -> bool:
    """Return whether measuring can stop: no measured latency is waiting for more processes."""
    return not any(
        finding.status == "undecided" and finding.label == "measured" and finding.check.startswith("latency")
        for finding in judge(report, targets)
    )


def _loaded(report: Report, target: Target) -> list[Finding]:
    """Judge the operator set and IR of an ONNX file by the newest that the target's runtime loads."""
    file = judged(report, target)
    limits = {"opset": target.max_opset, "ir": target.max_ir}
    findings = []
    for name, limit in limits.items():
        if limit is None or file is None or file.kind != "onnx":
            continue
        finding = Finding(target.name, name, "required", "no number", limit, "number", file=file.path)
        finding = replace(finding, place=target.place(f"max_{name}"))
        version = getattr(file, name)
        findings.append(finding if version is None else within(finding, version))
    return findings


def _regression(report: Report, target: Target, name: str, allowed: float) -> Finding:
    """Judge the file against the one that was accepted for this target."""
    unit: Unit = "ratio"
    if name == "accuracy_drop":
        unit = report.drop_unit
    limit = 1 + allowed if unit == "ratio" else allowed
    place = target.place("regression", name)
    finding = Finding(target.name, f"{name} vs accepted", "required", "no number", limit, unit, place=place)
    file, accepted = judged(report, target), report.accepted.get(target.name)
    if file is None or accepted is None:
        return noted(finding, "no stage makes a file for it" if file is None else "no model was accepted for it")
    finding = replace(finding, file=file.path)
    if name == "size":
        return within(finding, file.bytes / accepted.bytes)
    if name == "latency":
        mine, theirs = (timing.samples_of(report.samples, model.path, target) for model in (file, accepted))
        if mine is None or theirs is None or timing.device_error(report, target):
            return noted(finding, timing.device_error(report, target) or "the two were not measured side by side")
        return timing.timed(report, target, mine, finding, statistics.log_ratios(mine, theirs))
    if file.sha256 == accepted.sha256 and accepted.scores:
        return noted(within(finding, 0), "the same bytes")
    # Both by their outputs on this machine: the accepted file has no others.
    return accuracy.compared(
        report, file, accepted, replace(finding, basis=accuracy.images(report, file, target.reach))
    )
