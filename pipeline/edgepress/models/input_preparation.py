"""Determine the preprocessing of a loaded model's inputs.

It is stated by the recipe or by the metadata of the model's file.

The wrong normalization costs accuracy without an error, so nothing is assumed about a file from elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import yamlio
from ..core.errors import UserError
from ..data.normalize import CHOICES, PIXELS

if TYPE_CHECKING:
    from ..data.dataset import Dataset, Input

_BY = {
    "recipe": "from the recipe",
    "data": "from the data set",
    "function": "from the function that makes the data",
    "train": "mean and deviation of the training examples",
    "file": "from the metadata of the model file",
}
_CLOSE = 0.05
"""Deviations by which a mean, or share by which a deviation, may differ: those of two samples of the same data do."""


class Unprepared(UserError):
    """The recipe's `data:` and a loaded file do not say, or do not agree on, how inputs and labels are made."""


def input_of(entry: dict[str, Any], input: Input) -> Input:
    """Return `input` with scale, mean and std of a contract's `entry`, unless the file normalizes by itself."""
    if not entry.get("mean"):
        return input
    stated = {"scale": entry["scale"], "mean": tuple(entry["mean"]), "std": tuple(entry["std"])}
    same = all(getattr(input, name) == value for name, value in stated.items())
    return input if same else replace(input, **stated, normalized_by="file")


def fed(contract: dict[str, Any], data: Dataset) -> Dataset:
    """Return `data` with inputs normalized as a file with this contract takes them."""
    pairs = zip(contract["inputs"], data.inputs, strict=True)
    return replace(data, inputs=tuple(input_of(entry, input) for entry, input in pairs))


def require_stated(file: Path | str, data: Dataset, inputs: Sequence[Input], line: str = "") -> None:
    """Raise Unprepared unless the recipe or the user's function states how each of `inputs` is normalized.

    `inputs` are those that `file`, which does not say it itself, takes as floats; `line` is the option that is right,
    where that is known.
    """
    unstated = [
        entry for entry in inputs if entry.kind != "tokens" and entry.normalized_by not in ("recipe", "function")
    ]
    if not unstated:
        return
    values = "pixels" if unstated[0].kind == "image" else f"the {unstated[0].kind} of input `{unstated[0].name}`"
    several = "; a function of yours may return a Dataset whose inputs have their own" if len(data.inputs) > 1 else ""
    raise Unprepared(
        f"`{file}` does not state how its inputs are normalized, and neither does the recipe; {values} of "
        f"`{data.name}` would be standardized by {_owner(unstated[0])}, which is wrong for most files from elsewhere",
        f"it was trained with `{line}`: write that into `data`"
        if line
        else f"state what the network was trained with, `data: {{from: …, normalize: …}}`: {CHOICES}{several}",
    )


def _owner(input: Input) -> str:
    return "the data set's own mean and deviation" if input.normalized_by == "data" else "their mean and deviation"


def reconciled(file: Path, own: dict[str, Any], data: Dataset) -> Dataset:
    """Return `data` as `file`, whose contract is `own`, takes it. Raises: Unprepared where the recipe contradicts it.

    The file's labels have to stand in the order of the data's, if they are the same ones.
    """
    require_order(file, own, data)
    prepared = fed(own, data)
    for mine, stated in zip(prepared.inputs, data.inputs, strict=True):
        if stated.normalized_by == "recipe" and differ(mine, stated):
            raise Unprepared(
                f"`{file}` takes {formula(mine)}, by its metadata, and the recipe states {formula(stated)}",
                "take `normalize` out of the recipe: the file's own is used",
            )
    return prepared


def require_order(file: Path, own: dict[str, Any], data: Dataset) -> None:
    """Raise Unprepared where the classes of `file` are those of `data` in another order."""
    labels = own.get("labels", [])
    if labels != list(data.labels) and sorted(labels) == sorted(data.labels):
        first = next(index for index, label in enumerate(labels) if label != data.labels[index])
        raise Unprepared(
            f"`{file}` has the classes of `{data.name}` in another order: class {first} is `{labels[first]}` there, "
            f"and `{data.labels[first]}` in the data",
            f"`data: {{from: …, labels: {yamlio.inline(labels)}}}`",
        )


def differ(first: Input, second: Input) -> bool:
    """Return whether two normalizations of one input give other values, beyond what two samples of the same data do."""
    if not first.mean or not second.mean:
        return False
    for (mean, std), (mean2, std2) in zip(_raw(first), _raw(second), strict=True):
        if abs(mean - mean2) > _CLOSE * max(std, std2) or abs(math.log(std / std2)) > _CLOSE:
            return True
    return False


def _raw(input: Input) -> list[tuple[float, float]]:
    """Return mean and deviation of raw values by channel, of which one may stand for all."""
    count = input.shape[0]
    mean, std = (values * count if len(values) == 1 else values for values in (input.mean, input.std))
    return [(center / input.scale, width / input.scale) for center, width in zip(mean, std, strict=True)]


def described(data: Dataset) -> str:
    """Describe in one line how each input of a model is made of raw values, and where that comes from."""
    return _line(data, [f"{formula(input)}{_source(input)}" for input in data.inputs])


def taken(contract: dict[str, Any], data: Dataset) -> str:
    """Describe the same for a loaded file with this contract."""
    pairs = zip(contract["inputs"], fed(contract, data).inputs, strict=True)
    raw = "raw values, which the file normalizes itself"
    return _line(
        data, [raw if entry.get("mean") == [] else f"{formula(input)}{_source(input)}" for entry, input in pairs]
    )


def _line(data: Dataset, words: list[str]) -> str:
    parts = [_sized(input) + word for input, word in zip(data.inputs, words, strict=True)]
    if len(parts) == 1:
        return parts[0]
    return "; ".join(f"{input.name}: {part}" for input, part in zip(data.inputs, parts, strict=True))


def _sized(input: Input) -> str:
    """Describe how pictures are resized before."""
    if input.kind != "image" or input.resize is None:
        return ""
    channels, height, width = input.shape
    color = {1: "grey", 3: "RGB"}.get(channels, f"{channels} channels")
    return f"{color}, {input.resize} to {height} × {width}, "


def _source(input: Input) -> str:
    return "" if input.kind == "tokens" else f", {_BY[input.normalized_by]}"


def formula(input: Input) -> str:
    """Return the normalization as a formula: `x/255, then (− 0.5)/0.5`."""
    if input.kind == "tokens":
        return "token ids as they are"
    scaled = "x/255" if input.scale == PIXELS else "x" if input.scale == 1 else f"x · {input.scale:g}"
    if input.plain:
        return f"{scaled}, pixels from 0 to 255 as they are" if scaled == "x" and input.kind == "image" else (
            f"{scaled} as it is" if scaled == "x" else scaled
        )  # fmt: skip
    return f"{scaled}, then (− {_numbers(input.mean)})/{_numbers(input.std)}"


def _numbers(values: Sequence[float]) -> str:
    if len(set(values)) == 1:
        return f"{values[0]:.4g}"
    return f"[{', '.join(f'{value:.4g}' for value in values)}]" if len(values) <= 4 else f"[{len(values)} values]"
