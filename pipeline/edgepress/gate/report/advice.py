"""Name the next act for each budget that is not met."""

from __future__ import annotations

from ...core.metrics import METRICS
from ...core.results import Report
from ...stages import TABLE
from ..judge import Finding

ALIKE = 0.95
"""Below this share of equal predictions, a difference between processors is the first thing to look into."""
_GENTLER = {
    "train": "train longer",
    "distill": "distil longer",
    "prune": "prune less",
    "quantize": "calibrate with more samples",
}
"""What costs less of the metric, by the family of a recipe's stages."""
_ADVICE = {
    "memory": "a smaller student or input; most of a small model's memory is the runtime itself",
    "opset": "the runtime there is too old for the file; install a newer one, or export to an older operator set",
    "ir": "the runtime there is too old for the file; install a newer one",
    "fallback": "operators that the accelerator has; `edgepress why` lists the cost of the others",
    "cold_start": "a smaller file; a session that is kept open pays it once",
    "decode": "a higher `score` in `decode:`, or fewer boxes, `most`: suppression compares them in pairs",
    "map": "train or distil longer, or a larger input: small objects have few cells",
    "map50": "train or distil longer, or a larger input: small objects have few cells",
    "macro_f1": "train or distil longer with `balance: weights`, or more examples of the rare classes",
    "worst_recall": "train or distil longer with `balance: weights`, or more examples of that class",
}


_MEASURED = ("latency", "memory", "cold_start")


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
    return f"{check}: {_act(report, finding, check)}"


def _act(report: Report, finding: Finding, check: str) -> str:
    """Return what this recipe can change: only acts on stages that it has, or that are still missing."""
    if check in _ADVICE:
        return _ADVICE[check]
    families = {TABLE[stage.use].family for stage in report.stages if stage.use in TABLE}
    if check in ("size", "latency"):
        acts = ["a smaller student" if "distill" in families else "a smaller network"]
        if "prune" in families:
            acts.append("a higher prune ratio")
        elif any(stage.kind == "torch" for stage in report.stages):
            acts.append("`use: prune.channels`")
        if not _is_quantized(report, finding):
            acts.append("`use: quantize.static`")
        return _either(acts) + ("; see which stage took the time in the table" if check == "latency" else "")
    acts = [act for family, act in _GENTLER.items() if family in families]
    return f"{_either(acts or ['a more accurate model to start from'])}; see which stage lost it in the table"


def _is_quantized(report: Report, finding: Finding) -> bool:
    """Return whether the judged file, of unknown ones the last, has integer weights."""
    files = [file for stage in report.stages for file in stage.files]
    file = next((file for file in files if file.path == finding.file), files[-1] if files else None)
    return file is not None and file.precision not in ("float32", "float16")


def _either(acts: list[str]) -> str:
    """Return `a, b or c`."""
    *first, last = acts
    return f"{', '.join(first)} or {last}" if first else last


def if_open(report: Report, finding: Finding) -> str:
    """Return what to do so that an open budget is decided."""
    check = _budget(finding)
    if finding.status == "no number":
        reason = finding.note or "it was not measured"
        act = f"`edgepress doctor {finding.target}` lists what is missing to measure it; " if check in _MEASURED else ""
        return f"{finding.target} {check}: {reason}; {act}with `level: advisory` the budget may stay open"
    if check == "latency" and finding.label == "measured":
        return f"latency: stop other work on this machine, then `edgepress run {report.source}` again"
    if check == "latency":
        act = "measure on the device: `reach: ssh://USER@HOST` in the target"
        return f"{finding.target} latency: too close to the budget for an estimate; {act}"
    if finding.interval is None and report.metric not in METRICS and len(set(report.groups)) != 1:
        return f"{check}: let {report.metric} return one value for each example, or be faster"
    few = "groups of test images" if report.groups else "test images"
    return f"{check}: too few {few} to decide; use more, or move the limit"


def _budget(finding: Finding) -> str:
    names = (*_ADVICE, "size", "latency", "accuracy", "metric_drop", "accuracy_drop")
    return next(name for name in sorted(names, key=len, reverse=True) if name in finding.check)
