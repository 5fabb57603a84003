"""Judge time and memory budgets, measured or estimated."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..benchmark import statistics
from ..config.budgets import LatencyBudget
from ..config.target import Target
from ..core.results import ModelFile, Report, Samples
from ..core.units import Relative
from . import estimate, published
from .finding import Finding, Status, decided, noted, within


def latency(report: Report, target: Target, file: ModelFile, budget: LatencyBudget, finding: Finding) -> Finding:
    """Judge a latency budget by measured times, or by an estimate where the target has no device."""
    return (_estimated if target.reach == "none" else _measured)(report, target, file, budget, finding)


def _measured(report: Report, target: Target, file: ModelFile, budget: LatencyBudget, finding: Finding) -> Finding:
    samples = samples_of(report.samples, file.path, target)
    if samples is None or device_error(report, target):
        return noted(finding, device_error(report, target))
    if isinstance(budget.limit, Relative):
        pinned = samples_of(report.samples, published.label(budget.limit.model, "fp32"), target)
        if pinned is None:
            return noted(finding, f"{budget.limit.model} was not measured beside it")
        logs = statistics.log_ratios(samples, pinned)
        finding = noted(finding, f"of {budget.limit.model}")
    else:
        logs = statistics.log_percentiles(samples, budget.percentile)
    return timed(report, target, samples, finding, logs)


def _estimated(report: Report, target: Target, file: ModelFile, budget: LatencyBudget, finding: Finding) -> Finding:
    limit = finding.limit
    estimated = estimate.latency(target, file, report.references)
    if isinstance(estimated, str):
        return noted(finding, estimated)
    low, high = estimated.interval
    status: Status = "FAIL" if low > limit else "ok" if high <= limit else "undecided"
    finding = noted(finding, estimated.note)
    if status == "ok" and budget.percentile > 50:
        status = "undecided"
        finding = noted(finding, f"an estimate is of a typical run and cannot pass p{budget.percentile}: set p50")
    return replace(
        finding,
        status=status,
        value=estimated.seconds,
        interval=estimated.interval,
        label="estimated",
        basis=estimated.basis,
    )


_UNPRINTED = "the program that measures there does not print it"


def timed(report: Report, target: Target, samples: Samples, finding: Finding, logs: list[float]) -> Finding:
    """Judge one number per process; on wall time nothing is decided while other work takes the cores."""
    device = report.devices.get(target.name)
    basis = statistics.how(samples) + (f", on {device.about}" if device else "")
    finding = decided(finding, statistics.timed(logs, samples, finding.limit), basis=basis)
    busy = statistics.contention(samples)
    if busy <= statistics.CALM:
        return finding
    finding = noted(finding, f"contention {busy:.2f}")
    return (
        finding if target.threads == 1 else noted(finding, "no verdict on wall time while other work takes the cores")
    )


def memory(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    """Judge a memory budget by the peak of a process that loads the file alone."""
    if target.reach == "none":
        return noted(finding, "memory cannot be estimated from another machine")
    samples = samples_of(report.samples, file.path, target)
    if samples is None or samples.memory is None:
        return noted(finding, device_error(report, target) or (_UNPRINTED if samples else ""))
    return within(finding, samples.memory)


def cold_start(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    """Judge loading and the first inference, over fresh processes."""
    samples = samples_of(report.samples, file.path, target)
    if target.reach == "none" or samples is None or not samples.load or device_error(report, target):
        where = "it is measured on the device, or where `reach: local`" if samples is None else _UNPRINTED
        return noted(finding, device_error(report, target) or where)
    logs = [math.log(load + first) for load, first in zip(samples.load, samples.first, strict=True)]
    basis = f"{len(logs)} processes, wall time"
    return decided(finding, statistics.sequential(logs, finding.limit), basis=basis)


def decode(report: Report, target: Target, file: ModelFile, budget: Any, finding: Finding) -> Finding:
    """Judge the time after an inference in which outputs become boxes, over pictures."""
    times = report.preprocessing.decode if report.preprocessing else []
    if not times:
        return noted(finding, "only detectors have boxes to decode")
    if target.reach != "local":
        return noted(finding, "it is measured where `reach: local`")
    basis = f"{len(times)} pictures, numpy, CPU time, 1 thread"
    return decided(finding, statistics.sequential([math.log(seconds) for seconds in times], finding.limit), basis=basis)


def device_error(report: Report, target: Target) -> str:
    """Return why the target's device has no number; empty where it has one."""
    device = report.devices.get(target.name)
    return ": ".join(filter(None, [device.error, device.help])) if device else ""


def samples_of(samples: Iterable[Samples], path: str, target: Target) -> Samples | None:
    """Return the times of a file in the target's runtime, threads, provider and place; None where there are none."""
    wanted = (path, target.runtime, target.threads, target.provider, target.name if target.attached else "")
    return next(
        (
            sample
            for sample in samples
            if (sample.path, sample.runtime, sample.threads, sample.provider, sample.device) == wanted and sample.cpu
        ),
        None,
    )
