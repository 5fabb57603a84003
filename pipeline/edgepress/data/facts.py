"""State what options alone tell about a data set, before it is read.

The same facts of a data set that has been read are complete.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..core.errors import UserError

if TYPE_CHECKING:
    from .dataset import Dataset, Kind, Task
    from .source import Source


@dataclass(frozen=True)
class DataFacts:
    """Facts of a data set; None stands for what only reading it tells.

    Attributes:
        kinds: of the inputs, in their order.
        channels: of its only input, if that is an image.
        classes: number of labels; of a regression, of quantities.
        validation: number of validation examples.
        untrainable: why nothing can be trained on it, and what to do.
        unlabelled: whether there are further examples without labels.
    """

    name: str = "the data"
    task: Task | None = None
    kinds: tuple[Kind, ...] | None = None
    channels: int | None = None
    classes: int | None = None
    validation: int | None = None
    untrainable: tuple[str, str] | None = None
    unlabelled: bool | None = None

    @classmethod
    def of(cls, data: Dataset) -> DataFacts:
        """Return all facts of a data set that has been read."""
        kinds = tuple(input.kind for input in data.inputs)
        return cls(
            name=f"`{data.name}`",
            task=data.task,
            kinds=kinds,
            channels=data.inputs[0].shape[0] if kinds == ("image",) else None,
            classes=len(data.labels),
            validation=len(data["validation"].y),
            untrainable=_untrainable(data),
            unlabelled=data.unlabelled is not None,
        )


def _shipped(
    name: str, kinds: tuple[Kind, ...], classes: int, channels: int | None = None, task: Task = "single-label"
) -> DataFacts:
    return DataFacts(f"`{name}`", task, kinds, channels, classes)


def _untrainable(data: Dataset) -> tuple[str, str] | None:
    try:
        data.to_learn_from()
    except UserError as error:
        return error.problems[0].message, error.problems[0].help
    return None


SHIPPED = {
    "clutter": _shipped("clutter", ("image",), 5, 3, "detection"),
    "digits": _shipped("digits", ("image",), 10, 1),
    "fashion-mnist": _shipped("fashion-mnist", ("image",), 10, 1),
    "fashion-mnist-10k": _shipped("fashion-mnist-10k", ("image",), 10, 1),
    "recommend": _shipped("recommend", ("tokens", "tokens"), 2),
    "scenes": _shipped("scenes", ("image",), 6, 3, "segmentation"),
    "sensor": _shipped("sensor", ("series",), 7),
    "text": _shipped("text", ("tokens",), 8),
}
"""Facts of the shipped data sets; a test compares them with the data."""


_IMPLIED: dict[str, Task] = {"masks": "segmentation", "pictures": "image", "boxes": "detection"}
"""The task of a folder of images that has a second one."""


def known(data: Source | str, *, unlabelled: bool) -> DataFacts:
    """Return the facts that the options of a recipe's `task:` tell; `unlabelled` is whether some add such examples."""
    facts = SHIPPED[data] if isinstance(data, str) else _own(data)
    return replace(facts, unlabelled=unlabelled)


def _own(source: Source) -> DataFacts:
    if source.kind == "shipped":
        return SHIPPED[source.source]
    facts = DataFacts(f"`{source.source}`", task=source.task)
    if source.kind == "folder":
        channels = None if source.color is None else 1 if source.color == "grey" else 3
        implied: Task = "single-label"
        for option, task in _IMPLIED.items():
            implied = task if getattr(source, option) else implied
        facts = replace(facts, task=source.task or implied, kinds=("image",), channels=channels)
    elif source.kind == "table" and source.image is None:
        facts = replace(facts, kinds=("numbers",))
    elif source.kind == "table" and not source.columns:
        facts = replace(facts, kinds=("image",))
    return facts
