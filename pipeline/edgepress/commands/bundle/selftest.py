"""Choose real inputs of the test split, and compute what the model's outputs for them have to be."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.boxes import CLASS
from ...core.columns import split
from ...core.errors import UserError
from ...engine.cache import Cache
from ...engine.last import require_no_code
from ...engine.setup import Setup
from ...models.metadata import CHANNELS_LAST, LABEL_TASKS, to_logits, to_model_inputs
from ...models.predict import laid_out, predict

if TYPE_CHECKING:
    from ...data.dataset import Dataset
    from .command import Chosen

COUNT = 5
SURE = 3
"""How many times the tolerance the best class is above the second, for its label to be the same on every processor."""


def files(chosen: Chosen, contract: dict[str, Any], tolerance: float, cache: Path) -> dict[str, bytes]:
    """Return `selftest/N/…` of examples spread over the test split: raw values, inputs and outputs of the file.

    Raises: UserError where the data is no longer that of the run.
    """
    require_no_code(chosen.recipe, "leave the self-test out: --no-examples")
    data = Setup(chosen.recipe, Cache(cache), chosen.report.limited).data
    if data.digest != chosen.report.data["sha256"]:
        message = f"the data of `{chosen.recipe.name}` has changed since its last run"
        help = f"`edgepress run {chosen.report.source}` again, or leave the self-test out: --no-examples"
        raise UserError(message, help)
    rows = np.unique(np.linspace(0, len(data["test"].x) - 1, COUNT).astype(int))
    x = data["test"].x[rows]
    columns = to_model_inputs(contract, data, x)
    outputs = predict(chosen.path, columns, kernels="usual")
    inputs = laid_out(chosen.path, columns)
    found: dict[str, bytes] = {}
    for number in range(len(rows)):
        folder = f"selftest/{number}"
        for index, (raw, input) in enumerate(zip(data.columns(x), data.inputs, strict=True)):
            picture = np.moveaxis(raw[number], 0, -1) if input.kind == "image" else raw[number]
            found[f"{folder}/raw_{index:02}.npy"] = _npy(picture)
        for index, (column, entry) in enumerate(zip(inputs, contract["inputs"], strict=True)):
            found[f"{folder}/input_{index:02}.bin"] = _bytes(column[number], entry["dtype"])
        for index, (column, entry) in enumerate(zip(split(outputs).values(), contract["outputs"], strict=True)):
            output = column[number]
            if entry.get("layout") in CHANNELS_LAST.values():
                output = np.moveaxis(output, 0, -1)
            found[f"{folder}/output_{index:02}.bin"] = _bytes(output, entry["dtype"])
    decoded = to_logits(outputs, contract, data)
    if data.task == "detection":
        found |= {
            f"selftest/{number}/boxes.npy": _npy(rows[rows[:, CLASS] >= 0]) for number, rows in enumerate(decoded)
        }
    labels = _labels(decoded, data, tolerance)
    found["selftest/labels.json"] = (json.dumps(labels) + "\n").encode()
    return found


def _labels(logits: np.ndarray, data: Dataset, tolerance: float) -> list[str | None]:
    """Return the best class of each example; None where there are no classes, or another one is nearly as good."""
    if not data.labels or data.task not in LABEL_TASKS or data.task == "regression" or len(data.labels) < 2:
        return [None] * len(logits)
    best: list[str | None] = []
    for row in logits:
        second, first = np.argsort(row)[-2:]
        sure = row[first] - row[second] > SURE * tolerance * np.abs(row).max()
        best.append(data.labels[first] if sure else None)
    return best


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()


def _bytes(array: np.ndarray, dtype: str) -> bytes:
    return np.ascontiguousarray(array).astype(np.dtype(dtype).newbyteorder("<")).tobytes()
