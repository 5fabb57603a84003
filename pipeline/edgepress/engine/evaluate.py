"""Evaluate a model on the validation and test split, and count its size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..core.metric_functions import agreement as alike
from ..core.metric_functions import nll
from ..core.metrics import Metric
from ..core.paths import digest
from ..core.runtimes import RUNTIMES, agreement_note, others
from ..core.user_code import Code
from ..data.dataset import Dataset
from ..models import checkpoint
from ..models.description import NO_CODE
from ..models.metadata import read, to_logits, to_model_inputs
from ..models.onnx import export
from ..models.predict import predict, predict_raw
from ..models.session import Kernels
from ..stage import MAIN_FILE, Made

FLOAT_VIEW = "float.onnx"
"""A torch model is measured as the float ONNX file that it exports to, so that all stages compare in one runtime."""
COMPATIBILITY_EXAMPLES = 500
"""Of the test split, for a runtime that proves compatibility: tflite-runtime is slow on x86."""


def evaluate(
    made: Made,
    folder: Path,
    data: Dataset,
    metric: Metric,
    source: dict[str, Any] | None,
    code: Code = NO_CODE,
) -> dict[str, Any]:
    """Return `parameters`, `macs`, `files` and `notes` of the artifact in `folder`, as in `StageFacts`.

    `source` is the facts of the artifact that it was made from; a TFLite file has its parameters and MACs.
    Of `data` without labels every prediction counts as right. `code` may build a network of the user's own.
    The outputs for the test examples stay in the folder, for comparisons with what is made from it.
    """
    if made.kind == "torch":
        export.export(checkpoint.load(folder / MAIN_FILE["torch"], code)[0], data, folder / FLOAT_VIEW)
        names = {"float32": FLOAT_VIEW}
    elif made.presets:
        names = dict(made.presets)
    else:
        names = {made.notes.get("precision", "float32"): MAIN_FILE[made.kind]}
    files = [_file(folder / name, precision, data, metric) for precision, name in names.items()]
    first = folder / next(iter(names.values()))
    notes = dict(made.notes)
    if made.kind == "tflite":
        assert source is not None
        size = {name: source[name] for name in ("parameters", "macs")}
        notes |= _compatible(first, data)
    else:
        size = dict(export.size(first)._asdict())
    return {"files": files, "notes": notes, **size}


def agreement(folder: Path, other: Path, data: Dataset) -> float:
    """Return the share of the test examples with the same prediction of two evaluated artifacts.

    Like is compared with like: the files of the same precision if both have one.
    """
    mine = {path.stem: path for path in folder.glob("*.npy")}
    theirs = {path.stem: path for path in other.glob("*.npy")}
    shared = sorted(mine.keys() & theirs.keys())
    first = mine[shared[0]] if shared else next(iter(mine.values()))
    second = theirs[shared[0]] if shared else next(iter(theirs.values()))
    return alike(np.load(first), np.load(second), data["test"].y)


def _file(path: Path, precision: str, data: Dataset, metric: Metric) -> dict[str, Any]:
    contract, by_split = read(path), {}
    kernels: Kernels | None = "usual" if precision == "int8" else None  # whoever quantized it runs it as it is
    for split in ("validation", "test"):
        outputs = to_logits(predict_raw(path, data, data[split].x, kernels), contract, data)
        by_split[split] = scored(outputs, data, split, metric)
    np.save(path.parent / f"{precision}.npy", outputs)
    return {
        "path": path.name,
        "kind": path.suffix.removeprefix("."),
        "precision": precision,
        "bytes": path.stat().st_size,
        "sha256": digest(path),
        **by_split["test"],
        "scores": {split: scores["scores"] for split, scores in by_split.items()},
    }


def scored(
    outputs: np.ndarray, data: Dataset, split: str, metric: Metric, groups: np.ndarray | None = None
) -> dict[str, Any]:
    """Return `scores` of the outputs for a split; for intervals on the test split, `correct` or `resampled` too.

    Draws are of `groups`, if there are any. Nothing shows an interval on the validation split.
    """
    y = data[split].y
    if not data.labelled:  # the reference, which agrees with itself
        y = outputs.argmax(1)
    parts = metric.collected(outputs, y)
    scores = {"scores": {metric.name: metric.value(parts), "nll": nll(outputs, y)}}
    if split != "test":
        return scores
    # Right or wrong is all that a share needs for an interval; any other metric has its bootstrap draws.
    if metric.counted and y.ndim == 1:
        return scores | {"correct": "".join("1" if right else "0" for right in outputs.argmax(1) == y), "resampled": []}
    return scores | {"correct": "", "resampled": metric.draws(parts, groups)}


def _compatible(path: Path, data: Dataset) -> dict[str, Any]:
    """Return how often the other runtimes of the file, where installed, agree with its default one."""
    names = [name for name in others(path.suffix) if not RUNTIMES[name].absent()]
    if not names:
        return {}
    x, y = data["test"]
    columns = to_model_inputs(read(path), data, x[:COMPATIBILITY_EXAMPLES])
    outputs = predict(path, columns)
    return {agreement_note(name): alike(outputs, predict(path, columns, name), y[: len(outputs)]) for name in names}
