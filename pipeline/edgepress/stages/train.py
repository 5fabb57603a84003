"""Train a network, or an earlier result further: `train`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from .. import tasks
from ..core.errors import Mistake, Rejection
from ..data.targets import KINDS
from ..models.checkpoint import load, save
from ..models.description import Description, Network
from ..stage import Artifact, Context, Family, Made, Setting, Stage
from ..training import Schedule

if TYPE_CHECKING:
    from torch import nn


class Training(Stage, Schedule):
    """A network trained on labels: by cross-entropy, or the squared error of a regression."""

    family: ClassVar[Family] = "train"
    gives: ClassVar = "torch"
    version: ClassVar = 2
    names: ClassVar = ("start",)

    swa: ClassVar[bool] = False

    model: Network | None = Field(
        default=None, description="network to train: `timm/NAME`, or a mapping with `arch`, `args`, `stride`"
    )
    start: str | None = Field(
        default=None, description="name of an earlier result to train further, instead of `model`"
    )
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="label smoothing: share of the label's weight spread evenly over all classes",
    )
    bag: bool = Field(
        default=False,
        exclude_if=lambda bag: not bag,  # keys of stages without it stay
        description="bagging (Breiman, 1996): learn from as many examples as there are, drawn with replacement by "
        "`seed`, so that members of an ensemble differ",
    )
    seed: int | None = Field(default=None, ge=0, description="random seed; by default the recipe's")

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.model is None) == (self.start is None):
            raise Mistake(f"`{self.use}` needs either a `model` or a `start`", "`model: timm/NAME` trains from scratch")
        return self

    def same_network_as(self) -> str | None:
        return self.start

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        if self.bag and self.mixup:
            yield Rejection("`mixup` mixes in examples that are not in the bag", "take `mixup` or `bag` out", ("bag",))
        if self.bag and setting.data.task and KINDS[setting.data.task].together > 1:
            message = f"targets of {setting.data.task} are compared with each other, and a bag holds copies of them"
            yield Rejection(message, "take `bag` out", ("bag",))

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ..training import fit, reestimate

        seed = context.seed if self.seed is None else self.seed
        module, description = self._begin(inputs, context, seed)
        loss = tasks.of(context.data, module).loss(
            context.data, smoothing=self.label_smoothing, balanced=self.balance == "weights"
        )
        fit(
            module,
            context.data,
            lambda z, y, rows: loss(z, y),
            self,
            seed=seed,
            checkpoint=context.scratch / "checkpoint.pt",
            say=context.say,
            metric=context.metric,
            swa=self.swa,
            bag=self.bag,
        )
        if self.swa:
            reestimate(module, context.data, seed)
        save(module, description, context.folder / "model.safetensors")
        return Made("torch")

    def _begin(self, inputs: dict[str, Artifact], context: Context, seed: int) -> tuple[nn.Module, Description]:
        from ..training import seeded

        if self.start is not None:
            return load(inputs[self.start].path, context.code)
        assert self.model is not None
        description = self.model.describe(context.data)
        with seeded(seed):
            return description.build(context.code), description


class Train(Training):
    """Train a network on labels, by the loss of the data's task.

    Cross-entropy for classes and masks, squared error for quantities and points, a contrastive loss for identities,
    absolute error for pictures.
    """

    use: Literal["train"]


class FuseSwa(Training):
    """Train with stochastic weight averaging (Izmailov et al., 2018).

    The last quarter of the run has a constant learning rate; the mean of its weights is kept. Batch-norm statistics
    are estimated anew for that mean.
    """

    family: ClassVar = "fuse"
    swa: ClassVar = True

    use: Literal["fuse.swa"]

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        others = {"patience": "the weights of one epoch", "ema": "a moving average of them"}
        for option, kept in others.items():
            if getattr(self, option) is not None:
                yield Rejection(
                    f"`{option}` keeps {kept}, and `fuse.swa` the mean of those of the last quarter",
                    f"take `{option}` out, or use `train`",
                )
        if self.schedule != type(self).model_fields["schedule"].default:
            message = "`fuse.swa` lowers the learning rate to that of its last quarter, whatever the `schedule`"
            yield Rejection(message, "take `schedule` out, or use `train`", ("schedule",))


class FuseEma(Training):
    """Train, and keep an exponential moving average of the weights (EMA).

    Averaging of iterates is by Polyak & Juditsky (1992); `ema` is the decay per step.
    """

    family: ClassVar = "fuse"

    use: Literal["fuse.ema"]
    ema: float | None = Field(default=0.999, gt=0, lt=1, description="decay of the moving average per step")
