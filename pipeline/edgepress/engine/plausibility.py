"""Check that a float model beats chance, and find the wrong input if not.

A network that is fed or read wrongly runs without an error, and its int8 file keeps every wrong prediction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tasks
from ..core import yamlio
from ..core.metric_functions import predicted
from ..data.dataset import measured
from ..data.normalize import Moments, Normalize, normalized
from ..models import metadata
from ..models.input_preparation import fed, formula
from ..models.predict import predict
from ..tasks.task import NEAR, Skill
from . import evaluate

if TYPE_CHECKING:
    from ..data.dataset import Dataset

GOOD = 0.5
"""Skill from which a loaded model is not checked further."""
SURE = 3
"""Standard errors by which a hint's gain is beyond chance."""
FAR_BETTER = 0.2
"""Least gain of a hint, in skill."""
TRIED = 128
"""Validation examples that other normalizations are tried on."""
LISTED = 30
"""Most classes whose order is written out."""

_LOADED = (
    "check that its inputs are as in training (normalization, order of the channels, layout), and that the data's "
    "classes are in the order of its outputs"
)
_CHANNELS = "blue, green, red in place of red, green, blue"
_TRAINED = "it has hardly learned: check the labels, the learning rate and the epochs"


def doubts(file: Path, outputs: np.ndarray, data: Dataset, metric: str, *, loaded: bool) -> tuple[str, list[str]]:
    """Return why a model is probably fed or read wrongly: words for the verdict, and warnings.

    `outputs` are those of `file` to the test examples: (n, labels), or of dense tasks their `predictions`; `loaded`
    says that it was not trained here.
    """
    if broken := evaluate.without_number(outputs, data):
        return f"broken: it gives no number for {broken:,} of {len(outputs):,} test examples", []
    own = tasks.of(data).skill(outputs, data["test"].y, metric)
    hints = _hints(file, outputs, data) if loaded and own.value < GOOD else []
    if own.near_chance:
        reason = "; ".join(hints) or (_LOADED if loaded else _TRAINED)
        count = len(data["test"].y)
        near = own.value < NEAR
        doubt = "near chance level" if near else f"not distinguishable from chance on {count} test examples"
        return doubt, [f"is {doubt}: {own.words}; {reason}"]
    return ("probably fed or read wrongly", hints) if hints else ("", [])


def _hints(file: Path, outputs: np.ndarray, data: Dataset) -> list[str]:
    """Return what fits the labels far better: another order of classes, or another input preparation.

    Each is evaluated on other examples than it is chosen on.
    """
    if data.targets.classes and (line := _order(outputs, data["test"].y, data.labels)):
        return [line]
    return [line] if (line := _inputs(file, data)) else []


def _order(outputs: np.ndarray, y: np.ndarray, labels: tuple[str, ...]) -> str | None:
    """Return the order of classes that fits far better, chosen on half of the examples, judged on the rest."""
    from scipy.optimize import linear_sum_assignment

    found, classes = predicted(outputs), outputs.shape[1]
    if len(y) < 2 * classes:
        return None
    chosen, judged = np.array_split(np.random.default_rng(0).permutation(len(y)), 2)
    table = np.bincount(found[chosen] * classes + y[chosen], minlength=classes**2).reshape(classes, classes)
    meant = linear_sum_assignment(table, maximize=True)[1]
    before, after = float((found == y)[judged].mean()), float((meant[found] == y)[judged].mean())
    if not _better(before, after, len(judged)):
        return None
    order = [labels[index] for index in meant]
    names = f": `labels: {yamlio.inline(order)}`" if classes <= LISTED else ""
    why = ", which is the alphabetical one" if order == sorted(labels) else ""
    return (
        f"another order of the classes fits far better, {after:.1%} in place of {before:.1%}{why}; "
        f"list the labels in the order of the model's outputs{names}"
    )


def _inputs(file: Path, data: Dataset) -> str | None:
    """Return the normalization or order of channels with far better validation scores."""
    contract = metadata.read(file)
    few = data.limited(TRIED).in_memory()
    own = _skill(file, contract, few)
    tried = [(_skill(file, metadata.moved(contract, other), other), words) for words, other in _others(contract, few)]
    if not tried:
        return None
    best, how = max(tried, key=_value)
    lesser = max((candidate for candidate in tried if not candidate[1].endswith(f" with {_CHANNELS}")), key=_value)
    if _value(lesser) >= best.value - best.error:  # of two that are about as good the lesser change is likelier
        best, how = lesser
    if not best.value - own.value >= max(FAR_BETTER, SURE * math.hypot(best.error, own.error)):  # neither may be NaN
        return None
    return (
        f"{how} fits far better: {best.words}, on {len(few['validation'].y)} validation examples ({own.words} as it is)"
    )


def _value(tried: tuple[Skill, str]) -> float:
    value = tried[0].value
    return -math.inf if math.isnan(value) else value


def _others(contract: dict[str, Any], data: Dataset) -> Iterator[tuple[str, Dataset]]:
    """Yield the data under other normalizations and with reversed channels, with words for each."""
    if len(data.inputs) != 1 or data.input.kind == "tokens":
        return
    here, image = fed(contract, data), data.input.kind == "image"
    ways: list[tuple[str, Normalize]] = [("`normalize: none`", "none"), ("`normalize: raw`", "raw")]
    if image:
        ways += [("`normalize: imagenet`", "imagenet")] if data.input.shape[0] == 3 else []
        ways += [("`normalize: {mean: [0.5], std: [0.5]}`", Moments(mean=(0.5,), std=(0.5,)))]
    alternatives = [("", here)]
    if contract["inputs"][0].get("mean") != []:
        alternatives += [(words, normalized(data, how, data.name)) for words, how in ways]
        train = data["train"].x[:]
        own = measured(data.input.name, data.input.kind, train, scale=1 / 255 if image else 1.0)
        words = "the mean and deviation of the training examples, " + formula(own)
        alternatives.append((words, replace(data, inputs=(own,))))
    for words, other in alternatives:
        if words and other.input != here.input:
            yield words, other
        if image and data.input.shape[0] == 3:
            splits = {name: split._replace(x=split.x[:, ::-1]) for name, split in other.splits.items()}
            yield f"{words} with {_CHANNELS}" if words else _CHANNELS, replace(other, splits=splits)


def _skill(file: Path, contract: dict[str, Any], data: Dataset) -> Skill:
    x, y = data["validation"]
    outputs = predict(file, metadata.to_model_inputs(contract, data, x))
    return tasks.of(data).skill(metadata.to_logits(outputs, contract, data), y)


def _better(before: float, after: float, count: int) -> bool:
    spread = math.sqrt(max(after * (1 - after), before * (1 - before), 1 / count) / count)
    return after - before > max(FAR_BETTER, SURE * spread)
