"""Compare start and result: the first line of every report.

The starting model is the reference; the result is the delivered file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from ...benchmark import statistics
from ...core.results import ModelFile, Report, Runtime, Samples
from ...core.units import NEAR_ZERO, show_bytes, show_score, show_seconds
from .. import scores
from ..judge import Finding, host_file


@dataclass(frozen=True)
class Side:
    """One of the two. `seconds` is the median time of an inference on this machine, one thread, in `runtime`; None
    where the file was not timed here. `score` is the recipe's metric on the test split."""

    name: str
    file: str
    bytes: int
    seconds: float | None
    runtime: Runtime | None
    score: float | None


@dataclass(frozen=True)
class Change:
    """`start` is None where no stage of the report is the reference."""

    start: Side | None
    result: Side


def change(report: Report, findings: Sequence[Finding]) -> Change | None:
    """Compare start and result; None for a report without a file."""
    result = _result(report, findings)
    if result is None:
        return None
    stage = next((stage for stage in report.stages if stage.name == report.reference), None)
    start = host_file(stage, report.machine) if stage else None
    return Change(
        _side(report, start, stage.name) if stage and start else None,
        _side(report, result, PurePath(result.path).name),
    )


@dataclass(frozen=True)
class Quantity:
    """Size, latency or the metric of the result, in words; `start` and `moved` are empty where nothing is known."""

    name: str
    result: str
    start: str = ""
    moved: str = ""


def quantities(report: Report, findings: Sequence[Finding]) -> list[Quantity]:
    """Return the numbers of `line` one by one; empty without a file."""
    sides = change(report, findings)
    if sides is None:
        return []
    start, result = sides.start, sides.result
    if start is None or start.file == result.file:
        start = None
    apart = start is not None and len({start.runtime, result.runtime} - {None}) > 1
    ratio = _ratio(result.bytes / start.bytes) if start else ""
    found = [Quantity("size", show_bytes(result.bytes), show_bytes(start.bytes) if start else "", ratio)]
    ratio = _ratio(result.seconds / start.seconds) if start and start.seconds and result.seconds and not apart else ""
    found.append(Quantity("latency", _time(result, named=apart), _time(start, named=apart) if start else "", ratio))
    if result.score is not None:
        words = show_score(result.score, error=report.error, points=report.points)
        before = start.score if start else None
        if before is None:
            return [*found, Quantity(report.metric, words)]
        shown = show_score(before, error=report.error, points=report.points)
        found.append(Quantity(report.metric, words, shown, f"{moved(report, result.score, before)}{_unit(report)}"))
    return found


def _unit(report: Report) -> str:
    return {"percent": "", "points": " points", "decibels": " dB"}[report.drop_unit]


def line(report: Report, findings: Sequence[Finding]) -> str:
    """Return `start teacher 1.98 MB, 0.103 ms, … → result int8.onnx 0.55 MB (0.28x), …`; empty without a file."""
    sides = change(report, findings)
    if sides is None:
        return ""
    start, result = sides.start, sides.result
    if start is None:
        return f"result {_plain(report, result, named=True)}; no starting model to compare it with"
    if start.file == result.file:
        return f"start = result {_plain(report, start, named=True)}"
    apart = len({start.runtime, result.runtime} - {None}) > 1
    parts = [f"{result.name} {show_bytes(result.bytes)} ({_ratio(result.bytes / start.bytes)})"]
    if result.seconds is not None:
        # Times of two runtimes have no ratio: it would be the runtimes' as much as the files'.
        ratio = "" if apart or not start.seconds else f" ({_ratio(result.seconds / start.seconds)})"
        parts.append(f"{_time(result, named=apart)}{ratio}")
    else:
        parts.append("not timed here")
    if result.score is not None:
        difference = "" if start.score is None else moved(report, result.score, start.score)
        beside = f" ({difference}{_unit(report)})" if difference else ""
        parts.append(show_score(result.score, error=report.error, points=report.points) + beside)
    return f"start {_plain(report, start, named=apart)} → result {', '.join(parts)}"


def _result(report: Report, findings: Sequence[Finding]) -> ModelFile | None:
    """Return the delivered file.

    That is what the first target measured on this machine judges, else the first target with a file, else what `keep`
    judged, else the last stage's file for this machine.
    """
    judged = [finding for finding in findings if finding.file and finding.target != "recipe"]
    here = [
        finding.file
        for finding in judged
        if finding.label == "measured" and finding.check.startswith("latency") and finding.target not in report.devices
    ]
    paths = [*here, *(finding.file for finding in judged), *(finding.file for finding in findings if finding.file)]
    files = {file.path: file for stage in report.stages for file in stage.files}
    named = next((files[path] for path in paths if path in files), None)
    return named or (host_file(report.stages[-1], report.machine) if report.stages else None)


def _side(report: Report, file: ModelFile, name: str) -> Side:
    samples = timed(report.samples, file)
    seconds = statistics.spread(statistics.log_percentiles(samples, 50))[0] if samples else None
    runtime = samples.runtime if samples else None
    return Side(name, file.path, file.bytes, seconds, runtime, file.scores.get("test", {}).get(report.metric))


def timed(samples: Sequence[Samples], file: ModelFile | None) -> Samples | None:
    """Return the single-thread times of a file on this machine, beside the other stages: those stand last."""
    wanted = (sample for sample in reversed(samples) if file and sample.path == file.path and sample.threads == 1)
    return next((sample for sample in wanted if sample.cpu and not sample.device), None)


def _plain(report: Report, side: Side, *, named: bool) -> str:
    parts = [f"{side.name} {show_bytes(side.bytes)}", _time(side, named=named)]
    if side.score is not None:
        parts.append(f"{report.metric} {show_score(side.score, error=report.error, points=report.points)}")
    return ", ".join(parts)


def _time(side: Side, *, named: bool) -> str:
    if side.seconds is None:
        return "not timed here"
    return show_seconds(side.seconds) + (f" in {side.runtime}" if named else "")


def _ratio(value: float) -> str:
    return f"{value:.2f}x" if value >= 0.1 else f"{value:.1g}x"


def moved(report: Report, mine: float, theirs: float) -> str:
    """Return points of a share, `+0.1`; percent of an error, `+3%`, or its difference where theirs is near zero."""
    if not report.error:
        words = f"{report.points * (mine - theirs):+.1f}"
    elif scores.is_near_zero(theirs, NEAR_ZERO * (report.constant or 0.0)):
        words = f"{mine - theirs:+.3g}"
    else:
        words = f"{mine / theirs - 1:+.0%}"
    return words.replace("-", "−")
