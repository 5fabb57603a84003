"""Budgets for what a model gets right: each by an interval over the test examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..bench import verdict
from ..data import COUNTED
from ..emulator import INSTALL
from ..errors import Place
from ..facts import Emulated, ModelFile, Report
from ..target import Target
from .files import host_file, judged
from .finding import Finding, Status, Unit, decided, noted

_WORSE: tuple[Status, ...] = ("ok", "undecided", "no number", "FAIL")


def accuracy(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    if not file.correct or report.metric != "accuracy":
        return finding
    return _answered(report, target, file, finding, _share)


def bounded(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    """macro_f1 or worst_recall, whichever the budget is for, by its bootstrap interval."""
    return _answered(report, target, file, finding, _within_bounds)


def accuracy_drop(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    if report.metric != "accuracy":
        return noted(finding, f"this recipe counts {report.metric}; budget it by `keep: {{metric_drop: …}}`")
    return _answered(report, target, file, finding, _dropped)


def _answered(
    report: Report,
    target: Target,
    file: ModelFile,
    finding: Finding,
    judge: Callable[..., Finding],
    *,
    help: str = INSTALL,
) -> Finding:
    """The verdict on what `file` answers on the target's instruction set, or here where that is not known."""
    there = _emulated(report, target, file)
    if there is None:
        found = judge(report, file, replace(finding, basis=images(file, target.reach)))
        return noted(found, f"for {target.emulate}'s own answers: {help}") if target.emulate and help else found
    if there.error:
        return noted(finding, f"it does not run on {there.cpu}: {there.error}")
    answers = {"scores": {"test": there.scores}, "correct": there.correct, "resampled": there.resampled}
    file = file.model_copy(update={**answers, "bounds": there.bounds})
    found = judge(report, file, replace(finding, basis=f"{images(file, 'local')}, emulated {there.cpu}"))
    return replace(found, label="emulated") if found.label else found


def _emulated(report: Report, target: Target, file: ModelFile) -> Emulated | None:
    """What is known of `file` on the processor and in the runtime that the target has now."""
    wanted = (file.path, target.emulate, target.runtime)
    asked = report.emulated.get(target.name, ())
    return next((each for each in asked if (each.path, each.cpu, each.runtime) == wanted), None)


def _within_bounds(report: Report, file: ModelFile, finding: Finding) -> Finding:
    if finding.check not in file.bounds:
        return noted(replace(finding, basis=""), "it is of classifiers with one label an example")
    value, low, high = file.bounds[finding.check]
    status: Status = "ok" if low >= finding.limit else "FAIL" if high < finding.limit else "undecided"
    return replace(finding, status=status, value=value, interval=(low, high), label="measured")


def _share(report: Report, file: ModelFile, finding: Finding) -> Finding:
    return decided(finding, verdict.accuracy(file.correct, finding.limit))


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


def kept(report: Report) -> list[Finding]:
    """What the recipe's stages say themselves that they keep: the worst of their files, on held-out examples."""
    found = []
    for stage in report.stages:
        for row in stage.notes.get("keep", ()) if stage.notes.get("keep_asked") else ():
            if row["of"] != "stage":
                continue
            worse = min if row["higher"] else max
            preset = next(iter(row["missed"]), None) or worse(row["found"], key=row["found"].__getitem__)
            preset = worse(row["missed"] or [preset], key=row["found"].__getitem__)
            path = next((file.path for file in stage.files if file.precision == preset), "")
            name = "accuracy_drop" if row["by"] == "accuracy" else f"metric_drop ({row['by']})"
            own, least, value = row["float"], row["least"], row["found"][preset]
            unit: Unit = "points" if row["higher"] else "ratio"
            lost, limit = (
                (100 * (own - value), 100 * (own - least)) if row["higher"] else (value / (least or 1e-12), 1.0)
            )
            status: Status = "FAIL" if row["missed"] else "ok"
            finding = Finding("recipe", f"keep {name} of {stage.name}", "required", status, limit, unit, lost)
            found.append(replace(finding, label="measured", basis=f"{preset} on held-out examples", file=path))
    return found


def keep(report: Report, targets: Sequence[Target], place: Place | None) -> Finding:
    """The worst drop of the files that go to a target, by what they answer there; without a target, of the last
    stage's files."""
    assert report.keep is not None
    unit: Unit = "percent" if report.error else "points"
    check = "keep accuracy_drop" if report.metric == "accuracy" else f"keep metric_drop ({report.metric})"
    finding = Finding("recipe", check, "required", "no number", report.keep, unit, place=place)
    drops = [
        _answered(report, target, file, replace(finding, file=file.path), _dropped, help="")
        for target in targets
        if (file := judged(report, target))
    ]
    if not drops and report.stages:
        drops = [
            _dropped(report, file, replace(finding, file=file.path, basis=images(file, "local")))
            for file in report.stages[-1].files
        ]
    return max(drops, key=lambda drop: (_WORSE.index(drop.status), drop.value or 0), default=finding)
