"""Estimate the memory and disk that a chain wants, and refuse before its first stage what certainly does not fit.

Of a training memory is that of the weights, their gradients and AdamW's two moments, of a batch's activations, and of
the examples that are arrays, once as data and once as tensors. Of a network that the user's code builds nothing is
known.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import rejections
from ..config.chain import Step
from ..core import capacity, distributed
from ..core.errors import UserError
from ..core.units import show_bytes
from ..models.footprint import Footprint, footprint
from ..stages.distill.base import IN_MEMORY, Distill

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from .engine import Engine

_LIBRARIES = 500_000_000
"""Bytes of a process that has imported torch, timm and onnxruntime."""
_NUMBER = 4
"""Bytes of a float32."""
_TRAINED, _CHECKPOINT, _FILES = 4, 3, 3
"""Copies of the weights: with gradients and moments in memory; in a checkpoint; in a result's files."""
_WAITING = 5
"""Batches of inputs that are in memory: the one that is trained on, and those that other processes have ready."""
_AT_ONCE = 64
"""Examples that are run at once without training."""


@dataclass(frozen=True)
class Demand:
    """Bytes, estimates but for what is `certain`; `stage` is that of the most memory."""

    memory: int
    stage: str
    disk: int
    certain_memory: int
    certain_disk: int
    whole: bool
    """Whether every network was counted."""

    def words(self) -> str:
        about = "about" if self.whole else "at least"
        memory, disk = show_bytes(self.memory), show_bytes(self.disk)
        return f"takes {about} {memory} of memory, most in `{self.stage}`, and {about} {disk} of disk"


def of(engine: Engine, steps: list[Step], waiting: Collection[str]) -> Demand | None:
    """Return what the `waiting` stages of a chain want; None where there are none."""
    if not waiting:
        return None
    lineages, data, cache = rejections.lineages(engine.recipe.document), engine.data, engine.cache.root
    known: dict[str, Footprint] = {}
    memory: dict[str, int] = {}
    whole, disk, certain_memory, certain_disk = True, 0, 0, 0
    example = _NUMBER * sum(math.prod(each.shape) for each in data.inputs)
    for position, step in enumerate(steps):
        network = lineages[position].unpruned
        if network and not network.own:
            with suppress(UserError):  # the run tells it, with its place
                known[step.label] = footprint(network.describe(data), cache)
        sources = [label for label in (step.input, *step.named) if label in known]
        own = known.setdefault(step.label, known[sources[0]] if sources else Footprint(0, 0))
        if step.label not in waiting:
            continue
        whole &= own.parameters > 0
        weights, batch, kept = own.parameters * _NUMBER, _AT_ONCE, 0
        certain = weights + _arrays(data)
        if schedules := [schedule for _, schedule in step.stage.schedules() if schedule.epochs]:
            batch = min(max(schedule.batch for schedule in schedules), len(data["train"].y)) // distributed.count()
            kept = batch * own.activations * _NUMBER
            copies = 1 if capacity.has_accelerator() else _TRAINED  # which has memory of its own for the rest
            certain = copies * weights + batch * example + _arrays(data)
            disk += _CHECKPOINT * weights
        memory[step.label] = _LIBRARIES + certain + _arrays(data) + kept + _WAITING * batch * example
        disk += _FILES * weights
        if isinstance(step.stage, Distill):
            outputs = _outputs(step.stage, data)
            disk += outputs
            certain_disk += outputs if outputs <= IN_MEMORY else 0  # more are kept in less, or computed in every step
        if lineages[position].pruned is False:  # of a pruned network it is not known how small it is
            certain_memory = max(certain_memory, certain)
    largest = max(memory, key=lambda label: memory[label])
    return Demand(memory[largest], largest, disk, certain_memory, certain_disk, whole)


def require(demand: Demand, cache: Path) -> None:
    """Raise UserError where the disk of `cache` or this machine's memory is certainly too small."""
    there = next(folder for folder in (cache, *cache.absolute().parents) if folder.exists())
    if demand.certain_disk > (free := shutil.disk_usage(there).free):
        raise UserError(
            f"the teachers' outputs on the training examples take {show_bytes(demand.certain_disk)}, and the disk of "
            f"`{cache}` has {show_bytes(free)}",
            "fewer `views`, or a cache on another disk: `--cache` or the variable EDGEPRESS_CACHE",
        )
    limit = capacity.memory()
    if limit is not None and demand.certain_memory > limit:
        raise UserError(
            f"`{demand.stage}` takes {show_bytes(demand.certain_memory)} of memory for weights, a batch and data, and "
            f"there are {show_bytes(limit)}",
            "a smaller network or `batch`, or fewer examples: `task: {examples: …}`",
        )


def _arrays(data: Dataset) -> int:
    """Return the bytes of the examples and targets that are in memory."""
    import numpy as np

    rows = [part for split in data.splits.values() for part in split] + [data.unlabelled]
    return sum(part.nbytes for part in rows if isinstance(part, np.ndarray))


def _outputs(stage: Distill, data: Dataset) -> int:
    """Return the bytes of the teachers' outputs where their shape is the task's: of labels."""
    if data.targets.spatial or data.task == "embedding":
        return 0
    count = len(data["train"].y) + (len(data.unlabelled) if stage.unlabelled and data.unlabelled is not None else 0)
    return count * stage.views * len(stage.teachers) * len(data.labels) * _NUMBER
