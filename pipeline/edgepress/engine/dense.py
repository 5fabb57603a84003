"""Evaluate outputs as large as pictures, chunk by chunk: of each stay the metric's parts and the predictions.

The logits of a thousand masks of 20 classes and 224 × 224 pixels are 4 GB, their classes 50 MB.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tasks
from ..models.metadata import read, to_logits, to_model_inputs
from ..models.predict import predict

if TYPE_CHECKING:
    from ..core.metric import Metric, Parts
    from ..data.dataset import Dataset
    from ..models.session import Kernels

AT_ONCE = 2**26
"""Bytes of outputs, and of normalized inputs, that are in memory at once."""
PARTS = ".parts.npz"


def is_dense(data: Dataset) -> bool:
    """Return whether outputs are evaluated by chunk; a foreign file of unknown outputs has no labels."""
    return bool(data.labels) and tasks.of(data).dense


def chunks(
    path: Path, data: Dataset, split: str, *, count: int | None = None, runtime: str | None = None, precision: str = ""
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield outputs and targets of the first `count` examples of a split, by default all, a chunk at a time."""
    contract, (x, y) = read(path), data[split]
    y = y[:count]
    largest = max(
        math.prod(contract["outputs"][0].get("shape", (1,))), *(math.prod(each.shape) for each in data.inputs)
    )
    kernels: Kernels | None = "usual" if precision == "int8" else None  # whoever quantized it runs it as it is
    parts = min(len(y), math.ceil(4 * largest * len(y) / AT_ONCE))
    for rows in np.array_split(np.arange(len(y)), parts):
        outputs = predict(path, to_model_inputs(contract, data, x[rows]), runtime, kernels)
        yield to_logits(outputs, contract, data), y[rows]


def measured(path: Path, data: Dataset, split: str, metric: Metric, precision: str = "") -> tuple[Parts, np.ndarray]:
    """Return the metric's parts of a split, and its predictions."""
    kept: list[np.ndarray] = []

    def seen() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        kept.clear()
        for outputs, y in chunks(path, data, split, precision=precision):
            kept.append(tasks.of(data).predictions(outputs, y))
            yield outputs, y

    parts = metric.gathered(seen)
    return parts, np.concatenate(kept)


def evaluated(path: Path, precision: str, data: Dataset, split: str, metric: Metric) -> dict[str, Any]:
    """Return `scores` of a file for a split, and of test `correct` and `resampled`, as `evaluate.scored` does.

    The predictions and parts for the test examples stay beside the file.
    """
    parts, kept = measured(path, data, split, metric, precision)
    scores = {"scores": {metric.name: metric.value(parts)}}
    if split != "test":
        return scores
    np.save(path.parent / f"{precision}.npy", kept)
    if isinstance(parts, np.ndarray):
        np.savez_compressed(path.parent / f"{precision}{PARTS}", parts=parts)
    return scores | {"correct": "", "resampled": metric.draws(parts)}


def redrawn(folder: Path, path: Path, precision: str, data: Dataset, metric: Metric, groups: np.ndarray) -> list[float]:
    """Return the metric on draws of `groups` of the test examples, of a file that was evaluated in `folder`."""
    stored = folder / f"{precision}{PARTS}"
    if not stored.is_file():
        return metric.draws(measured(path, data, "test", metric, precision)[0], groups)
    with np.load(stored) as arrays:
        return metric.draws(arrays["parts"], groups)


def predictions(path: Path, data: Dataset, count: int, runtime: str | None = None) -> np.ndarray:
    """Return what the first `count` test examples are predicted to be, in a runtime."""
    found = (tasks.of(data).predictions(*chunk) for chunk in chunks(path, data, "test", count=count, runtime=runtime))
    return np.concatenate(list(found))
