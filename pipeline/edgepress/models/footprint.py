"""Count what a network weighs: its parameters, and the values that its layers give for one example."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..core.machine import versions
from ..data.memo import remembered
from .description import Description


class Footprint(NamedTuple):
    parameters: int
    activations: int
    """Values of all layers' outputs for one example: training keeps them until the gradients are there."""


def footprint(description: Description, cache: Path | None) -> Footprint:
    """Return it of a network that no code of the user's builds; what was counted is remembered in `cache`.

    Raises: UserError where it cannot be built.
    """
    import numpy as np

    network = description.network
    assert network is not None
    plain = description.model_copy(update={"network": network.model_copy(update={"pretrained": False})})

    def counted() -> dict[str, np.ndarray]:
        return {"counts": np.array(_counted(plain), np.int64)}

    material = ["footprint", plain.model_dump(mode="json"), versions(["torch", "timm", "torchvision"])]
    return Footprint(*remembered(cache, material, counted)["counts"].tolist())


def _counted(description: Description) -> Footprint:
    import torch

    from ..training import seeded

    with seeded(0):
        module = description.build().eval()
    values: list[int] = []

    def count(layer: torch.nn.Module, inputs: object, outputs: object) -> None:
        values.append(outputs.numel() if isinstance(outputs, torch.Tensor) else 0)

    for layer in module.modules():
        if not list(layer.children()):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        module(*description.example())
    return Footprint(sum(parameter.numel() for parameter in module.parameters()), sum(values))
