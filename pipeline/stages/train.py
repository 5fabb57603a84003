"""`train`: a network of the zoo from scratch, on the recipe's data."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..stage import Artifact, Context, Made, Stage
from ..train import Schedule
from ..zoo import Network, save


class Train(Stage, Schedule):
    """Train a network on labels by cross-entropy."""

    gives: ClassVar = "torch"

    use: Literal["train"]
    model: Network = Field(description="the network to train: `timm/NAME`, or a mapping with `arch`, `args`, `stride`")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="share of the label spread over all classes")
    seed: int | None = Field(default=None, ge=0, description="by default the recipe's seed")

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from torch.nn import functional

        from ..train import fit, seeded

        seed = context.seed if self.seed is None else self.seed
        description = self.model.describe(context.data)
        with seeded(seed):
            module = description.build()
        fit(
            module,
            context.data,
            lambda z, y, rows: functional.cross_entropy(z, y, label_smoothing=self.label_smoothing),
            self,
            seed=seed,
            checkpoint=context.scratch / "checkpoint.pt",
            say=context.say,
        )
        save(module, description, context.folder / "model.safetensors")
        return Made("torch")
