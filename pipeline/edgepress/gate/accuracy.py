"""Judge accuracy budgets by an interval over the test examples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..benchmark.emulator.qemu import INSTALL
from ..config.target import Target
from ..core import intervals
from ..core.metrics import METRICS
from ..core.results import Emulated, ModelFile, Report
from ..core.units import NEAR_ZERO
from . import scores
from .files import host_file
from .finding import Finding, Status, decided, noted, within

_SINGLE_LABEL = "it is for single-label classification; `keep: {metric_drop: …}` is for every metric"


def accuracy(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    """Judge the share of right predictions by its interval."""
    if report.metric != "accuracy":
        return noted(finding, f"this recipe's metric is {report.metric}; set its budget by `keep: {{metric_drop: …}}`")
    if not file.correct:
        return noted(finding, _SINGLE_LABEL)
    return judge_on_target(report, target, file, finding, _share)


def bounded(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    """Judge macro_f1 or worst_recall by its bootstrap interval."""
    return judge_on_target(report, target, file, finding, _within_bounds)


def precision(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    """Judge map or map50 by its bootstrap interval, where the recipe's metric is that."""
    if report.metric != finding.check:
        return noted(finding, f"this recipe's metric is {report.metric}; `metric: {finding.check}` judges this budget")
    return judge_on_target(report, target, file, finding, _resampled)


def accuracy_drop(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    """Judge the points lost against the reference by a paired interval."""
    if report.metric != "accuracy":
        return noted(finding, f"this recipe's metric is {report.metric}; set its budget by `keep: {{metric_drop: …}}`")
    return judge_on_target(report, target, file, finding, dropped)


def judge_on_target(
    report: Report,
    target: Target,
    file: ModelFile,
    finding: Finding,
    judge: Callable[..., Finding],
    *,
    help: str = INSTALL,
) -> Finding:
    """Judge the outputs of `file` on the target's instruction set; on this machine's where those are missing."""
    emulated = _emulated(report, target, file)
    if emulated is None:
        result = judge(report, file, replace(finding, basis=images(report, file, target.reach)))
        return noted(result, f"for {target.emulate}'s own accuracy: {help}") if target.emulate and help else result
    if emulated.error:
        return noted(finding, f"it does not run on {emulated.cpu}: {emulated.error}")
    outputs = {"scores": {"test": emulated.scores}, "correct": emulated.correct, "resampled": emulated.resampled}
    more = {"bounds": emulated.bounds, "drawn": emulated.drawn, "worst": emulated.worst}
    file = file.model_copy(update={**outputs, **more})
    result = judge(report, file, replace(finding, basis=f"{images(report, file, 'local')}, emulated {emulated.cpu}"))
    return replace(result, label="emulated") if result.label else result


def _emulated(report: Report, target: Target, file: ModelFile) -> Emulated | None:
    """Return the scores of `file` under emulation of the target's processor and in its runtime."""
    wanted = (file.path, target.emulate, target.runtime)
    runs = report.emulated.get(target.name, ())
    return next((run for run in runs if (run.path, run.cpu, run.runtime) == wanted), None)


def _within_bounds(report: Report, file: ModelFile, finding: Finding) -> Finding:
    if report.metric == "agreement":
        return noted(replace(finding, basis=""), "it needs labels, and agreement compares with another model's outputs")
    if finding.check not in file.bounds:
        return noted(replace(finding, basis=""), _SINGLE_LABEL)
    value, low, high = file.bounds[finding.check]
    status: Status = "ok" if low >= finding.limit else "FAIL" if high < finding.limit else "undecided"
    if finding.check == "worst_recall" and file.worst:
        label, right, count = file.worst
        finding = noted(finding, f"worst class `{label}`, {right} of {count}")
    return replace(finding, status=status, value=value, interval=(low, high), label="measured")


def _resampled(report: Report, file: ModelFile, finding: Finding) -> Finding:
    if not _is_scored(report, file) or math.isnan(value := file.scores["test"][report.metric]):
        return noted(replace(finding, basis=""), f"{report.metric} of the test examples is no number")
    units = file.drawn or int(report.data.get("images", {}).get("test", 0))
    low, high = intervals.of_draws(value, file.resampled, units)
    if len(set(file.resampled)) == 1:  # so few examples that none differs
        half = intervals.never_seen(units)
        low, high = min(low, value - half), max(high, value + half)
    status: Status = "ok" if low >= finding.limit else "FAIL" if high < finding.limit else "undecided"
    low, high = max(low, 0.0), min(high, 1.0)
    return replace(finding, status=status, value=value, interval=(low, high), label="measured")


def _share(report: Report, file: ModelFile, finding: Finding) -> Finding:
    return decided(finding, scores.accuracy(file.correct, finding.limit, report.groups))


def dropped(report: Report, file: ModelFile, finding: Finding) -> Finding:
    """Judge the drop against the file of the reference for this machine."""
    stage = next((stage for stage in report.stages if stage.name == report.reference), None)
    reference = host_file(stage, report.machine) if stage else None
    return compared(report, file, reference, noted(finding, f"against {report.reference}") if reference else finding)


def compared(report: Report, file: ModelFile, reference: ModelFile | None, finding: Finding) -> Finding:
    """Judge the loss of the recipe's metric against `reference`, on the same test examples."""
    if any(model and math.isnan(model.scores.get("test", {}).get(report.metric, 0)) for model in (reference, file)):
        return noted(replace(finding, basis=""), f"{report.metric} of the test examples is no number")
    if reference and _same(report, file, reference):
        return noted(within(finding, 0), "the same bytes")
    if report.metric in METRICS and METRICS[report.metric].counted and not (reference and reference.resampled):
        if reference is None or not file.correct or len(reference.correct) != len(file.correct):
            note = "no reference scored on the same test images; `reference:` in the recipe names one"
            return noted(replace(finding, basis=""), note)
        return decided(finding, scores.accuracy_drop(reference.correct, file.correct, finding.limit, report.groups))
    if reference is None or not (_is_scored(report, reference) and _is_scored(report, file)):
        return noted(replace(finding, basis=""), f"no reference scored by {report.metric} on the same test examples")
    if reference.drawn != file.drawn:
        note = "its reference was resampled by other groups of test examples; run or accept it again"
        return noted(replace(finding, basis=""), note)
    start, value = (model.scores["test"][report.metric] for model in (reference, file))
    examples = _examples(report, file, reference)
    near = NEAR_ZERO * (report.constant or 0.0)
    if report.error and scores.is_near_zero(start, near):
        finding = _absolute(report, start, near, finding)
    if fewer := _few_draws(report, file, reference):
        finding = noted(finding, fewer)
    verdict = scores.metric_drop(
        reference.resampled, file.resampled, (start, value), finding.limit, higher=not report.error,
        units=file.drawn or examples, examples=0 if _is_graded(report, file, reference) else examples, near=near,
        points=report.points,
    )  # fmt: skip
    return decided(finding, verdict)


def _same(report: Report, file: ModelFile, reference: ModelFile) -> bool:
    """Return whether both are one file with the same outputs: then nothing is sampled, and the drop is exactly 0.

    Under emulation the same bytes may have other outputs.
    """
    if not file.sha256 or file.sha256 != reference.sha256:
        return False
    many = min(len(file.resampled), len(reference.resampled))  # of a slow metric one may have more draws
    mine, theirs = [(model.correct, model.resampled[:many]) for model in (file, reference)]
    if mine == theirs == ("", []):
        values = [model.scores.get("test", {}).get(report.metric) for model in (file, reference)]
        return values[0] == values[1] is not None
    return mine == theirs


def _is_scored(report: Report, file: ModelFile) -> bool:
    """Return whether the report's metric of `file` is known; a metric of the user's own may be too slow for draws."""
    return report.metric in file.scores.get("test", {}) and bool(file.resampled or report.metric not in METRICS)


def _is_graded(report: Report, file: ModelFile, reference: ModelFile) -> bool:
    """Return whether no example is all or nothing, as in pixels: draws tell two models apart that differ anywhere."""
    if report.metric == "agreement":
        return True  # likeness of outputs, which is resampled; equal predictions are marks
    many = min(len(file.resampled), len(reference.resampled))
    alike = file.resampled[:many] == reference.resampled[:many]
    graded = report.metric in METRICS and METRICS[report.metric].graded
    return (graded or report.data.get("graded", False)) and not alike


def _few_draws(report: Report, *files: ModelFile) -> str:
    """Return how often a slow metric was resampled; nothing if as often as others."""
    many = min(len(file.resampled) for file in files)
    if many >= intervals.DRAWS:
        return ""
    if many >= intervals.FEWEST:
        return f"{report.metric} is slow: {many} bootstrap draws in place of {intervals.DRAWS:,}, and a wider interval"
    return f"{report.metric} is too slow to resample, so there is no interval"


def _absolute(report: Report, start: float, near: float, finding: Finding) -> Finding:
    """Return the finding with its limit in the metric's own unit: that many percent of `near`."""
    note = f"{report.metric} of {report.reference} is {start:.3g}, too near zero for percent"
    if near:
        note += (
            f" (less than {NEAR_ZERO:.0%} of {report.constant:.3g}, that of always answering the mean): how much it "
            f"may grow is {finding.limit:g}% of {near:.3g}, and what it grows by is in {report.metric}"
        )
    return noted(replace(finding, unit="metric", limit=finding.limit / 100 * near), note)


def _examples(report: Report, *files: ModelFile) -> int:
    """Return the number of test examples of the metric; 0 for an old report that lacks it.

    For worst-recall only those of the worst class count, and for others those that the metric counts anywhere.
    """
    worst = [file.worst[2] for file in files if file.worst]
    if report.metric == "worst-recall" and worst:
        return min(worst)
    if "counted" in report.data:
        return max(int(report.data["counted"]), 1)
    return int(report.data.get("images", {}).get("test", 0))


def images(report: Report, file: ModelFile, reach: str) -> str:
    """Return what an interval is over: `2000 test images of 12 groups`."""
    groups = len(set(report.groups))
    many = f"{groups} group{'s' * (groups > 1)}"
    if file.correct:
        count = f"{len(file.correct)} test images" + (f" of {many}" if groups else "")
    else:
        count = f"bootstrap over {f'{many} of ' if groups else ''}the test examples"
    count += ", and one group bounds nothing" if groups == 1 else ""
    return count + ("" if reach == "local" else ", run on this machine")
