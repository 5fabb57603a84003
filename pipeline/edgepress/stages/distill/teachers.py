"""Compute and cache the teachers' outputs on the training examples."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ... import tasks
from ...core.errors import UserError
from ...core.paths import digest
from ...core.units import show_bytes
from ...models import metadata
from ...models.checkpoint import load
from ...models.input_preparation import input_of
from ...models.output_shape import by
from ...models.predict import predict
from ...stage import Artifact, Context
from ...training import Examples, Rows, Schedule
from ...training.inference import at_once, outputs

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
) -> list[list[Tensor]]:
    """Return each teacher's outputs on each augmented view of the training examples: teachers × views × (n, …).

    They are by-products in the cache, one for each teacher and view, under a key that covers the teacher's bytes, the
    data and the augmentation: students that share a teacher share them. Those of a dense task, such as masks, are
    large: they are written batch by batch as float16, values of a unit of their own as float32, and stay on the disk;
    indexing reads the rows that it names. Raises: UserError where the disk has too little space for them.
    """
    return [
        [_cached_logits(teacher, schedule, view, views, seed, context, unlabelled) for view in range(views)]
        for teacher in teachers
    ]


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
    return next(_run_teacher(teacher, Examples(context.data, "validation", 0), 0, context)).shape[1:]


def validation_logits(teacher: Artifact, context: Context) -> Tensor:
    """Return a teacher's outputs on the validation examples, (n, …)."""
    return torch.from_numpy(
        np.concatenate(list(_run_teacher(teacher, Examples(context.data, "validation", 0), 0, context)))
    )


def _cached_logits(
    teacher: Artifact, schedule: Schedule, view: int, views: int, seed: int, context: Context, unlabelled: bool
) -> Tensor:
    from safetensors import safe_open
    from safetensors.torch import save_file

    unlabelled = unlabelled and context.data.unlabelled is not None
    key = {
        "teacher": digest(teacher.path),
        "data": context.data.digest,
        "unlabelled": unlabelled,
        "augment": [*schedule.seen(), seed, view],
        "torch": torch.__version__,
    }
    numbers: type[np.floating] = np.float16
    if context.data.task == "image" and context.data["train"].y.dtype.kind == "f":
        numbers = np.float32  # such as millimetres of a depth, which end at 65504 in float16
        key["numbers"] = "float32"
    examples = Examples.to_learn(context.data, schedule, seed, unlabelled=unlabelled)
    dense = tasks.of(context.data).dense

    def make(folder: Path) -> None:
        context.say(view, view + 1, f"running the teacher, view {view + 1}")
        parts = _run_teacher(teacher, examples, view, context)
        if dense:
            _write(folder / "outputs.npy", len(examples), parts, numbers, views - view)
            return
        whole = torch.from_numpy(np.concatenate(list(parts)))
        save_file({"logits": whole.contiguous()}, folder / "logits.safetensors", {"of": repr(key)})

    folder = context.derive(key, make)
    if dense:
        return torch.from_numpy(np.load(folder / "outputs.npy", mmap_mode="c"))
    file = folder / "logits.safetensors"
    with safe_open(file, "pt") as stored:
        kept: Tensor = stored.get_tensor("logits")
        if (stored.metadata() or {}).get("of") != repr(key) or len(kept) != len(examples):
            raise UserError(f"`{file}` holds teacher outputs for other examples", "delete it: `edgepress gc --days 0`")
    return kept


def _write(file: Path, count: int, parts: Iterator[np.ndarray], numbers: type[np.floating], left: int) -> None:
    """Write outputs, (b, …) at a time, as one array of `numbers` (count, …); `left` views, with this one, are to come.

    It is written, not mapped: a page of a mapped file that a full disk has no room for ends the process.
    Raises: UserError where the disk has too little space.
    """
    header: dict[str, Any] = {"descr": np.dtype(numbers).str, "fortran_order": False}
    with file.open("wb") as out:
        for part in parts:
            if not out.tell():
                header["shape"] = (count, *part.shape[1:])
                _require_space(file.parent, math.prod(header["shape"]) * np.dtype(numbers).itemsize, left)
                np.lib.format.write_array_header_1_0(out, header)
            out.write(part.astype(numbers).tobytes())


def _require_space(folder: Path, size: int, left: int) -> None:
    if (free := shutil.disk_usage(folder).free) < size * left:
        raise UserError(
            f"a teacher's outputs on the training examples take {show_bytes(size)} a view, {left} are to be written, "
            f"and the disk of `{folder.parent}` has {show_bytes(free)}",
            "fewer `views`, or a cache on another disk: `--cache` or the variable EDGEPRESS_CACHE",
        )


def _run_teacher(teacher: Artifact, examples: Examples, view: int, context: Context) -> Iterator[np.ndarray]:
    """Yield a teacher's outputs, (b, …) at a time, in the order of the examples."""
    run = _run_onnx if teacher.kind == "onnx" else _run_torch
    return run(teacher.path, examples, view, context)


def _run_torch(path: Path, examples: Examples, view: int, context: Context) -> Iterator[np.ndarray]:
    module, description = load(path, context.code)
    if wrong := description.misfit(context.data):
        if len(description.output) > 1:
            raise UserError(f"the teacher {wrong}", "distil from a teacher of the same task")
        raise _other_classes(description.classes, context)
    yield from outputs(module, examples, view)


def _run_onnx(path: Path, examples: Examples, view: int, context: Context) -> Iterator[np.ndarray]:
    """Yield a file's logits: its own normalisation is fed with pixels, and its softmax undone."""
    contract, data = metadata.read(path), context.data
    if data.targets.per_label and len(contract["labels"]) != len(data.labels):
        raise _other_classes(len(contract["labels"]), context)
    if data.targets.per_label and contract["labels"] != list(data.labels):
        raise UserError("the teacher's class names or their order differ from the data's", _SAME)
    for rows in torch.arange(len(examples)).split(at_once(data.targets)):
        batch = [input.numpy() for input in examples.batch(Rows(rows, view))]
        columns = tuple(
            _as_expected(values, entry, input)
            for entry, input, values in zip(contract["inputs"], data.inputs, batch, strict=True)
        )
        yield metadata.to_logits(predict(path, columns), contract, data)


def _as_expected(values: np.ndarray, entry: dict[str, Any], input: Input) -> np.ndarray:
    """Return values prepared by the data's `input` as the file's own normalization prepares them."""
    if entry.get("mean") == []:
        return input.raw(values).astype(entry["dtype"], copy=False)
    expected = input_of(entry, input)
    return values if expected is input else expected.to_model_inputs(input.raw(values))


_SAME = "distil from a teacher of the same classes in the same order"


def _other_classes(count: int, context: Context) -> UserError:
    return UserError(f"the teacher has {count} classes, the data has {len(context.data.labels)}", _SAME)
