"""Budgets and measurements in, findings out: a pure function, so that the gate can be asked again without measuring."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from . import estimate
from .bench import verdict
from .data import COUNTED
from .errors import Place
from .facts import Machine, ModelFile, Report, Samples, StageFacts
from .target import Budget, LatencyBudget, Level, Target, host_preset
from .units import Relative

Status = Literal["ok", "FAIL", "undecided", "no number"]
Label = Literal["measured", "estimated", "cited"]
OnUndecided = Literal["fail", "warn"]
Unit = Literal["bytes", "seconds", "ratio", "share", "points", "percent"]


@dataclass(frozen=True)
class Finding:
    """One budget of one target, and what is known about it.

    `value`, `limit` and `interval` are in `unit`; a missing `value` never passes. `file` is the judged file,
    `place` where the limit is written, `basis` how the value was found, `note` what else a reader must know.
    """

    target: str
    check: str
    level: Level
    status: Status
    limit: float
    unit: Unit
    value: float | None = None
    interval: tuple[float, float] | None = None
    label: Label | None = None
    basis: str = ""
    place: Place | None = None
    note: str = ""
    file: str = ""


def judge(report: Report, targets: Iterable[Target], keep: Place | None = None) -> list[Finding]:
    """Every budget of every target and what it may lose against an accepted model; then the recipe's own `keep`,
    whose place is `keep`.
    """
    findings = []
    for target in targets:
        findings += [_check(report, target, name, budget) for name, budget in target.budgets.given()]
        for name, allowed in target.regression.given() if report.accepted else ():
            if name != "latency" or target.reach != "none":
                findings.append(_regression(report, target, name, allowed))
    if report.keep is not None:
        findings.append(_keep(report, findings, keep))
    if report.limited is not None:
        findings = [_noted(finding, "a smoke run: no evidence about the full run") for finding in findings]
    return findings


def exit_code(findings: Iterable[Finding], on_undecided: OnUndecided = "fail") -> int:
    """0 met; 1 a required budget is exceeded, which outranks 4: a required budget is not decided or has no number.

    With `warn` what was measured and stays undecided is let pass; a missing number never is.
    """
    statuses = {finding.status for finding in findings if finding.level == "required"}
    open_ = {"no number"} if on_undecided == "warn" else {"undecided", "no number"}
    return 1 if "FAIL" in statuses else 4 if statuses & open_ else 0


def latency_decided(report: Report, targets: Iterable[Target]) -> bool:
    """Whether measuring can stop: no measured latency is waiting for more processes."""
    return not any(
        finding.status == "undecided" and finding.label == "measured" and finding.check.startswith("latency")
        for finding in judge(report, targets)
    )


def file_of(stage: StageFacts, preset: str) -> ModelFile | None:
    """The file of a stage that a runtime with this integer preset loads: that preset's, or the one without presets."""
    for file in stage.files:
        if file.precision == preset or (file.precision not in ("u8s8", "s8s8") and len(stage.files) == 1):
            return file
    return None


def host_file(stage: StageFacts, machine: Machine) -> ModelFile | None:
    """The file of a stage that this machine runs; TFLite's int8 is signed everywhere."""
    return file_of(stage, "s8s8" if stage.kind == "tflite" else host_preset(machine))


def judged(report: Report, target: Target) -> ModelFile | None:
    """The last artifact that the target's runtime loads, in the target's preset."""
    kind = "onnx" if target.runtime == "onnxruntime" else "tflite"
    last = next((stage for stage in reversed(report.stages) if stage.kind == kind), None)
    return file_of(last, target.integers(report.machine)) if last else None


def _check(report: Report, target: Target, name: str, budget: Budget) -> Finding:
    unit, judge_one = _CHECKS[name]
    limit = budget.limit.ratio if isinstance(budget.limit, Relative) else budget.limit  # type: ignore[attr-defined]
    finding = Finding(target.name, name, budget.level, "no number", limit, unit, place=target.place("budgets", name))
    if isinstance(budget, LatencyBudget):
        relative = isinstance(budget.limit, Relative)
        finding = (
            replace(finding, unit="ratio") if relative else replace(finding, check=f"latency p{budget.percentile}")
        )
    file = judged(report, target)
    if file is None:
        return _noted(
            finding, f"no stage makes a file that {target.runtime} loads in preset {target.integers(report.machine)}"
        )
    return judge_one(report, target, file, budget, replace(finding, file=file.path))


def _regression(report: Report, target: Target, name: str, allowed: float) -> Finding:
    """The judged file against the one that was accepted for this target."""
    unit: Unit = "points" if name == "accuracy_drop" else "ratio"
    limit = allowed if unit == "points" else 1 + allowed
    place = target.place("regression", name)
    finding = Finding(target.name, f"{name} vs accepted", "required", "no number", limit, unit, place=place)
    file, accepted = judged(report, target), report.accepted.get(target.name)
    if file is None or accepted is None:
        return _noted(finding, "no stage makes a file for it" if file is None else "no model was accepted for it")
    finding = replace(finding, file=file.path)
    if name == "size":
        return _within(finding, file.bytes / accepted.bytes)
    if name == "latency":
        mine, theirs = (_samples(report.samples, each.path, target) for each in (file, accepted))
        if mine is None or theirs is None:
            return _noted(finding, "the two were not measured side by side")
        return _timed(report, target, mine, finding, verdict.log_ratios(mine, theirs))
    if file.sha256 == accepted.sha256 and accepted.scores:
        return _noted(_within(finding, 0), "the same bytes")
    return _compared(report, file, accepted, replace(finding, basis=_images(file, target.reach)))


def _noted(finding: Finding, note: str) -> Finding:
    return replace(finding, note="; ".join(filter(None, (finding.note, note))))


def _within(finding: Finding, value: float) -> Finding:
    return replace(finding, value=value, label="measured", status="ok" if value <= finding.limit else "FAIL")


def _decided(finding: Finding, found: verdict.Verdict, **more: Any) -> Finding:
    return replace(finding, status=found.status, value=found.value, interval=found.interval, label="measured", **more)


def _size(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    return _within(finding, file.bytes)


def _memory(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    if target.reach == "none":
        return _noted(finding, "memory on another machine says nothing about this one")
    samples = _samples(report.samples, file.path, target)
    if samples is None or samples.memory is None:
        return _noted(finding, _silent(report, target))
    return _within(finding, samples.memory)


def _silent(report: Report, target: Target) -> str:
    """Why the target's device has given no number."""
    device = report.devices.get(target.name)
    return ": ".join(filter(None, [device.error, device.help])) if device else ""


def _accuracy(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    if not file.correct or report.metric != "accuracy":
        return finding
    return _decided(finding, verdict.accuracy(file.correct, finding.limit), basis=_images(file, target.reach))


def _accuracy_drop(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    if report.metric != "accuracy":
        return _noted(finding, f"this recipe counts {report.metric}; budget it by `keep: {{metric_drop: …}}`")
    return _dropped(report, file, replace(finding, basis=_images(file, target.reach)))


def _dropped(report: Report, file: ModelFile, finding: Finding) -> Finding:
    stage = next((stage for stage in report.stages if stage.name == report.reference), None)
    reference = host_file(stage, report.machine) if stage else None
    return _compared(report, file, reference, _noted(finding, f"against {report.reference}") if reference else finding)


def _compared(report: Report, file: ModelFile, reference: ModelFile | None, finding: Finding) -> Finding:
    """What `file` loses of the recipe's metric against `reference`, on the same test examples."""
    if report.metric in COUNTED and not (reference and reference.resampled):
        if reference is None or not file.correct or len(reference.correct) != len(file.correct):
            return _noted(replace(finding, basis=""), "no reference scored on the same test images")
        return _decided(finding, verdict.accuracy_drop(reference.correct, file.correct, finding.limit))
    if reference is None or not file.resampled or len(reference.resampled) != len(file.resampled):
        return _noted(replace(finding, basis=""), f"no reference scored by {report.metric} on the same test examples")
    values = tuple(each.scores["test"][report.metric] for each in (reference, file))
    found = verdict.metric_drop(
        reference.resampled, file.resampled, (values[0], values[1]), finding.limit, higher=not report.error
    )
    return _decided(finding, found)


def _images(file: ModelFile, reach: str) -> str:
    count = f"{len(file.correct)} test images" if file.correct else "bootstrap over the test examples"
    return count + ("" if reach == "local" else ", run on this machine")


def _keep(report: Report, findings: list[Finding], place: Place | None) -> Finding:
    """The worst drop of the files that go to a target, or of the last stage's when there is no target."""
    assert report.keep is not None
    unit: Unit = "percent" if report.error else "points"
    check = "keep accuracy_drop" if report.metric == "accuracy" else f"keep metric_drop ({report.metric})"
    finding = Finding("recipe", check, "required", "no number", report.keep, unit, place=place)
    paths = {each.file for each in findings if each.file}
    files = {file.path: file for stage in report.stages for file in stage.files if file.path in paths}
    if not files and report.stages:
        files = {file.path: file for file in report.stages[-1].files}
    drops = [
        _dropped(report, file, replace(finding, file=path, basis=_images(file, "local")))
        for path, file in files.items()
    ]
    return max(drops, key=lambda drop: (_WORSE.index(drop.status), drop.value or 0), default=finding)


def _latency(report: Report, target: Target, file: ModelFile, budget: LatencyBudget, finding: Finding) -> Finding:
    return (_estimated if target.reach == "none" else _measured)(report, target, file, budget, finding)


def _measured(report: Report, target: Target, file: ModelFile, budget: LatencyBudget, finding: Finding) -> Finding:
    samples = _samples(report.samples, file.path, target)
    if samples is None or _silent(report, target):
        return _noted(finding, _silent(report, target))
    if isinstance(budget.limit, Relative):
        pinned = _samples(report.samples, estimate.label(budget.limit.model, "fp32"), target)
        if pinned is None:
            return _noted(finding, f"{budget.limit.model} was not measured beside it")
        logs = verdict.log_ratios(samples, pinned)
        finding = _noted(finding, f"of {budget.limit.model}")
    else:
        logs = verdict.log_percentiles(samples, budget.percentile)
    return _timed(report, target, samples, finding, logs)


def _timed(report: Report, target: Target, samples: Samples, finding: Finding, logs: list[float]) -> Finding:
    """The verdict on one number a process; on wall time there is none while other work takes the cores."""
    device = report.devices.get(target.name)
    basis = verdict.how(samples) + (f", on {device.about}" if device else "")
    finding = _decided(finding, verdict.timed(logs, samples, finding.limit), basis=basis)
    busy = verdict.contention(samples)
    if busy <= verdict.CALM:
        return finding
    finding = _noted(finding, f"contention {busy:.2f}")
    return (
        finding if target.threads == 1 else _noted(finding, "no verdict on wall time while other work takes the cores")
    )


def _estimated(report: Report, target: Target, file: ModelFile, budget: LatencyBudget, finding: Finding) -> Finding:
    limit = finding.limit
    found = estimate.latency(target, file, report.references)
    if isinstance(found, str):
        return _noted(finding, found)
    low, high = found.interval
    status: Status = "FAIL" if low > limit else "ok" if high <= limit else "undecided"
    finding = _noted(finding, found.note)
    if status == "ok" and budget.percentile > 50:
        status = "undecided"
        finding = _noted(finding, f"an estimate is of a typical run and cannot pass p{budget.percentile}")
    return replace(
        finding, status=status, value=found.seconds, interval=found.interval, label="estimated", basis=found.basis
    )


def _samples(samples: Iterable[Samples], path: str, target: Target) -> Samples | None:
    wanted = (path, target.runtime, target.threads, target.name if target.attached else "")
    return next(
        (each for each in samples if (each.path, each.runtime, each.threads, each.device) == wanted and each.cpu), None
    )


_WORSE: tuple[Status, ...] = ("ok", "undecided", "no number", "FAIL")
_CHECKS: dict[str, tuple[Unit, Callable[[Report, Target, ModelFile, Any, Finding], Finding]]] = {
    "size": ("bytes", _size),
    "latency": ("seconds", _latency),
    "memory": ("bytes", _memory),
    "accuracy": ("share", _accuracy),
    "accuracy_drop": ("points", _accuracy_drop),
}
