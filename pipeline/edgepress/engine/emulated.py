"""Evaluate a file on a board's instruction set, under emulation."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tasks
from ..benchmark.emulator.qemu import ended, start, versions
from ..core import capacity, machine
from ..core.columns import joined
from ..core.metric_intervals import bounds, floored, worst
from ..core.paths import scratch
from ..core.results import Emulated, ModelFile, Runtime
from ..core.runtimes import RUNTIMES
from ..models import metadata, session
from ..models.predict import laid_out, named, parts_of, predict
from . import evaluate

if TYPE_CHECKING:
    from ..core.metric import Metric
    from ..data.dataset import Dataset
    from .cache import Entry


def scored(
    file: ModelFile, cpu: str, runtime: Runtime, data: Dataset, metric: Metric, make: Callable[..., Entry]
) -> Emulated:
    """Evaluate `file` on every test example on `cpu`, and its agreement with this machine in the same runtime.

    `make` is the cache's, since outputs under emulation do not change. A file that does not run has an `error`.
    """
    path, installed = Path(file.path), versions() or {}
    if absent := RUNTIMES[runtime].absent():  # outputs here are what those under emulation are compared with
        return Emulated(path=file.path, cpu=cpu, runtime=runtime, versions={}, error=absent.message)
    used = {name: version for name, version in installed.items() if name in ("qemu", RUNTIMES[runtime].package)}
    material = {
        "emulated": [cpu, runtime, file.sha256],
        "data": data.digest,
        "metric": [metric.name, *metric.key],
        "versions": used,
        **({"groups": [int(group) for group in data.groups]} if data.groups is not None else {}),
        "here": machine.machine().features,  # what the outputs are compared with
    }

    def facts(folder: Path, scratch: Path) -> dict[str, Any]:
        contract = metadata.read(path)
        parts = (metadata.to_model_inputs(contract, data, part) for part in parts_of(data, data["test"].x))
        both = [(emulated_outputs(path, cpu, runtime, part), predict(path, part, runtime)) for part in parts]
        there, here = (metadata.to_logits(np.concatenate(each), contract, data) for each in zip(*both, strict=True))
        y = data["test"].y[:]
        own, other = (tasks.of(data).predictions(outputs, y) if data.labels else outputs for outputs in (there, here))
        more: dict[str, Any] = {"agreement": evaluate.alike(own, other, data)}
        if data.targets.classes:
            more |= {"bounds": bounds(there, y, data.groups), "worst": worst(there, y, data.labels)}
        return evaluate.scored(there, data, "test", metric, data.groups) | more

    try:
        results = make(material, facts).facts
    except RuntimeError as error:
        results = {"error": str(error)}
    if results.get("correct") and "worst" not in results:  # an entry from before bounds were binomial for few examples
        right = np.frombuffer(results["correct"].encode(), np.uint8) == ord("1")
        results = results | {"bounds": floored(results["bounds"], right, data["test"].y)}
    drawn = 0 if data.groups is None else int(data.groups.max()) + 1
    alike = tasks.of(data).alike if data.labels else ""
    return Emulated(path=file.path, cpu=cpu, runtime=runtime, versions=used, drawn=drawn, alike=alike, **results)


def emulated_outputs(path: Path, cpu: str, runtime: Runtime, columns: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return the outputs under emulation, as `predict` does; as many processes as cores share the examples."""
    columns = laid_out(path, columns)
    parts = min(capacity.cores(), len(columns[0]))
    with scratch() as work:
        running: list[subprocess.Popen[str]] = []
        for part, rows in enumerate(np.array_split(np.arange(len(columns[0])), parts)):
            inputs = [Path(work, f"{part}-{index}.npy") for index in range(len(columns))]
            for name, column in zip(inputs, columns, strict=True):
                np.save(name, column[rows])
            arguments = [RUNTIMES[runtime].loader, path, Path(work, f"{part}.npz"), json.dumps(named(path)), *inputs]
            running.append(start(cpu, Path(session.__file__), *map(str, arguments)))
        try:
            for process in running:
                ended(process)
        finally:
            for process in running:
                process.kill()
        return np.concatenate([_read(Path(work, f"{part}.npz")) for part in range(parts)])


def _read(path: Path) -> np.ndarray:
    with np.load(path) as stored:
        return joined({name: stored[f"arr_{index}"] for index, name in enumerate(stored["names"].tolist())})
