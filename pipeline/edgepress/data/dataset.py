"""Define data sets: three disjoint splits of labelled examples.

Labels are in memory, examples perhaps not. `train` fits weights, `validation` selects and calibrates, `test` is only
reported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..core.errors import UserError
from .rows import Lazy, Rows, choose, digests

if TYPE_CHECKING:
    import numpy as np

    from .targets import Targets

NAMES = ("clutter", "digits", "fashion-mnist", "fashion-mnist-10k", "recommend", "scenes", "sensor", "text")
"""What a recipe's `task: {data: …}` may say; each is a module here, with `read() -> Dataset`."""

_HASHED = 256
"""Examples whose bytes are copied at once."""
Kind = Literal["image", "series", "numbers", "tokens"]
Task = Literal[
    "single-label", "multi-label", "regression", "segmentation", "keypoints", "embedding", "image", "detection"
]


@dataclass(frozen=True)
class Input:
    """One input of a model, and its normalization of raw values: (raw · scale − mean) / std.

    `shape` is of one example: image (channels, height, width), series (channels, length), numbers (columns,) and
    tokens (length,), whose ids are 0 … `vocabulary` − 1 and are taken as they are. `mean` and `std` are of the scaled
    training values, one a channel or column.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    vocabulary: int = 0
    resize: str | None = None
    """How pictures of other sizes became `shape`: `crop`, `squash` or `pad`."""
    normalized_by: Literal["recipe", "function", "data", "train", "file"] = field(
        default="function", compare=False, repr=False
    )
    """Where `scale`, `mean` and `std` come from: the recipe, the user's function that made this, the shipped data set,
    the training examples, or the metadata of a model file."""

    @property
    def dtype(self) -> str:
        """Return the type of a model's input: ids are int64, all else float32."""
        return "int64" if self.kind == "tokens" else "float32"

    @property
    def plain(self) -> bool:
        """Tell whether values are scaled at most, and not shifted or divided by a deviation."""
        return set(self.mean) <= {0.0} and set(self.std) <= {1.0}

    def to_model_inputs(self, raw: np.ndarray) -> np.ndarray:
        """Normalize raw values (n, *shape) for a model."""
        import numpy as np

        if self.kind == "tokens":
            return raw.astype(np.int64)
        shape = (1, -1, *[1] * (len(self.shape) - 1))
        values: np.ndarray = raw.astype(np.float32)  # a copy, worked on in place: photos take a gigabyte
        if self.scale == 1 / 255:
            values /= np.float32(255)
        elif self.scale != 1:
            values *= np.float32(self.scale)
        mean, std = (np.asarray(each, np.float32).reshape(shape) for each in (self.mean, self.std))
        values -= mean
        values /= std
        return values

    def raw(self, values: np.ndarray) -> np.ndarray:
        """Undo `to_model_inputs`: (n, *shape), pixels as uint8, other values as float32."""
        import numpy as np

        shape = (1, -1, *[1] * (len(self.shape) - 1))
        mean, std = (np.asarray(moment, np.float32).reshape(shape) for moment in (self.mean, self.std))
        denormalized: np.ndarray = (values * std + mean) / self.scale
        return (
            np.clip(np.rint(denormalized), 0, 255).astype(np.uint8)
            if self.kind == "image"
            else denormalized.astype(np.float32)
        )


class Split(NamedTuple):
    """Raw examples, and their labels.

    `x` is (n, *shape) of a data set with one input: uint8 images, float32 series and numbers, integer tokens. It is an
    array, or rows that are read when they are taken: take what fits into memory, `x[rows]`. With several inputs it is a
    structured array (n,) whose fields are the inputs' names, so that rows are taken as one.
    `y` is int64 (n,) for single-label, uint8 (n, labels) for multi-label, float32 (n, labels) for regression; uint8
    (n, height, width) for segmentation, float32 (n, points, 3) for keypoints, int64 (n,) or float32 (n, length) for
    embedding, uint8 or float32 (n, channels, height, width) for image, float32 (n, most, 6) for detection. It is an
    array, or of masks and pictures in files, and of annotated boxes, such rows.
    """

    x: Rows
    y: Any


@dataclass(frozen=True)
class Dataset:
    """A data set in its splits; `labels` names the classes, quantities, points, identities or channels."""

    name: str
    labels: tuple[str, ...]
    splits: dict[str, Split]
    inputs: tuple[Input, ...]
    task: Task = "single-label"
    source: str = field(default="", compare=False)
    labelled: bool = True
    """Whether the answers in `splits` mean anything; of data without labels they are zeros."""
    files: tuple[Path, ...] = field(default=(), compare=False)
    """Some of the image files that the examples were read from, if they were."""
    uncovered: tuple[str, ...] = field(default=(), compare=False)
    """Labels that the recipe lists and no training example has."""
    groups: np.ndarray | None = field(default=None, compare=False)
    """Of each test example the group, such as a person, from 0: examples of one are alike, and count as one draw."""
    unlabelled: Rows | None = field(default=None, compare=False)
    """Raw examples to learn from that have no labels, as `x` of a split."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What the reader left out, a line each."""
    warnings: tuple[str, ...] = field(default=(), compare=False)
    """What it read, and probably should not have, a line each."""
    flip_pairs: tuple[tuple[int, int], ...] = ()
    """Labels of points that change places in a mirror."""

    def __getitem__(self, split: str) -> Split:
        return self.splits[split]

    @property
    def targets(self) -> Targets:
        """Return what is known of the targets of its task."""
        from .targets import of

        return of(self.task)

    @property
    def input(self) -> Input:
        """Return the only input; `UserError` when there are several."""
        if len(self.inputs) > 1:
            raise UserError(f"`{self.name}` has {len(self.inputs)} inputs, and this network takes one")
        return self.inputs[0]

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 over every value and label of every split; of rows that are read later over their digests.

        The same pictures have one digest as an array and another as files.
        """
        total = hashlib.sha256(repr((self.name, self.labels, self.inputs, self.task)).encode())
        if self.flip_pairs:
            total.update(repr(self.flip_pairs).encode())
        for name in sorted(self.splits):
            for array in self.splits[name]:
                total.update(repr((name, array.shape, str(array.dtype))).encode())
                _add(total, array)
        if self.unlabelled is not None:
            total.update(repr(("unlabelled", self.unlabelled.shape, str(self.unlabelled.dtype))).encode())
            _add(total, self.unlabelled)
        return total.hexdigest()

    @property
    def lazy(self) -> bool:
        """Tell whether some examples are read only when they are taken."""
        return any(isinstance(x, Lazy) for x in (self.unlabelled, *(split.x for split in self.splits.values())))

    def columns(self, x: Rows) -> tuple[Any, ...]:
        """Return the raw values of each input, in the order of `inputs`."""
        return tuple(x[input.name] for input in self.inputs) if x.dtype.names else (x,)

    def to_model_inputs(self, x: Rows) -> tuple[np.ndarray, ...]:
        """Normalize raw rows for a model, one array an input; all of them are read now."""
        return tuple(input.to_model_inputs(raw) for input, raw in zip(self.inputs, self.columns(x[:]), strict=True))

    def to_learn_from(self) -> Dataset:
        """Return the data set itself. Raises: UserError when there are no labels."""
        if not self.labelled:
            raise UserError(f"`{self.name}` has no labels to train on", "remove the stages that train")
        if self.uncovered:
            first = ", ".join(f"`{label}`" for label in self.uncovered[:5])
            more = f" and {len(self.uncovered) - 5} more" if len(self.uncovered) > 5 else ""
            raise UserError(
                f"`{self.name}` has no training examples of {first}{more}", "add some, or take the label out"
            )
        return self

    def with_labels(self, y: dict[str, np.ndarray]) -> Dataset:
        """Return the same examples with other labels, by split; splits without are left out."""
        splits = {name: Split(self[name].x, labels) for name, labels in y.items()}
        return replace(self, splits=splits, labelled=True)

    def limited(self, count: int) -> Dataset:
        """Return the first `count` examples of each split, for a smoke run."""
        first = slice(count)
        splits = {name: Split(choose(x, first), choose(y, first)) for name, (x, y) in self.splits.items()}
        groups = None if self.groups is None else numbered(self.groups[first])
        more = None if self.unlabelled is None else choose(self.unlabelled, first)
        return replace(self, splits=splits, groups=groups, unlabelled=more)

    def in_memory(self) -> Dataset:
        """Return the same with all examples of the splits as arrays."""
        return replace(self, splits={name: Split(x[:], y[:]) for name, (x, y) in self.splits.items()})


def _add(total: hashlib._Hash, rows: Rows) -> None:
    """Add the rows' values to a digest, or their own digests."""
    if isinstance(rows, Lazy):
        total.update(rows.made_by.encode() + digests(rows).tobytes())
        return
    for start in range(0, len(rows), _HASHED):
        total.update(rows[start : start + _HASHED].tobytes())


def numbered(groups: np.ndarray) -> np.ndarray:
    """Number the names of groups (n,) from 0, without gaps."""
    import numpy as np

    numbers: np.ndarray = np.unique(groups, return_inverse=True)[1]
    return numbers


def measured(name: str, kind: Kind, raw: np.ndarray, *, scale: float = 1.0, vocabulary: int = 0) -> Input:
    """Return an `Input` for training values `raw` (n, *shape), with their mean and deviation rounded to read well."""
    import numpy as np

    shape = raw.shape[1:]
    if kind == "tokens":
        return Input(name, kind, shape, vocabulary=vocabulary)
    axes = (0, *range(2, raw.ndim))
    values = raw.astype(np.float64) * scale
    mean = tuple(round(float(v), 4) for v in values.mean(axis=axes))
    std = tuple(round(max(float(v), 1e-4), 4) for v in values.std(axis=axes))
    return Input(name, kind, shape, scale, mean, std, normalized_by="train")


def images(
    name: str,
    labels: Sequence[str],
    splits: dict[str, Split],
    source: Path | str,
    moments: tuple[float, float] | None = None,
) -> Dataset:
    """Return a single-label `Dataset` of uint8 images, with `moments` or those of its training pixels."""
    if moments is not None:
        shape = splits["train"].x.shape[1:]
        input = Input("input", "image", shape, 1 / 255, (moments[0],), (moments[1],))
    else:
        input = measured("input", "image", splits["train"].x[:], scale=1 / 255)
    return Dataset(name, tuple(labels), splits, (input,), source=str(source))
