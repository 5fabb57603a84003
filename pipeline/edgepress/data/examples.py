"""Define examples before the split, as readers and functions return them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.columns import joined
from ..core.errors import UserError
from . import targets
from .dataset import Kind, Task, numbered
from .rows import Lazy, Rows
from .targets.target import finite
from .words import described

_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Examples:
    """Raw values and labels in one order; `checked` infers their kinds and refuses what cannot be learnt from.

    `x` is images as uint8 (n, height, width), (n, channels, height, width) or (n, height, width, channels); series as
    float (n, channels, length); numbers as float (n, columns); tokens as integers (n, length). `kinds` says it where
    the type does not. With several inputs, `x` is a structured array (n,), as `joined` makes it.

    `y` is single-label as integers or text (n,), multi-label as 0 and 1 (n, labels), regression as float (n,) or
    (n, quantities); segmentation as integers (n, height, width), keypoints as float (n, points, 3), embedding as
    identities (n,) or vectors (n, length), image as (n, channels, height, width), detection as a list of float (boxes,
    5) with x0, y0, x1, y1 in pixels and the class: these five need `task`. `labels` names the
    classes 0, 1, …, the quantities, the points or the channels. Examples of one of `groups` (n,) are kept in one split;
    `part` (n,) names the split of each, where that is settled. `flip_pairs` are labels of points that change places in
    a mirror, such as the left and the right eye.
    """

    x: Rows
    y: Any
    labels: tuple[str, ...] = ()
    task: Task | None = None
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    groups: np.ndarray | None = None
    part: np.ndarray | None = None
    labelled: bool = True
    """Without labels `y` and `task` are not read, and `labels` are what a loaded model tells apart: none if it is no
    classifier."""
    labels_listed: bool = False
    """Whether the recipe lists `labels`, so that some may have no example: a model may know more classes."""
    files: tuple[Path, ...] = ()
    """Some of the image files that `x` was read from, if it was: for how long that takes."""
    notes: tuple[str, ...] = ()
    """What the reader left out, a line each."""
    warnings: tuple[str, ...] = ()
    """What it read, and probably should not have, a line each."""
    flip_pairs: tuple[tuple[str, str], ...] = ()

    @property
    def columns(self) -> dict[str, Any]:
        """Return the values by input; an only input is called `input`."""
        x = self.x
        return {name: x[name] for name in x.dtype.names} if x.dtype.names else {"input": x}

    def checked(self, name: str, task: Task | None = None) -> Examples:
        """Return the same with the types of a `Split`, and with `labels`, `task` and `kinds` filled in.

        `name` stands before what is wrong. Raises: UserError.
        """
        try:
            return self._checked(task or self.task)
        except UserError as error:
            raise UserError(
                [replace(problem, message=f"`{name}`: {problem.message}") for problem in error.problems]
            ) from error

    def _checked(self, task: Task | None) -> Examples:
        x: Any = self.x if isinstance(self.x, Lazy) else np.asarray(self.x)
        to_array = targets.of(task).array if task else np.asarray
        examples = replace(
            self,
            x=x,
            y=(self.y if isinstance(self.y, Lazy) else to_array(self.y))
            if self.labelled
            else np.zeros(x.shape[:1] or 1, np.int64),
            groups=None if self.groups is None else np.asarray(self.groups),
            part=None if self.part is None else np.asarray(self.part),
        )
        for name, array in (("x", x), ("y", examples.y), ("groups", examples.groups), ("part", examples.part)):
            if array is not None and (not array.shape or array.dtype.hasobject):
                raise UserError(f"`{name}` is {described(array)}, no array of plain values")
            if array is not None and len(array) != len(x):
                raise UserError(f"`x` has {len(x)} examples, and `{name}` has {len(array)}")
        if not len(x):
            raise UserError("there are no examples")
        if unknown := sorted(set(self.kinds) - set(examples.columns)):
            raise UserError(f"`kinds` names `{unknown[0]}`, and the inputs are {', '.join(examples.columns)}")
        names = {name: name if x.dtype.names else "x" for name in examples.columns}
        kinds = {name: self.kinds.get(name) or kind_of(names[name], raw) for name, raw in examples.columns.items()}
        columns = {name: values(names[name], raw, kinds[name]) for name, raw in examples.columns.items()}
        task = (task or _inferred(examples.y)) if self.labelled else "single-label"
        pictures = [columns[name] for name, kind in kinds.items() if kind == "image"]
        of_task = targets.of(task)
        of_task.verify_inputs(list(columns))
        y, labels = of_task.checked(examples.y, self.labels, pictures[0].shape[2:] if len(pictures) == 1 else None)
        labels = labels if self.labelled else self.labels
        groups, own = examples.groups, of_task.groups(y) if self.labelled else None
        if own is not None:
            groups = own if groups is None else together(own, groups)
        return replace(examples, x=joined(columns), y=y, labels=labels, task=task, kinds=kinds, groups=groups)


def together(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the groups (n,) of examples that share one of `one` or of `other`, or are linked by others that do."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    left, right = numbered(one), numbered(other)
    right = right + left.max() + 1
    count = int(right.max()) + 1
    links = coo_array((np.ones(len(left)), (left, right)), shape=(count, count))
    found: np.ndarray = connected_components(links, directed=False)[1][left]
    return found


def kind_of(name: str, raw: np.ndarray) -> Kind:
    """Infer the kind of an array by its type and dimensions. Raises: UserError."""
    if raw.dtype == np.uint8 and raw.ndim in (3, 4):
        return "image"
    if raw.dtype.kind == "f" and raw.ndim in (1, 2, 3):
        return "series" if raw.ndim == 3 else "numbers"
    if raw.dtype.kind in "iu" and raw.ndim in (1, 2):
        return "tokens"
    raise UserError(
        f"`{name}` is {described(raw)}, which is no kind of example",
        "images are uint8 of 3 or 4 dimensions, series are float (n, channels, length), numbers are float (n, columns) "
        "and tokens are integers (n, length)",
    )


def values(name: str, raw: np.ndarray, kind: Kind) -> np.ndarray:
    """Convert `raw` to the types of a `Split`; rows that are read later have them. Raises: UserError."""
    if isinstance(raw, Lazy):
        return raw
    if raw.ndim == 1:
        raw = raw[:, None]
    if 0 in raw.shape or raw.dtype.kind not in "iuf":
        raise UserError(f"`{name}` is {described(raw)}: no examples to train on")
    if kind == "image":
        return np.ascontiguousarray(_channels_first(name, raw))
    if kind == "tokens":
        if raw.dtype.kind == "f" or raw.min() < 0 or raw.max() >= 2**24:
            raise UserError(
                f"`{name}` has tokens from {raw.min()} to {raw.max()}, and ids are whole numbers from 0 to 16 million",
                "save numbers as float32; they are not ids",
            )
        return raw.astype(np.int32)
    return finite(name, raw)


def _channels_first(name: str, raw: np.ndarray) -> np.ndarray:
    """Return images (n, channels, height, width); the dimension of channels follows from its size."""
    if raw.dtype != np.uint8:
        raise UserError(f"`{name}` is {described(raw)}, and images are uint8, 0 to 255")
    if raw.ndim == 3:
        return raw[:, None]
    first, last = raw.shape[1] in _CHANNELS, raw.shape[-1] in _CHANNELS
    if raw.ndim != 4 or first == last:
        raise UserError(
            f"`{name}` is {described(raw)}: which dimension is the channels'?",
            "one of the second and the last is to be 1, 3 or 4; the other is not",
        )
    return raw if first else raw.transpose(0, 3, 1, 2)


def _inferred(y: np.ndarray) -> Task:
    """Return the task of targets by their type and dimensions."""
    return "regression" if y.dtype.kind == "f" else "single-label" if y.ndim == 1 else "multi-label"
