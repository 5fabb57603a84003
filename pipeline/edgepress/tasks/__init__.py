"""Know what a kind of task means above its raw targets: a file each, and a row in `TASKS`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .embedding import Embedding
from .image import Image
from .keypoints import Keypoints
from .multi_label import MultiLabel
from .regression import Regression
from .segmentation import Segmentation
from .single_label import SingleLabel
from .task import Loss, Skill, Task

if TYPE_CHECKING:
    from ..data.dataset import Dataset

__all__ = ["TASKS", "Loss", "Skill", "Task", "of"]

TASKS: dict[str, Task] = {task.name: task for task in (
    SingleLabel(), MultiLabel(), Regression(), Segmentation(), Keypoints(), Embedding(), Image(),
)}  # fmt: skip
"""By name, as a data set and the recipe's `task: {data: {task: …}}` have it."""


def of(data: Dataset) -> Task:
    return TASKS[data.task]
