"""The teacher's answers to what the student learns from: asked for once, and kept."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from .errors import UserError
from .losses import mean_answer
from .paths import digest
from .stage import Context
from .train import Examples, Schedule, logits
from .zoo import load


def teacher_logits(paths: list[Path], schedule: Schedule, views: int, seed: int, context: Context) -> list[Tensor]:
    """The teachers' mean answers to each augmented view of the training examples: `views` × (n, labels).

    They are a by-product in the cache, under a key that covers the teachers' bytes, the data and the augmentation.
    """
    return [_answers(paths, schedule, view, seed, context) for view in range(views)]


def _answers(paths: list[Path], schedule: Schedule, view: int, seed: int, context: Context) -> Tensor:
    """The teachers' answers to one view. Each view has a key of its own: stages that share a teacher share them."""
    from safetensors.torch import load_file, save_file

    key = {
        "teachers": [digest(path) for path in paths],
        "data": context.data.digest,
        "augment": [schedule.flip, schedule.shift, seed, view],
        "torch": torch.__version__,
    }

    def make(folder: Path) -> None:
        examples = Examples(context.data, "train", seed, flip=schedule.flip, shift=schedule.shift)
        each = []
        for number, path in enumerate(paths):
            context.say(number, len(paths), f"asking the teacher, view {view + 1}")
            each.append(torch.from_numpy(logits(_teacher(path, context), examples, view)))
        mean = mean_answer(each, context.data.task)
        save_file({"logits": mean.contiguous()}, folder / "logits.safetensors")

    answers: Tensor = load_file(context.derive(key, make) / "logits.safetensors")["logits"]
    return answers


def _teacher(path: Path, context: Context) -> nn.Module:
    module, description = load(path, context.code)
    if description.classes != len(context.data.labels):
        raise UserError(
            f"the teacher answers {description.classes} classes, the data has {len(context.data.labels)}",
            "distil from a teacher of the same classes in the same order",
        )
    return module
