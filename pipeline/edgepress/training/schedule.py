"""Define options of training: epochs, learning rate and augmentation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..core.errors import Rejection
from ..data.facts import DataFacts
from ..data.targets import KINDS

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

SWA_FROM = 0.75
"""Share of a run after which stochastic weight averaging begins (Izmailov et al., 2018, section 3.2)."""
SWA_LR = 0.2
"""Its constant learning rate, as a share of the highest."""
WARM_UP = 0.05
"""Share of a cosine schedule in which the learning rate rises."""

Shape = Literal["one-cycle", "cosine", "constant"]
Augmentation = Literal["rotate", "crop", "jitter", "trivial", "erase"]


class Schedule(BaseModel):
    """Options of every stage that trains."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    softens: ClassVar[bool] = False
    """Whether a `temperature` is of a loss of the stage's own, whatever the task."""

    epochs: int = Field(default=10, ge=0, description="passes over the training examples")
    batch: int = Field(default=128, ge=2, description="batch size, over all processes")
    accumulate: int = Field(default=1, ge=1, description="batches whose gradients are averaged for one optimizer step")
    lr: float = Field(default=3e-3, gt=0, description="peak learning rate of the schedule (AdamW)")
    schedule: Shape = Field(
        default="one-cycle", description="shape of the learning rate: warm-up and decay, cosine decay, or constant"
    )
    weight_decay: float = Field(default=0.05, ge=0, description="AdamW's decoupled weight decay")
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        default="fp32", description="precision of the forward and backward pass; `fp16` needs a GPU"
    )
    flip: bool = Field(default=True, description="mirror half of the images left to right")
    shift: int = Field(
        default=2, ge=0, description="random shift of each image, at most this many pixels along each axis"
    )
    augment: tuple[Augmentation, ...] = Field(
        default=(),
        description="augmentations of torchvision: `rotate` by up to 15°, `crop` to 60% or more, `jitter` of "
        "brightness and contrast, `trivial` (TrivialAugment), `erase` a rectangle in one image of four. Masks and "
        "points move with the picture; `trivial` is refused for them",
    )
    mixup: float = Field(default=0.0, ge=0, description="α of mixup (Zhang et al., 2018); 0.2 is usual, 0 is off")
    balance: Literal["weights", "sampling"] | None = Field(
        default=None,
        description="class balancing: class weights in the loss, or oversampling of rare classes; of masks, `weights` "
        "adds the Dice loss, in which every class counts the same",
    )
    ema: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="decay of an exponential moving average of the weights, which is kept, such as 0.999",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="early stopping: epochs without improvement on validation; the best epoch is kept",
    )

    def reject_data(self, data: DataFacts, *option: str) -> Iterator[Rejection]:
        """Yield why these options, the stage's own or those of its `option`, cannot go with the data."""
        if self.epochs and data.untrainable:
            yield Rejection(*data.untrainable, option)
        if self.mixup and data.kinds and "tokens" in data.kinds:
            yield Rejection("tokens cannot be mixed", "take `mixup` out", (*option, "mixup"))
        targets = KINDS[data.task] if data.task else None
        if targets and self.mixup and not targets.mixable:
            yield Rejection(f"targets of {data.task} cannot be mixed", "take `mixup` out", (*option, "mixup"))
        if targets and (still := [name for name in self.augment if name in targets.immovable]):
            message = (
                f"`augment: {still[0]}` changes pictures in ways that their targets, of {data.task}, do not follow"
            )
            yield Rejection(message, "`flip` and `shift` move both", (*option, "augment"))

    def seen(self) -> list[object]:
        """Return the options that decide how an example looks, for the cache keys of outputs on it."""
        return [self.flip, self.shift, list(self.augment), self.mixup]


def paced(optimizer: Optimizer, schedule: Schedule, steps: int, *, swa: bool) -> LRScheduler:
    """Return the learning rate over `steps` updates.

    One-cycle: Smith & Topin (2018); cosine: Loshchilov & Hutter (2017).
    """
    from torch.optim.lr_scheduler import LambdaLR, OneCycleLR

    if schedule.schedule == "one-cycle" and not swa:
        return OneCycleLR(optimizer, schedule.lr, total_steps=steps + 1)
    return LambdaLR(optimizer, lambda step: _factor("swa" if swa else schedule.schedule, step / max(steps, 1)))


def _factor(shape: str, done: float) -> float:
    """Return the learning rate as a share of the highest, after `done` of the run, from 0 to 1."""
    if shape == "constant":
        return 1.0
    if shape == "swa":
        return SWA_LR + (1 - SWA_LR) * _cosine(min(done / SWA_FROM, 1))
    return max(done / WARM_UP, 0.01) if done < WARM_UP else _cosine((done - WARM_UP) / (1 - WARM_UP))


def _cosine(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1)))
