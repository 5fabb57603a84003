"""Describe a route by its files: scores, predictions and recalls.

All are of the test split; validation selects the strongest model.
"""

from __future__ import annotations

import math

import numpy as np

from ...core.columns import described
from ...core.errors import UserError
from ...core.metric_functions import predicted
from ...core.results import ModelFile
from ...data.dataset import Dataset
from ...engine import evaluate
from ...engine.artifacts import regrouped
from ...engine.engine import Engine, Result
from .effort import passes
from .results import RouteResult

FLOAT, INT8 = "float", "int8"


def strongest(floats: list[tuple[Engine, str]]) -> np.ndarray:
    """Return the test outputs of the best float model by validation."""
    engine, label = max(floats, key=lambda pair: signed_score(pair[0], pair[0].results[pair[1]], "validation"))
    return _outputs(engine.results[label], engine.results[label].facts.files[0])


def route_result(
    engine: Engine,
    name: str,
    source: str,
    labels: tuple[str, str],
    reference: np.ndarray,
    repetition: int,
    effort: float,
    counted: bool,
) -> RouteResult:
    """Describe a route or recipe: the model `source`, and its float and int8 files, beside the outputs `reference`."""
    result = engine.results[source]
    ends = dict(zip((FLOAT, INT8), (engine.results[label] for label in labels), strict=True))
    files = {which: regrouped(engine, result_, result_.facts.files[0]) for which, result_ in ends.items()}
    outputs = {which: _outputs(result_, files[which]) for which, result_ in ends.items()}
    y = engine.data["test"].y
    classes = engine.data.labelled and engine.data.targets.classes
    return RouteResult(
        route=name,
        repetition=repetition,
        parameters=result.facts.parameters,
        macs=result.facts.macs,
        passes=passes(engine, source),
        files=files,
        agreement={which: _alike(name, scores, reference, engine.data) for which, scores in outputs.items()},
        recalls={
            which: _recalls(scores, y, engine.data.labels) if classes else {} for which, scores in outputs.items()
        },
        effort=effort,
        counted=counted,
    )


def signed_score(engine: Engine, result: Result, split: str) -> float:
    """Return the score, more for the better: of what is no number the least, since `max` keeps a NaN that comes
    first."""
    value = result.facts.files[0].scores[split][engine.metric.name]
    if math.isnan(value):
        return -math.inf
    return value if engine.metric.higher else -value


def _outputs(result: Result, file: ModelFile) -> np.ndarray:
    outputs: np.ndarray = np.load(result.entry.folder / f"{file.precision}.npy")
    return outputs


def _alike(name: str, outputs: np.ndarray, reference: np.ndarray, data: Dataset) -> float:
    """Return how alike outputs are. Raises: UserError for those of other names or shapes, which nothing compares."""
    mine, theirs = described(outputs), described(reference)
    if mine != theirs and data.task != "detection":  # whose models may keep more or fewer boxes
        raise UserError(
            f"`{name}` gives {mine}, and the best float model of those compared {theirs}",
            "compare models with the same outputs; `load` takes one alone with `output: NAME`",
        )
    return evaluate.alike(outputs, reference, data)


def _recalls(outputs: np.ndarray, y: np.ndarray, labels: tuple[str, ...]) -> dict[str, float]:
    found = predicted(outputs)
    return {label: float((found[y == k] == k).mean()) for k, label in enumerate(labels) if (y == k).any()}
