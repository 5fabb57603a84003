"""Compute and cache the teachers' outputs on the training examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...core.errors import UserError
from ...core.paths import digest
from ...models import metadata
from ...models.checkpoint import load
from ...models.input_preparation import input_of
from ...models.predict import predict
from ...stage import Artifact, Context
from ...training import Examples, Rows, Schedule, logits

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
    """Return each teacher's logits on each augmented view of the training examples: teachers × views × (n, labels).

    They are by-products in the cache, one for each teacher and view, under a key that covers the teacher's bytes, the
    data and the augmentation: students that share a teacher share them.
    """
    return [
        [_cached_logits(teacher, schedule, view, seed, context, unlabelled) for view in range(views)]
        for teacher in teachers
    ]


def validation_logits(teacher: Artifact, context: Context) -> Tensor:
    """Return a teacher's logits on the validation examples, (n, labels)."""
    return torch.from_numpy(_run_teacher(teacher, Examples(context.data, "validation", 0), 0, context))


def _cached_logits(
    teacher: Artifact, schedule: Schedule, view: int, seed: int, context: Context, unlabelled: bool
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
    examples = Examples.to_learn(context.data, schedule, seed, unlabelled=unlabelled)

    def make(folder: Path) -> None:
        context.say(view, view + 1, f"running the teacher, view {view + 1}")
        outputs = torch.from_numpy(_run_teacher(teacher, examples, view, context))
        save_file({"logits": outputs.contiguous()}, folder / "logits.safetensors", {"of": repr(key)})

    file = context.derive(key, make) / "logits.safetensors"
    with safe_open(file, "pt") as stored:
        outputs: Tensor = stored.get_tensor("logits")
        if (stored.metadata() or {}).get("of") != repr(key) or len(outputs) != len(examples):
            raise UserError(f"`{file}` holds teacher outputs for other examples", "delete it: `edgepress gc --days 0`")
    return outputs


def _run_teacher(teacher: Artifact, examples: Examples, view: int, context: Context) -> np.ndarray:
    return _run_onnx(teacher.path, examples, view, context) if teacher.kind == "onnx" else _run_torch(
        teacher.path, examples, view, context
    )  # fmt: skip


def _run_torch(path: Path, examples: Examples, view: int, context: Context) -> np.ndarray:
    module, description = load(path, context.code)
    if wrong := description.misfit(context.data):
        if len(description.output) > 1:
            raise UserError(f"the teacher {wrong}", "distil from a teacher of the same task")
        raise _other_classes(description.classes, context)
    return logits(module, examples, view)


def _run_onnx(path: Path, examples: Examples, view: int, context: Context) -> np.ndarray:
    """Return a file's logits: its own normalisation is fed with pixels, and its softmax undone."""
    contract, data = metadata.read(path), context.data
    if len(contract["labels"]) != len(data.labels):
        raise _other_classes(len(contract["labels"]), context)
    if contract["labels"] != list(data.labels):
        raise UserError("the teacher's class names or their order differ from the data's", _SAME)
    (rows,) = torch.arange(len(examples)).split(len(examples))
    batch = [input.numpy() for input in examples.batch(Rows(rows, view))]
    columns = tuple(
        _as_expected(values, entry, input)
        for entry, input, values in zip(contract["inputs"], data.inputs, batch, strict=True)
    )
    return metadata.to_logits(predict(path, columns), contract, data)


def _as_expected(values: np.ndarray, entry: dict[str, Any], input: Input) -> np.ndarray:
    """Return values prepared by the data's `input` as the file's own normalization prepares them."""
    if entry.get("mean") == []:
        return input.raw(values).astype(entry["dtype"], copy=False)
    expected = input_of(entry, input)
    return values if expected is input else expected.to_model_inputs(input.raw(values))


_SAME = "distil from a teacher of the same classes in the same order"


def _other_classes(count: int, context: Context) -> UserError:
    return UserError(f"the teacher has {count} classes, the data has {len(context.data.labels)}", _SAME)
