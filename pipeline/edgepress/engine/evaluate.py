"""Evaluate a model on the validation and test split, and count its size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import tasks
from ..core import boxes, likeness
from ..core.columns import flat
from ..core.errors import UserError
from ..core.metric import Metric
from ..core.metric_functions import predicted, right
from ..core.paths import digest
from ..core.runtimes import RUNTIMES, agreement_note, others
from ..core.user_code import Code
from ..data.dataset import Dataset
from ..data.rows import Rows, choose
from ..models import checkpoint, nameless
from ..models.description import NO_CODE
from ..models.metadata import LABEL_TASKS, dequantized, read, to_logits, to_model_inputs
from ..models.onnx import export
from ..models.predict import predict, predict_raw
from ..models.session import Kernels
from ..stage import MAIN_FILE, Made
from ..tasks.detection import FEW, SHOWN
from . import dense

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


def marks(path: Path, data: Dataset, x: Rows) -> np.ndarray:
    """Return what `agreement` compares with: the classes that a file predicts, or without classes its outputs."""
    outputs = predict_raw(path, data, x)
    return predicted(flat(outputs)) if data.labels else dequantized(outputs, read(path))


def alike(outputs: np.ndarray, expected: np.ndarray, data: Dataset) -> float:
    """Return the share of equal predictions of two models, as `Task.agreement` does; without labels the `likeness`."""
    if data.labels:
        return tasks.of(data).agreement(outputs, expected, choose(data["test"].y, slice(len(outputs))))
    return likeness.likeness(outputs, expected)


def agreement(folder: Path, other: Path, data: Dataset) -> float:
    """Return how alike the outputs of two evaluated artifacts are on the test examples; see `alike`."""
    return alike(*_outputs(folder, other), data)


def likeness_rows(file: Path, other: Path, data: Dataset) -> list[dict[str, Any]]:
    """Return the likeness of a file's outputs to those of `other`, by channel group; none of predictions of classes."""
    if data.labels:
        return []
    return likeness.rows(*_outputs(file.parent, other), read(file)["outputs"][0]["name"])


def boxes_kept(file: Path, other: Path, data: Dataset) -> dict[str, Any]:
    """Return `f1` of a detector's boxes against the `boxes` many of `other`, where `data` has no classes.

    Numbers do not tell: corners all over a picture are alike to 99% where boxes are off by a tenth. It is empty where
    nothing says how boxes are decoded, or these are few.
    """
    if data.labels:
        return {}
    outputs, expected = _outputs(file.parent, other)
    detections = nameless.decoder_of(read(file), expected)
    if detections is None:
        return {}
    found = detections(expected)
    count = boxes.shown(found, SHOWN)
    return {"f1": boxes.f1(found, detections(outputs), SHOWN), "boxes": count} if count >= FEW else {}


def constant(file: Path, data: Dataset) -> list[str]:
    """Return the outputs, or channel groups of them, that are the same for every test example, or nearly.

    Any preset counts. Of what has labels, classes and numbers are left to `plausibility`, and of masks, maps, vectors
    and pictures it is the whole output: a single channel may rightly be always black.
    """
    if data.labels and data.task in LABEL_TASKS:
        return []
    found: dict[str, None] = {}
    name = read(file)["outputs"][0]["name"]
    for stored in sorted(file.parent.glob("*.npy")):
        outputs = np.load(stored)
        of = likeness.groups(outputs, name)
        still = likeness.constant(outputs, of)
        if data.labels:
            still = [name] if len(still) == len(of) else []
        found |= dict.fromkeys(still)
    return [*found]


def without_number(outputs: np.ndarray, data: Dataset) -> int:
    """Return for how many examples an output is NaN; of masks and the like, whose predictions these are, for none."""
    return int(np.isnan(flat(outputs)).any(1).sum()) if data.labels and data.task in LABEL_TASKS else 0


def _outputs(folder: Path, other: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the outputs of two evaluated artifacts for the test examples.

    Like is compared with like: the files of the same precision if both have one.
    """
    mine = {path.stem: path for path in folder.glob("*.npy")}
    theirs = {path.stem: path for path in other.glob("*.npy")}
    shared = sorted(mine.keys() & theirs.keys())
    first = mine[shared[0]] if shared else next(iter(mine.values()))
    second = theirs[shared[0]] if shared else next(iter(theirs.values()))
    return np.load(first), np.load(second)


def _file(path: Path, precision: str, data: Dataset, metric: Metric) -> dict[str, Any]:
    by_split = {}
    for split in ("validation", "test"):
        if dense.is_dense(data):
            by_split[split] = dense.evaluated(path, precision, data, split, metric)
            continue
        kernels: Kernels | None = "usual" if precision == "int8" else None  # whoever quantized it runs it as it is
        outputs = to_logits(predict_raw(path, data, data[split].x, kernels), read(path), data)
        if not data.labelled:
            _require_finite(outputs, path, data, split)
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


def _require_finite(outputs: np.ndarray, path: Path, data: Dataset, split: str) -> None:
    """Raise UserError where outputs that others are compared with are never finite: nothing is alike to these."""
    if data.labels:
        dead = [] if np.isfinite(outputs).any() else [read(path)["outputs"][0]["name"]]
    else:
        dead = likeness.never_finite(outputs, read(path)["outputs"][0]["name"])
    if dead:
        which = "; ".join(f"`{name}`" for name in dead)
        raise UserError(
            f"the model gives no finite number as {which} for any of {len(outputs)} {split} examples",
            "check how its inputs are prepared (`normalize`, and `constants` of the recipe), or choose another output: "
            "`output: NAME`",
        )


def scored(
    outputs: np.ndarray, data: Dataset, split: str, metric: Metric, groups: np.ndarray | None = None
) -> dict[str, Any]:
    """Return `scores` of the outputs for a split; for intervals on the test split, `correct` or `resampled` too.

    Draws are of `groups`, if there are any. Nothing shows an interval on the validation split.
    """
    y = data[split].y[:]
    if not data.labelled:  # the reference, which agrees with itself
        y = predicted(outputs) if data.labels else outputs
    parts = metric.collected(outputs, y)
    nll = {"nll": tasks.of(data).nll_of(outputs, y)} if data.labels and data.task in LABEL_TASKS else {}
    scores = {"scores": {metric.name: metric.value(parts), **nll}}
    if split != "test":
        return scores
    # Right or wrong is all that a share needs for an interval; any other metric has its bootstrap draws.
    if metric.counted and y.ndim == 1 and data.labels:
        return scores | {"correct": "".join("1" if hit else "0" for hit, _ in right(outputs, y)), "resampled": []}
    return scores | {"correct": "", "resampled": metric.draws(parts, groups)}


def _compatible(path: Path, data: Dataset) -> dict[str, Any]:
    """Return how often the other runtimes of the file, where installed, agree with its default one."""
    names = [name for name in others(path.suffix) if not RUNTIMES[name].absent()]
    if not names:
        return {}
    if dense.is_dense(data):
        usual, *rest = (dense.predictions(path, data, COMPATIBILITY_EXAMPLES, name) for name in (None, *names))
        return {agreement_note(name): alike(other, usual, data) for name, other in zip(names, rest, strict=True)}
    contract = read(path)
    columns = to_model_inputs(contract, data, data["test"].x[:COMPATIBILITY_EXAMPLES])
    outputs = to_logits(predict(path, columns), contract, data)
    found = {name: to_logits(predict(path, columns, name), contract, data) for name in names}
    return {agreement_note(name): alike(other, outputs, data) for name, other in found.items()}
