"""Budgets for what a model gets right: each by an interval over the test examples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..bench import verdict
from ..data import COUNTED
from ..emulator import INSTALL
from ..errors import Place
from ..facts import ModelFile, Report
from ..target import Target
from .files import host_file
from .finding import Finding, Status, Unit, decided, noted

_WORSE: tuple[Status, ...] = ("ok", "undecided", "no number", "FAIL")


def accuracy(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    if not file.correct or report.metric != "accuracy":
        return finding
    if why := _not_running(report, target, file):
        return noted(finding, why)
    file, how = answering(report, target, file)
    return _labelled(decided(finding, verdict.accuracy(file.correct, finding.limit), basis=how), target, how)


def bounded(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    """macro_f1 or worst_recall, whichever the budget is for, by its bootstrap interval."""
    if why := _not_running(report, target, file):
        return noted(finding, why)
    file, how = answering(report, target, file)
    if finding.check not in file.bounds:
        return noted(finding, "it is of classifiers with one label an example")
    value, low, high = file.bounds[finding.check]
    status: Status = "ok" if low >= finding.limit else "FAIL" if high < finding.limit else "undecided"
    found = replace(finding, status=status, value=value, interval=(low, high), label="measured", basis=how)
    return _labelled(found, target, how)


def accuracy_drop(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    if report.metric != "accuracy":
        return noted(finding, f"this recipe counts {report.metric}; budget it by `keep: {{metric_drop: …}}`")
    if why := _not_running(report, target, file):
        return noted(finding, why)
    file, how = answering(report, target, file)
    return _labelled(_dropped(report, file, replace(finding, basis=how)), target, how)


def answering(report: Report, target: Target, file: ModelFile) -> tuple[ModelFile, str]:
    """`file` with its answers on the target's instruction set where they are known, and how they came about."""
    for each in report.emulated.get(target.name, ()):
        if each.path == file.path:
            answers = {"scores": {"test": each.scores}, "correct": each.correct, "resampled": each.resampled}
            answers["bounds"] = each.bounds
            return file.model_copy(update=answers), f"{images(file, 'local')}, emulated {each.cpu}"
    return file, images(file, target.reach)


def _not_running(report: Report, target: Target, file: ModelFile) -> str:
    errors = {each.path: each.error for each in report.emulated.get(target.name, ())}
    return f"it does not run on {target.emulate}: {errors[file.path]}" if errors.get(file.path) else ""


def _labelled(finding: Finding, target: Target, how: str) -> Finding:
    if "emulated" in how:
        return replace(finding, label="emulated")
    return noted(finding, f"for {target.emulate}'s own answers: {INSTALL}") if target.emulate else finding


def _dropped(report: Report, file: ModelFile, finding: Finding) -> Finding:
    stage = next((stage for stage in report.stages if stage.name == report.reference), None)
    reference = host_file(stage, report.machine) if stage else None
    return compared(report, file, reference, noted(finding, f"against {report.reference}") if reference else finding)


def compared(report: Report, file: ModelFile, reference: ModelFile | None, finding: Finding) -> Finding:
    """What `file` loses of the recipe's metric against `reference`, on the same test examples."""
    if report.metric in COUNTED and not (reference and reference.resampled):
        if reference is None or not file.correct or len(reference.correct) != len(file.correct):
            return noted(replace(finding, basis=""), "no reference scored on the same test images")
        return decided(finding, verdict.accuracy_drop(reference.correct, file.correct, finding.limit))
    if reference is None or not file.resampled or len(reference.resampled) != len(file.resampled):
        return noted(replace(finding, basis=""), f"no reference scored by {report.metric} on the same test examples")
    values = tuple(each.scores["test"][report.metric] for each in (reference, file))
    found = verdict.metric_drop(
        reference.resampled, file.resampled, (values[0], values[1]), finding.limit, higher=not report.error
    )
    return decided(finding, found)


def images(file: ModelFile, reach: str) -> str:
    count = f"{len(file.correct)} test images" if file.correct else "bootstrap over the test examples"
    return count + ("" if reach == "local" else ", run on this machine")


def keep(report: Report, findings: list[Finding], place: Place | None) -> Finding:
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
        _dropped(report, file, replace(finding, file=path, basis=images(file, "local"))) for path, file in files.items()
    ]
    return max(drops, key=lambda drop: (_WORSE.index(drop.status), drop.value or 0), default=finding)
