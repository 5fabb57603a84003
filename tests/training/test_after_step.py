"""A stage may write to weights through views, before training and after its every step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from edgepress.data.dataset import Dataset
from edgepress.models import checkpoint
from edgepress.models.description import Network
from edgepress.stage import Artifact, Context, Made, Stage
from edgepress.stages.prune import Finetune
from torch import nn

from tests.conftest import fresh

Perform = Callable[..., Any]


def test_a_mask_through_a_view_of_the_weights_holds(
    tiny: Network, few: Dataset, perform: Perform, tmp_path: Path
) -> None:
    """`flatten()` of a weight in `channels_last` is a copy, and a stage that writes to it would do nothing."""

    class Magnitude(Stage):
        family: ClassVar = "prune"
        takes: ClassVar = "torch"
        use: Literal["prune.magnitude"]

        def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
            module, description = checkpoint.load(inputs["input"].path)
            weights = [layer.weight.data for layer in module.modules() if isinstance(layer, nn.Conv2d)]
            smallest = [weight.flatten().abs().argsort()[: weight.numel() // 2] for weight in weights]

            def mask(network: nn.Module) -> None:
                convolutions = (layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
                for layer, indices in zip(convolutions, smallest, strict=True):
                    layer.weight.flatten()[indices] = 0

            with torch.no_grad():
                mask(module)
            Finetune(epochs=1, batch=32).restore(module, inputs["input"], context, mask)
            checkpoint.save(module, description, context.folder / "model.safetensors")
            return Made("torch")

    stage = Magnitude.model_validate({"use": "prune.magnitude"})
    artifact, _ = perform(stage, {"input": fresh(tiny, few, tmp_path / "m")}, few)
    module, _ = checkpoint.load(artifact.path)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            assert int((layer.weight == 0).sum()) == layer.weight.numel() // 2
