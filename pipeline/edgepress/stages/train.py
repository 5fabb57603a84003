"""`train`: a network of the zoo from scratch, or an earlier result further, on the recipe's data."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ..core.errors import Mistake
from ..models.zoo import Description, Network, load, save
from ..stage import Artifact, Context, Family, Made, Stage
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
        default=None, description="the network to train: `timm/NAME`, or a mapping with `arch`, `args`, `stride`"
    )
    start: str | None = Field(
        default=None, description="the name of an earlier result to train further, instead of `model`"
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="share of the label spread over all classes")
    seed: int | None = Field(default=None, ge=0, description="by default the recipe's seed")

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.model is None) == (self.start is None):
            raise Mistake(f"`{self.use}` needs either a `model` or a `start`", "`model: timm/NAME` trains from scratch")
        return self

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ..training import fit, reestimate
        from ..training.losses import of_labels

        seed = context.seed if self.seed is None else self.seed
        module, description = self._begin(inputs, context, seed)
        loss = of_labels(context.data, smoothing=self.label_smoothing, balanced=self.balance == "weights")
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
    """Train a network on labels: by cross-entropy, or the squared error of a regression."""

    use: Literal["train"]


class FuseSwa(Training):
    """Stochastic weight averaging (Izmailov et al., 2018): train, the last quarter at a level learning rate, and keep
    the mean of that quarter's weights; batch norm is estimated anew."""

    family: ClassVar = "fuse"
    swa: ClassVar = True

    use: Literal["fuse.swa"]


class FuseEma(Training):
    """Train, and keep a running mean of the weights (Polyak & Juditsky, 1992), which forgets as `ema` says."""

    family: ClassVar = "fuse"

    use: Literal["fuse.ema"]
    ema: float | None = Field(default=0.999, gt=0, lt=1, description="the decay of the running mean, a step")
