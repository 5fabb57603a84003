"""What a file answers on a board's instruction set, scored as on this machine."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import answer, examine, metadata
from ..bench.pairs import PACKAGES
from ..facts import Emulated, ModelFile, Runtime
from ..predict import laid_out
from ..scores import agreement
from . import ended, start, versions

if TYPE_CHECKING:
    from ..data import Dataset
    from ..scores import Metric


def scored(
    file: ModelFile, here: Path, cpu: str, runtime: Runtime, data: Dataset, metric: Metric, make: Callable[..., Any]
) -> Emulated:
    """`file` on every test example as `cpu` runs it; `here` has what it answers on this machine.

    `make` is the cache's: answers are kept, for they do not change. A file that does not run there says why.
    """
    found = versions() or {}
    used = {name: version for name, version in found.items() if name in ("qemu", PACKAGES[runtime])}
    material = {
        "emulated": [cpu, runtime, file.sha256],
        "data": data.digest,
        "metric": [metric.name, *metric.key],
        "versions": used,
    }

    def facts(folder: Path, scratch: Path) -> dict[str, Any]:
        path = Path(file.path)
        answers = examine.told(answered(path, cpu, runtime, data), metadata.read(path), data)
        np.save(folder / "answers.npy", answers)
        return examine.scored(answers, data, "test", metric) | {
            "agreement": agreement(answers, np.load(here), data["test"].y)
        }

    asked = Emulated(path=file.path, cpu=cpu, runtime=runtime, versions=used)
    try:
        return asked.model_copy(update=make(material, facts).facts)
    except RuntimeError as error:
        return asked.model_copy(update={"error": str(error)})


def answered(path: Path, cpu: str, runtime: Runtime, data: Dataset) -> np.ndarray:
    """Answers (n, labels) to the test examples: as many processes as cores share them."""
    columns = laid_out(path, metadata.ready(metadata.read(path), data, data["test"].x))
    parts = min(os.cpu_count() or 1, len(columns[0]))
    with tempfile.TemporaryDirectory() as work:
        running: list[subprocess.Popen[str]] = []
        for part, rows in enumerate(np.array_split(np.arange(len(columns[0])), parts)):
            inputs = [Path(work, f"{part}-{index}.npy") for index in range(len(columns))]
            for name, column in zip(inputs, columns, strict=True):
                np.save(name, column[rows])
            arguments = [runtime, path, Path(work, f"{part}.npy"), *inputs]
            running.append(start(cpu, Path(answer.__file__), *map(str, arguments)))
        try:
            for process in running:
                ended(process)
        finally:
            for process in running:
                process.kill()
        return np.concatenate([np.load(Path(work, f"{part}.npy")) for part in range(parts)])
