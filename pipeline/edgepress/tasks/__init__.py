"""Know what a kind of task means above its raw targets: a file each, and a row in `TASKS`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .detection import Detection
from .embedding import Embedding
from .image import Image
from .keypoints import Keypoints
from .multi_label import MultiLabel
from .regression import Regression
from .segmentation import Segmentation
from .single_label import SingleLabel
from .task import Loss, Skill, Task

if TYPE_CHECKING:
    from torch import nn

    from ..data.dataset import Dataset

__all__ = ["TASKS", "Loss", "Skill", "Task", "of"]

TASKS: dict[str, Task] = {task.name: task for task in (
    SingleLabel(), MultiLabel(), Regression(), Segmentation(), Keypoints(), Embedding(), Image(), Detection(),
)}  # fmt: skip
"""By name, as a data set and the recipe's `task: {data: {task: …}}` have it."""


def of(data: Dataset, module: nn.Module | None = None) -> Task:
    """Return the task of `data`; with `module`, whose outputs its losses are of."""
    task = TASKS[data.task]
    return task if module is None else task.bound(module)
