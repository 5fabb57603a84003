"""Evaluate a model of any kind on every validation and test example.

Its parameters, MACs and bytes are counted too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..core.metric_functions import agreement as alike
from ..core.metric_functions import nll
from ..core.metrics import Metric
from ..core.paths import digest
from ..core.user_code import Code
from ..data.dataset import Dataset
from ..models import checkpoint
from ..models.description import NO_CODE
from ..models.metadata import read, to_logits, to_model_inputs
from ..models.onnx import export
from ..models.predict import predict
from ..models.session import Kernels
from ..stage import MAIN_FILE, Made

FLOAT_VIEW = "float.onnx"
"""A torch model is measured as the float ONNX file that it exports to, so that all stages compare in one runtime."""
TFLITE_RUNTIME_EXAMPLES = 500
"""tflite-runtime is there to prove compatibility, and slow on x86: it answers the first test examples only."""


def examine(
    made: Made,
    folder: Path,
    data: Dataset,
    metric: Metric,
    source: dict[str, Any] | None,
    code: Code = NO_CODE,
) -> dict[str, Any]:
    """Facts of the artifact in `folder`, as `StageFacts` has them: `parameters`, `macs`, `files` and `notes`.

    `source` is the facts of the artifact that it was made from; a TFLite file has its parameters and MACs.
    Of `data` without labels every answer counts as right. `code` is what may build a network of the user's own.
    The answers to the test images stay in the folder, for comparisons with what is made from it.
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
    """Share of the test examples to which two examined artifacts give the same answer.

    Like is compared with like: the files of the same precision if both have one.
    """
    mine = {path.stem: path for path in folder.glob("*.npy")}
    theirs = {path.stem: path for path in other.glob("*.npy")}
    shared = sorted(mine.keys() & theirs.keys())
    one = mine[shared[0]] if shared else next(iter(mine.values()))
    two = theirs[shared[0]] if shared else next(iter(theirs.values()))
    return alike(np.load(one), np.load(two), data["test"].y)


def _file(path: Path, precision: str, data: Dataset, metric: Metric) -> dict[str, Any]:
    contract, found = read(path), {}
    kernels: Kernels | None = "usual" if precision == "int8" else None  # whoever quantized it runs it as it is
    for split in ("validation", "test"):
        answers = to_logits(
            predict(path, to_model_inputs(contract, data, data[split].x), kernels=kernels), contract, data
        )
        found[split] = scored(answers, data, split, metric)
    np.save(path.parent / f"{precision}.npy", answers)
    return {
        "path": path.name,
        "kind": path.suffix.removeprefix("."),
        "precision": precision,
        "bytes": path.stat().st_size,
        "sha256": digest(path),
        **found["test"],
        "scores": {split: each["scores"] for split, each in found.items()},
    }


def scored(
    answers: np.ndarray, data: Dataset, split: str, metric: Metric, groups: np.ndarray | None = None
) -> dict[str, Any]:
    """`scores` of answers to a split, and `correct` or `resampled` for their intervals, drawn by `groups` if any."""
    y = data[split].y
    if not data.labelled:  # the reference, which agrees with itself
        y = answers.argmax(1)
    # Right or wrong is all that a share needs for an interval; any other metric has its bootstrap draws.
    plain = metric.counted and y.ndim == 1
    return {
        "scores": {metric.name: metric(answers, y), "nll": nll(answers, y)},
        "correct": "".join("1" if right else "0" for right in answers.argmax(1) == y) if plain else "",
        "resampled": [] if plain else metric.resampled(answers, y, groups),
    }


def _compatible(path: Path, data: Dataset) -> dict[str, Any]:
    """How often tflite-runtime answers as LiteRT does, where that runtime can be had (Python 3.11 and older)."""
    try:
        import tflite_runtime  # noqa: F401
    except ImportError:
        return {}
    x, y = data["test"]
    columns = to_model_inputs(read(path), data, x[:TFLITE_RUNTIME_EXAMPLES])
    litert, other = predict(path, columns), predict(path, columns, "tflite-runtime")
    return {"agreement_of_tflite_runtime": alike(litert, other, y[: len(litert)])}
