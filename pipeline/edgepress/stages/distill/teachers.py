"""Compute and cache the teachers' outputs on the training examples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ... import tasks
from ...core import distributed
from ...core.errors import UserError
from ...core.paths import digest
from ...models import metadata
from ...models.checkpoint import load
from ...models.decode import Decode
from ...models.decoder import read as read_decode
from ...models.input_preparation import input_of
from ...models.output_shape import by
from ...models.predict import predict
from ...stage import Artifact, Context
from ...training import Examples, Schedule
from ...training.inference import batches, outputs
from .base import IN_MEMORY
from .kept import NoRoomError, Numbers, Outputs, Rowed, live, mapped, rowed, stored

if TYPE_CHECKING:
    from ...data.dataset import Input


def teacher_logits(
    teachers: Sequence[Artifact],
    schedule: Schedule,
    views: int,
    seed: int,
    context: Context,
    *,
    unlabelled: bool = False,
) -> list[list[Outputs]]:
    """Return each teacher's outputs on each augmented view of the training examples: teachers × views × (n, …).

    They are by-products in the cache, one for each teacher and view, under a key that covers the teacher's bytes, the
    data and the augmentation: students that share a teacher share them. Those of a dense task, such as masks, are
    large: they are written batch by batch as float16, values of a unit of their own as float32, and stay on the disk;
    indexing reads the rows that it names.
    So are all others that are too large for memory, as float32; they lie beside the checkpoints, and go with them.
    Classes are written as float16 where the disk has no room for that; what it has no room for at all is computed when
    it is indexed, under `accelerate launch` by every process.
    Raises: UserError where the disk has no room for maps, under `accelerate launch`.
    """
    unlabelled = unlabelled and context.data.unlabelled is not None
    examples = Examples.to_learn(context.data, schedule, seed, unlabelled=unlabelled)
    large = not tasks.of(context.data).dense and _size(teachers, len(examples), views, context) > IN_MEMORY
    found: list[list[Outputs]] = []
    for number, teacher in enumerate(teachers):
        load_once = cache(partial(_runner, teacher, context))
        left = (len(teachers) - number) * views
        found.append([])
        for view in range(views):
            given = _View(view, views, examples, load_once, context)
            if large:
                found[-1].append(_on_disk(given, context.scratch / f"teacher{number}-view{view}.npy", left - view))
            else:
                found[-1].append(_cached_logits(given, teacher, schedule, seed, unlabelled))
    return found


@dataclass(frozen=True)
class _View:
    """An augmented view of the training examples, and what runs a teacher on it, loaded at the first call."""

    number: int
    count: int
    """Of the views."""
    examples: Examples
    load: Callable[[], Run]
    context: Context

    def run(self) -> Iterator[np.ndarray]:
        """Yield the teacher's outputs on all examples, (b, …) at a time."""
        self.context.say(self.number, self.number + 1, f"running the teacher, view {self.number + 1}")
        yield from self.load()(self.examples, self.number, None)

    def live(self) -> Rowed:
        return live(lambda rows: self.load()(self.examples, self.number, rows), len(self.examples))


def _size(teachers: Sequence[Artifact], count: int, views: int, context: Context) -> int:
    """Return the bytes of all outputs as float32, of which only vectors of a few numbers are not counted."""
    each = 4 * count * views * len(teachers)
    if context.data.targets.per_label:
        return each * len(context.data.labels)
    return each * math.prod(shape(teachers[0], context)) if each * _WIDEST > IN_MEMORY else 0


_WIDEST = 4096
"""Numbers in an embedding at most, or nearly."""


def require_same(teachers: Mapping[str, Artifact], context: Context) -> None:
    """Raise UserError unless the outputs of all teachers, by name, have one shape, so that they have a mean."""
    shapes = {name: shape(each, context) for name, each in teachers.items()}
    first, *rest = shapes
    for name in rest:
        if shapes[name] != shapes[first]:
            raise UserError(
                f"the teacher `{name}` makes {by(shapes[name])} of an example, `{first}` {by(shapes[first])}",
                "distil from teachers of the same outputs, or from one of them",
            )


def shape(teacher: Artifact, context: Context) -> tuple[int, ...]:
    """Return the shape of a teacher's output of one example, of a first batch that it is run on."""
    return next(_runner(teacher, context)(Examples(context.data, "validation", 0), 0, None)).shape[1:]


def decode(teacher: Artifact, context: Context) -> Decode:
    """Return how the heads of a teacher become boxes."""
    if teacher.kind == "onnx":
        return read_decode(metadata.read(teacher.path))
    module: Any = load(teacher.path, context.code)[0]
    found: Decode = module.edgepress.decode
    return found


def validation_logits(teacher: Artifact, context: Context) -> Tensor:
    """Return a teacher's outputs on the validation examples, (n, …)."""
    parts = _runner(teacher, context)(Examples(context.data, "validation", 0), 0, None)
    return torch.from_numpy(np.concatenate(list(parts)))


def _cached_logits(given: _View, teacher: Artifact, schedule: Schedule, seed: int, unlabelled: bool) -> Outputs:
    from safetensors import safe_open
    from safetensors.torch import save_file

    context, examples = given.context, given.examples
    key = {
        "teacher": digest(teacher.path),
        "data": context.data.digest,
        "unlabelled": unlabelled,
        "augment": [*schedule.seen(), seed, given.number],
        "torch": torch.__version__,
    }
    numbers: Numbers = np.float16
    if context.data.task == "image" and context.data["train"].y.dtype.kind == "f":
        numbers = np.float32  # such as millimetres of a depth, which end at 65504 in float16
        key["numbers"] = "float32"
    dense = tasks.of(context.data).dense

    def make(folder: Path) -> None:
        if dense:
            stored(folder / "outputs.npy", len(examples), given.run(), [numbers], given.count - given.number)
            return
        whole = torch.from_numpy(np.concatenate(list(given.run())))
        save_file({"logits": whole.contiguous()}, folder / "logits.safetensors", {"of": repr(key)})

    try:
        folder = context.derive(key, make)
    except NoRoomError:
        if distributed.several():  # the others have gone on
            raise
        return given.live()
    if dense:
        return mapped(folder / "outputs.npy")
    file = folder / "logits.safetensors"
    with safe_open(file, "pt") as found:
        kept: Tensor = found.get_tensor("logits")
        if (found.metadata() or {}).get("of") != repr(key) or len(kept) != len(examples):
            raise UserError(f"`{file}` holds teacher outputs for other examples", "delete it: `edgepress gc --days 0`")
    return kept


def _on_disk(given: _View, file: Path, left: int) -> Rowed:
    """Return outputs that are kept in `file`, which the first process writes and a resumed run finds."""
    count = len(given.examples)
    if distributed.first() and rowed(file, count) is None:
        classes = given.context.data.targets.link != "identity"
        try:
            stored(file, count, given.run(), [np.float32, np.float16] if classes else [np.float32], left)
        except NoRoomError:
            file.unlink(missing_ok=True)
    if distributed.several():
        distributed.broadcast(None)  # the file is there, or will not be
    return rowed(file, count) or given.live()


Run = Callable[[Examples, int, Tensor | None], Iterator[np.ndarray]]
"""(examples, view, which rows, or all) → a teacher's outputs, (b, …) at a time, in their order."""


def _runner(teacher: Artifact, context: Context) -> Run:
    """Load a teacher. Raises: UserError where it is of other classes than the data."""
    if teacher.kind == "onnx":
        return partial(_run_onnx, teacher.path, _contract(teacher.path, context), context)
    module, description = load(teacher.path, context.code)
    if wrong := description.misfit(context.data):
        if len(description.output) > 1:
            raise UserError(f"the teacher {wrong}", "distil from a teacher of the same task")
        raise _other_classes(description.classes, context)
    return partial(outputs, module)


def _contract(path: Path, context: Context) -> dict[str, Any]:
    contract, data = metadata.read(path), context.data
    if data.targets.per_label and len(contract["labels"]) != len(data.labels):
        raise _other_classes(len(contract["labels"]), context)
    if data.targets.per_label and contract["labels"] != list(data.labels):
        raise UserError("the teacher's class names or their order differ from the data's", _SAME)
    return contract


def _run_onnx(
    path: Path, contract: dict[str, Any], context: Context, examples: Examples, view: int, rows: Tensor | None
) -> Iterator[np.ndarray]:
    """Yield a file's logits: its own normalisation is fed with pixels, and its softmax undone."""
    data = context.data
    for batch in batches(examples, view, rows):
        columns = tuple(
            _as_expected(values.numpy(), entry, input)
            for entry, input, values in zip(contract["inputs"], data.inputs, batch, strict=True)
        )
        yield metadata.to_heads(predict(path, columns), contract, data)


def _as_expected(values: np.ndarray, entry: dict[str, Any], input: Input) -> np.ndarray:
    """Return values prepared by the data's `input` as the file's own normalization prepares them."""
    if entry.get("mean") == []:
        return input.raw(values).astype(entry["dtype"], copy=False)
    expected = input_of(entry, input)
    return values if expected is input else expected.to_model_inputs(input.raw(values))


_SAME = "distil from a teacher of the same classes in the same order"


def _other_classes(count: int, context: Context) -> UserError:
    return UserError(f"the teacher has {count} classes, the data has {len(context.data.labels)}", _SAME)
