"""Measure the time to decode one picture's boxes, of the recipe's last file; no latency of the model includes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..data.images import SAMPLED
from ..data.preprocessing_time import seconds
from ..models.metadata import read, to_logits
from ..models.predict import predict_raw

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from .engine import Engine


def measure(engine: Engine) -> list[float]:
    """Return seconds of CPU time for some test examples of a detector, each after an untimed call; else nothing."""
    data = engine.data
    return of_file(Path(engine.results[engine.recipe.steps()[-1].label].facts.files[0].path), data)


def of_file(file: Path, data: Dataset) -> list[float]:
    """Return those seconds for the outputs of `file`."""
    if data.task != "detection" or not data.labels:
        return []
    contract, outputs = read(file), predict_raw(file, data, data["test"].x[:SAMPLED])
    return [seconds(lambda: to_logits(outputs[row : row + 1], contract, data)) for row in range(len(outputs))]  # noqa: B023
