"""Collect what a run measured or estimated of one file, each number with its label and how it was found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from ...benchmark import statistics
from ...config.target import Target
from ...core import intervals
from ...core.results import ModelFile, Report
from ...core.stored_samples import paired
from ...core.units import show_bytes, show_score, show_seconds
from ...gate import accuracy, estimate, scores, timing
from ...gate.finding import Finding, Label, Unit, decided
from ...gate.judge import host_file
from ...gate.report.change import timed
from ...gate.report.wording import SHOW, interval_text, minus

NO_NUMBER = "no number"


class Number(NamedTuple):
    """One row of the model card. `label` is empty where there is no number, and `how` then says why."""

    what: str
    value: str
    label: Label | None
    how: str


def numbers(report: Report, target: Target, file: ModelFile) -> Iterator[Number]:
    """Yield size, latency, its ratio, memory, score and change of the score of a judged file."""
    yield Number("size", f"{show_bytes(file.bytes)} ({file.bytes:,} bytes)", "measured", "of the file")
    yield _latency(report, target, file)
    yield _ratio(report, file)
    yield _memory(report, target, file)
    judge = accuracy.judge_on_target
    unit: Unit = "metric" if report.error else "share" if report.points > 1 else "decibels"
    scored = judge(report, target, file, _blank(target, report.metric, unit), _score, help="")
    yield _of_finding(f"{report.metric} on test", scored, report)
    drop = judge(report, target, file, _blank(target, "drop", report.drop_unit), accuracy.dropped, help="")
    name = "growth" if report.error else "loss"
    yield _of_finding(f"{name} of {report.metric} against {report.reference}", drop)


def _latency(report: Report, target: Target, file: ModelFile) -> Number:
    name = f"latency p50 on {target.name}"
    if target.reach == "none":
        estimated = estimate.latency(target, file, report.references)
        if isinstance(estimated, str):
            return Number(name, NO_NUMBER, None, estimated)
        how = "; ".join(filter(None, (estimated.basis, estimated.note)))
        return Number(name, _seconds(estimated.seconds, estimated.interval), "estimated", how)
    samples = timing.samples_of(report.samples, file.path, target)
    if samples is None or timing.device_error(report, target):
        return Number(name, NO_NUMBER, None, timing.device_error(report, target) or "it was not timed")
    device = report.devices[target.name].about if target.name in report.devices else report.machine.cpu
    seconds = _seconds(*statistics.spread(statistics.log_percentiles(samples, 50)))
    return Number(name, seconds, "measured", f"{statistics.how(samples)}, on {device}")


def _ratio(report: Report, file: ModelFile) -> Number:
    """Compare the times of the file and of the reference, which were measured in pairs where the recipe ran."""
    name = f"latency against {report.reference}"
    stage = next((stage for stage in report.stages if stage.name == report.reference), None)
    reference = host_file(stage, report.machine) if stage else None
    mine, theirs = timed(report.samples, file), timed(report.samples, reference)
    if mine is None or theirs is None:
        return Number(name, NO_NUMBER, None, "the two were not timed here")
    if mine.runtime != theirs.runtime or not paired(mine, theirs):
        return Number(name, NO_NUMBER, None, f"timed apart: {mine.runtime} against {theirs.runtime}")
    ratio, interval = statistics.spread(statistics.log_ratios(mine, theirs))
    value = " ".join(filter(None, (f"{ratio:.3f}x", interval_text(interval, "ratio") if interval else "")))
    return Number(name, value, "measured", f"in pairs, {mine.runtime}, 1 thread, on {report.machine.cpu}")


def _memory(report: Report, target: Target, file: ModelFile) -> Number:
    samples = None if target.reach == "none" else timing.samples_of(report.samples, file.path, target)
    if samples is None or samples.memory is None:
        why = "it cannot be estimated from another machine" if target.reach == "none" else "it was not measured"
        return Number("peak memory", NO_NUMBER, None, why)
    return Number("peak memory", show_bytes(samples.memory), "measured", "of a fresh process that runs the file alone")


def _score(report: Report, file: ModelFile, finding: Finding) -> Finding:
    """Return the finding with the score on the test split and its 95% interval."""
    value = file.scores.get("test", {}).get(report.metric)
    if value is None:
        return finding
    if file.correct:
        return decided(finding, scores.accuracy(file.correct, 0.0, report.groups))
    images = report.data.get("images", {}).get("test", 0)
    units = file.drawn or int(report.data.get("counted", images))
    low, high = intervals.of_draws(value, file.resampled, units)
    bounds = (low, high) if math.isfinite(low + high) else None
    return replace(finding, value=value, interval=bounds, label="measured")


def _blank(target: Target, check: str, unit: Unit) -> Finding:
    """Return a finding without a limit: nothing is judged, only counted."""
    return Finding(target.name, check, "advisory", "no number", math.inf, unit)


def _of_finding(name: str, finding: Finding, report: Report | None = None) -> Number:
    how = "; ".join(filter(None, (finding.basis, finding.note)))
    if finding.value is None:
        return Number(name, NO_NUMBER, None, how)
    value = SHOW[finding.unit](finding.value)
    if report is not None:
        value = show_score(finding.value, error=report.error, points=report.points)
    interval = interval_text(finding.interval, finding.unit) if finding.interval else ""
    return Number(name, " ".join(filter(None, (minus(value), interval))), finding.label, how)


def _seconds(value: float, interval: tuple[float, float] | None) -> str:
    return " ".join(filter(None, (show_seconds(value), interval_text(interval, "seconds") if interval else "")))
