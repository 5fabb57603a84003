"""Name the next act for each budget that is not met."""

from __future__ import annotations

from ...core.results import Report
from ..judge import Finding

ALIKE = 0.95
"""Below this share of equal predictions, a difference between processors is the first thing to look into."""
_ADVICE = {
    "size": "a smaller student or a higher prune ratio",
    "latency": "a smaller student or a higher prune ratio; see which stage took the time in the table",
    "memory": "a smaller student or input; most of a small model's memory is the runtime itself",
    "opset": "the runtime there is too old for the file; install a newer one, or export to an older operator set",
    "ir": "the runtime there is too old for the file; install a newer one",
    "fallback": "operators that the accelerator has; `edgepress why` lists the cost of the others",
    "cold_start": "a smaller file; a session that is kept open pays it once",
    "macro_f1": "train or distil longer with `balance: weights`, or more examples of the rare classes",
    "worst_recall": "train or distil longer with `balance: weights`, or more examples of that class",
    "accuracy": "train or distil longer, or prune less",
    "metric_drop": "train or distil longer, prune less, or calibrate with more samples; see which stage lost it",
    "accuracy_drop": "distil longer, prune less, or calibrate with more samples; see which stage lost it in the table",
}


def if_failed(report: Report, finding: Finding) -> str:
    """Return what to change so that an exceeded budget is met."""
    check = _budget(finding)
    runs = (run for files in report.emulated.values() for run in files if run.path == finding.file)
    differs = next((run for run in runs if finding.label == "emulated" and run.agreement < ALIKE), None)
    if differs:
        return (
            f"{check}: {differs.cpu} and this machine predict differently; look in the file for casts of negative or "
            "too large numbers, which processors do differently, or take another runtime"
        )
    return f"{check}: {_ADVICE[check]}{_QUANTIZE if check == 'size' and not _quantized(report, finding) else ''}"


_QUANTIZE = ", or quantize: `quantize.static`"


def _quantized(report: Report, finding: Finding) -> bool:
    """Return whether the file that was judged holds its weights in fewer bits already."""
    files = (file for stage in report.stages for file in stage.files if file.path == finding.file)
    return any(file.precision != "float32" for file in files)


def if_open(report: Report, finding: Finding) -> str:
    """Return what to do so that an open budget is decided."""
    check = _budget(finding)
    if finding.status == "no number":
        return f"{finding.target} {check}: {finding.note or 'it was not measured'}; an advisory budget may stay open"
    if check == "latency" and finding.label == "measured":
        return f"latency: stop other work on this machine, then `edgepress run {report.source}` again"
    if check == "latency":
        return f"{finding.target} latency: too close to the budget for an estimate; measure on the device"
    few = "groups of test images" if report.groups else "test images"
    return f"{check}: too few {few} to decide; use more, or move the limit"


def _budget(finding: Finding) -> str:
    return next(name for name in sorted(_ADVICE, key=len, reverse=True) if name in finding.check)
