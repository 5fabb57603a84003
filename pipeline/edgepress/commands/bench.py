"""Implement `bench`: time a model file, or compare it with another one.

`--replay` judges the same measurements again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from ..benchmark import paired, statistics
from ..benchmark.devices.transport import DeviceError
from ..config import budgets, target
from ..core import foreign, stored, stored_samples
from ..core.errors import UserError
from ..core.paths import replacing
from ..core.printable import lines as printed
from ..core.printable import shown
from ..core.progress import progress
from ..core.results import Facts, Runtime, Samples
from ..core.runtimes import DEFAULT
from ..core.units import Share, show_seconds
from ..engine import on_device
from . import catalog


class Trace(Facts):
    """Raw times of a model, and of the one that it is held against, with the limit of their ratio."""

    version: Literal[1] = 1
    limit: float
    samples: list[Samples]
    device: str = ""
    """What they were taken on, if not this machine."""


def measured(
    model: Path,
    *,
    against: Path | None,
    tolerance: str,
    runtime: Runtime | None,
    threads: int | None,
    on: str | None = None,
) -> Trace:
    """Time one file, or two until the verdict is clear; `on` is a target, or how one is reached, by default here.

    Raises: UserError for a file that no runtime loads, DeviceError for a device that cannot be measured.
    """
    target = _target(on) if on else None
    runtime = runtime or (target.runtime if target and target.name != target.reach else None)
    threads = threads or (target.threads if target else 1)
    provider = target.provider if target else "cpu"
    files, limit = [model, *([against] if against else [])], 1 + _share(tolerance)
    models = [paired.Model(str(file), file, runtime or _runtime(file), threads, provider) for file in files]
    if len({model.runtime for model in models}) > 1:
        raise UserError("an ONNX and a TFLite file have no runtime in common", "compare files of one kind")
    if len(models) > 1 and files[0] == files[1]:
        models[1] = paired.Model(f"{files[1]} (again)", files[1], models[1].runtime, threads, provider)
    shown = progress()
    shown.begin("measuring", "measuring", -1, 0)
    looks = statistics.LOOKS if len(models) > 1 else statistics.LOOKS[:1]

    def enough(samples: list[Samples]) -> bool:
        return len(samples) > 1 and statistics.paired(samples[0], samples[1], limit).status != "undecided"

    try:
        if target is None:
            for measured in models:
                paired.require_run(measured)
            return Trace(limit=limit, samples=paired.measure(models, looks=looks, say=shown.advance, enough=enough))
        samples, device = on_device.measure(target, models, looks=looks, say=shown.advance, enough=enough)
    except paired.WorkerDied as error:
        raise UserError(str(error), "is it a whole model of this runtime?") from error
    finally:
        shown.close()
    if device.error:
        raise DeviceError(device.error, device.help)
    return Trace(limit=limit, samples=samples, device=device.about)


def _target(on: str) -> target.Target:
    """Return the target or device of `--on`. Raises: UserError."""
    if "://" in on:
        bare = target.Target(name=on, runtime=DEFAULT["onnx"], reach="local", budgets=budgets.Budgets())
        return target.at(bare, on)
    profile = target.load(catalog.find(on, "targets"))
    if profile.reach == "none":
        raise UserError(f"`{on}` has `reach: none`", "write `reach: ssh://USER@HOST` into a copy of it: `edgepress cp`")
    return profile


def read(path: Path) -> Trace:
    """Read a stored trace. Raises: UserError."""
    wrong_is = "is no trace of this version of edgepress, or is damaged"
    return stored.read(path, Trace, _problems, "measure again: `--trace FILE` writes one", wrong_is)


def _problems(trace: Trace) -> Iterator[str]:
    """Yield what does not hold together in a trace."""
    if not 0 < trace.limit < math.inf or not 1 <= len(trace.samples) <= 2:
        yield "it has no limit, or other than one or two models"
    for index, samples in enumerate(trace.samples):
        yield from stored_samples.of_samples(f"samples.{index}", samples)
        if not samples.cpu or not stored_samples.paired(samples, trace.samples[0]):
            yield f"samples.{index}: it has other rounds than the first model, or none"


def write(trace: Trace, path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text(trace.as_json(), encoding="utf-8")


def render(trace: Trace) -> tuple[str, statistics.Status]:
    """Return the text of a trace, ending in a newline, and its verdict: `ok` for a single model, which has no
    limit."""
    trace, lines, verdict = shown(trace), [], None
    for samples in trace.samples:
        value, interval = statistics.spread(statistics.log_percentiles(samples, 50))
        tail, _ = statistics.spread(statistics.log_percentiles(samples, 90))
        bounds = f"  [{'–'.join(show_seconds(bound) for bound in interval)}]" if interval else ""
        lines.append(f"{samples.path}  median {show_seconds(value)}{bounds}  p90 {show_seconds(tail)}")
    if len(trace.samples) > 1:
        verdict = statistics.paired(trace.samples[0], trace.samples[1], trace.limit)
        assert verdict.interval
        low, high = verdict.interval
        mark = {"ok": "ok  ", "FAIL": "FAIL", "undecided": "?   "}[verdict.status]
        lines.append(f"{mark}  {verdict.value:.3f}x of {trace.limit:.3f}x  [{low:.3f}–{high:.3f}]")
    lines.append(f"measured: {statistics.how(trace.samples[0])}" + (f", on {trace.device}" if trace.device else ""))
    if (busy := max(map(statistics.contention, trace.samples))) > statistics.CALM:
        lines.append(f"contention {busy:.2f}: other work shares the cores")
    return printed("\n".join(lines) + "\n"), verdict.status if verdict else "ok"


def _share(tolerance: str) -> float:
    try:
        return TypeAdapter(Share).validate_python(tolerance)
    except ValidationError:
        raise UserError(f"--tolerance: `{tolerance}` is not a share", "for example `5%`") from None


def _runtime(file: Path) -> Runtime:
    foreign.size(file)
    kind = file.suffix.removeprefix(".")
    if kind not in DEFAULT:
        raise UserError(f"`{file}` is neither .onnx nor .tflite", "give a model file")
    return DEFAULT[kind]
