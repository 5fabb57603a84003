"""Measure several models in pairs, one fresh process per replicate.

The times are evaluated after 4, 6, 8, 12 and 16 replicates.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from ..core import child_processes, installation, native_death
from ..core.activity import Bounds
from ..core.errors import UserError
from ..core.model_size import stored_bytes
from ..core.results import Provider, Runtime, Samples
from ..core.runtime_errors import reason
from ..core.runtimes import DEFAULT, RUNTIMES
from .devices.local import Local
from .devices.transport import PYTHON, DeviceError, Transport
from .statistics import LOOKS
from .worker import NO_PROVIDER, WARM_SECONDS

Say = Callable[[int, int, str], None]

SECONDS = 0.5
"""A process ends its rounds after this time a model, though not before the twentieth."""
COLD = 5
"""Processes that measure memory and cold start."""
LATEST = 900
"""Seconds after which a process is stopped: a slow board takes minutes for a large model's twenty rounds."""
WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True)
class Model:
    """A model to time: `name` becomes `Samples.path`, and is a file's path unless it is a reference model's label."""

    name: str
    file: Path
    runtime: Runtime = DEFAULT["onnx"]
    threads: int = 1
    provider: Provider = "cpu"


class WorkerDied(child_processes.ChildDied):
    """A measuring process ended without a result; the message has its cause; below it stands the end of its
    output, unless an exception says the cause."""


def measure(
    models: Sequence[Model],
    *,
    looks: Sequence[int] = LOOKS,
    rounds: int = 100,
    seed: int = 0,
    device: Transport | None = None,
    say: Say = lambda done, total, words: None,
    enough: Callable[[list[Samples]], bool] = lambda samples: False,
    warm: float = WARM_SECONDS,
) -> list[Samples]:
    """Time `models` in as many fresh processes as the last look, fewer when a look before it finds `enough`.

    Models of one runtime and number of threads share their processes and are paired round by round; others would
    only disturb each other. Each runs `warm` seconds before. Returns one `Samples` a model, in the order given.
    `device` is this machine by default.
    Raises: UserError for a runtime that is not installed here, WorkerDied for a model that does not run, DeviceError
    for a device without a reply.
    """
    device = device or Local()
    groups = [list(group) for _, group in groupby(sorted(models, key=_process), key=_process)]
    wall: dict[Model, list[list[float]]] = {model: [] for model in models}
    cpu: dict[Model, list[list[float]]] = {model: [] for model in models}
    for process in range(looks[-1] if models else 0):
        say(process, looks[-1], f"process {process + 1} of at most {looks[-1]}, {len(models)} models")
        for group in groups:
            result = _run(group, rounds, seed * 1000 + process, device, warm=warm)
            for model, walls, cpus in zip(group, result["wall"], result["cpu"], strict=True):
                wall[model].append(walls)
                cpu[model].append(cpus)
        if process + 1 in looks[:-1] and enough(_samples(models, wall, cpu)):
            break
    return _samples(models, wall, cpu)


def weigh(samples: Samples, model: Model, device: Transport | None = None) -> Samples:
    """Add peak memory, loading and first run of `model` to `samples`, from fresh processes that load it alone.

    A program on a phone may print less than all of them; what it does not print is no number.
    """
    results = [_run([model], 0, seed, device or Local()) for seed in range(COLD)]
    found: dict[str, Any] = {}
    if all("memory" in result for result in results):
        found["memory"] = max(int(result["memory"]) for result in results)
    if all({"load", "first"} <= result.keys() for result in results):
        found |= {name: [result[name] for result in results] for name in ("load", "first")}
    return samples.model_copy(update=found)


def require_run(model: Model) -> None:
    """Load and run `model` once here, under bounds. Raises: UserError, WorkerDied."""
    if model.provider == "cpu":  # others reserve memory as they like, and build engines for minutes
        _run([model], 0, 0, Local(), bounds=_bounds(model).arguments())


def heat(model: Model, seconds: float, device: Transport) -> None:
    """Run `model` until the board is as warm as it gets, so that later times are steady."""
    _run([model], 1, 0, device, warm=seconds)


def _process(model: Model) -> tuple[str, int, Provider]:
    return model.runtime, model.threads, model.provider


def _samples(
    models: Sequence[Model], wall: dict[Model, list[list[float]]], cpu: dict[Model, list[list[float]]]
) -> list[Samples]:
    return [
        Samples(
            path=model.name,
            runtime=model.runtime,
            threads=model.threads,
            provider=model.provider,
            wall=wall[model],
            cpu=cpu[model],
        )
        for model in models
    ]


def _run(models: list[Model], rounds: int, seed: int, device: Transport, **more: Any) -> dict[str, Any]:
    """Run one worker process, from its job to its result."""
    runtime, threads, provider = _process(models[0])
    job = {
        "loader": RUNTIMES[runtime].loader,
        "threads": threads,
        "provider": provider,
        "seed": seed,
        "rounds": rounds,
        "seconds": SECONDS,
        **more,
    }
    job["models"] = [device.push(model.file) for model in models]
    done = device.run([PYTHON, device.push(WORKER)], json.dumps(job), LATEST + more.get("warm", 0))
    if done.code:
        raise _died(models, done.code, done.err, here=isinstance(device, Local))
    result: dict[str, Any] = json.loads(done.out)
    return result


def _bounds(model: Model) -> Bounds:
    return Bounds(stored_bytes(model.file))


def _died(models: list[Model], code: int, errors: str, *, here: bool) -> Exception:
    cause = child_processes.cause(errors, code)
    kind = UserError if here else DeviceError
    if NO_PROVIDER in cause:
        help = "install the package of onnxruntime that has it, such as onnxruntime-gpu, or write `provider: cpu`"
        return kind(cause.partition(": ")[2] or cause, help)
    if "ModuleNotFoundError" in cause:
        runtime = models[0].runtime
        if here and (absent := RUNTIMES[runtime].absent()):
            return UserError([absent])
        where = "here" if here else "on the device"
        return kind(f"{runtime} is not installed {where}: {cause}", f"pip install {RUNTIMES[runtime].package} numpy")
    names = ", ".join(model.name for model in models)
    if here and (clash := installation.explained(errors)):
        return UserError([clash])
    if code < 0 and here:
        note = {"file": str(models[0].file), "doing": "measuring", "library": models[0].runtime}
        return native_death.error(-code, note | {"seconds": f"{_bounds(models[0]).seconds:.0f}"})
    raised = code > 0 and child_processes.TRACEBACK in errors  # then the cause says why
    tail = "" if raised else "\n".join(f"  {line}" for line in errors.strip().splitlines()[-12:])
    why = child_processes.ended(code) if code < 0 else f"failed: {reason(cause)}"
    return WorkerDied(f"the process that measured {names} in {models[0].runtime} {why}\n{tail}".rstrip())
