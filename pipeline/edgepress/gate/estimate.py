"""Estimate latency on a device from published latencies of networks.

The same networks are measured on this machine.

T̂ = T_host · exp(s), with s the weighted mean over references of log(T_device / T_host): one scale for each runtime,
precision and number of threads. References that take about as long here count most, by a Gaussian of one octave: large
networks are of other stuff than small ones, such as dense 3 × 3 convolutions, which some runtimes do with fewer
operations. Leaving one out, this halves the largest errors of the plain mean (`make bench-estimates`). The host side
is always one thread's CPU time, the steadiest figure there is, whatever the device uses: the scale then holds the
device's gain from its threads as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from ..config.target import Reference, Target
from ..core.results import ModelFile, Samples
from ..core.runtimes import RUNTIMES
from .published import label, rows_for

QUIET, ROUGH, PROXY = 1.35, 1.6, 2.0
"""Factors of the interval: same runtime and one thread; several threads or one reference; another runtime."""
OCTAVE = math.log(2)
"""References that are this far away in log time weigh 0.6 of one that is as fast as the model."""
ENOUGH = 9
"""References from which on a 90% conformal interval exists."""


@dataclass(frozen=True)
class Estimate:
    """Seconds of one inference, with the interval, its basis, and a note on its weakness."""

    seconds: float
    interval: tuple[float, float]
    basis: str
    note: str


def latency(target: Target, file: ModelFile, measured: Iterable[Samples]) -> Estimate | str:
    """Estimate the latency of `file`, or return why there is no estimate.

    `measured` holds the file's and the references' times on this machine, in the target's runtime with one thread.
    """
    host = {
        samples.path: _seconds(samples)
        for samples in measured
        if (samples.runtime, samples.threads) == (target.runtime, 1)
    }
    published = rows_for(target, file.precision)
    rows = [row for row in published if label(row.model, row.precision) in host]
    if not published:
        threads = f"{target.threads} thread{'s' * (target.threads > 1)}"
        return f"no published latency of a network in {file.precision} on {threads} to estimate from"
    if not rows or file.path not in host:
        return f"{'its references were' if not rows else 'the file was'} not measured on this machine"
    mine, theirs = host[file.path], [host[label(row.model, row.precision)] for row in rows]
    points = [(math.log(here), math.log(row.ms / 1e3 / here)) for row, here in zip(rows, theirs, strict=True)]
    width, how = _width(target, rows[0], points)
    notes = [] if rows[0].runtime in RUNTIMES[target.runtime].published else [f"{rows[0].runtime} proxy"]
    if not min(theirs) <= mine <= max(theirs):
        span = f"{min(theirs) * 1e3:.3g}–{max(theirs) * 1e3:.3g} ms"
        outside = f"{mine * 1e3:.3g} ms here is outside the references' {span}"
        if target.extrapolate is None:
            return outside
        width *= target.extrapolate
        notes.append(f"{outside}, interval x{target.extrapolate:g}")
    seconds = mine * math.exp(_scale(math.log(mine), points))
    return Estimate(seconds, (seconds / width, seconds * width), f"{how}, {_basis(rows)}", "; ".join(notes))


def _seconds(samples: Samples) -> float:
    return median(median(process) for process in samples.cpu)


def _scale(at: float, points: list[tuple[float, float]]) -> float:
    """Return the log of device over host for log time `at` here; `points` are (log time, log ratio)."""
    distances = [((at - x) / OCTAVE) ** 2 / 2 for x, _ in points]
    weights = [math.exp(min(distances) - distance) for distance in distances]
    return sum(weight * y for weight, (_, y) in zip(weights, points, strict=True)) / sum(weights)


def _width(target: Target, row: Reference, points: list[tuple[float, float]]) -> tuple[float, str]:
    """Return the factor of the interval, and its name: conformal where the references carry one, else a rule of thumb.

    The rule is never narrower than what the references miss each other by, leaving one out; and the
    distance between the published runtime and the target's own is known from no number of references.
    """
    count = len(points)
    rest = [(point, points[:index] + points[index + 1 :]) for index, point in enumerate(points)]
    left_out = sorted(abs(y - _scale(x, remaining)) for (x, y), remaining in rest) if count > 1 else [0.0]
    proxy = row.runtime not in RUNTIMES[target.runtime].published
    if count >= ENOUGH:
        factor = math.exp(left_out[math.ceil(0.9 * (count + 1)) - 1])
        if not proxy or factor >= PROXY:
            return factor, "90% interval"
    rough = PROXY if proxy else ROUGH if row.threads > 1 or count == 1 else QUIET
    factor = max(rough, math.exp(left_out[-1]))
    return factor, f"x{factor:.3g} interval"


def _basis(rows: list[Reference]) -> str:
    first, count = rows[0], len(rows)
    sources = ", ".join(dict.fromkeys(f"{row.source} {row.commit}" for row in rows))
    return (
        f"{count} reference{'s' * (count > 1)} ({first.runtime} {first.precision}, {first.threads} "
        f"thread{'s' * (first.threads > 1)} there, 1 here; {sources})"
    )
