"""Run passes over examples without training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .examples import Examples, Rows
from .malloc import keep

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from ..data.dataset import Dataset

BATCH = 256
"""Examples that a model is asked about at once."""


def logits(module: nn.Module, examples: Examples, view: int = 0, batch: int = BATCH) -> np.ndarray:
    """What `module` answers to every one of `examples`, in order: float32 (n, labels)."""
    import torch

    keep()
    module.eval()
    device = next((each.device for each in module.parameters()), torch.device("cpu"))
    with torch.inference_mode():
        parts = torch.arange(len(examples)).split(batch)
        given = (examples.batch(Rows(rows, view)) for rows in parts)
        answers = torch.cat([module(*(each.to(device) for each in inputs)).cpu() for inputs in given])
    found: np.ndarray = answers.float().numpy()
    return found


def reestimate(module: nn.Module, data: Dataset, seed: int) -> nn.Module:
    """Batch norm's mean and variance from one pass over the training images, each batch with equal weight."""
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    norms = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None
    examples = Examples(data, "train", seed)
    module.eval()  # all but the norms: dropout would make the statistics random
    for layer in norms:
        layer.train()
    with torch.no_grad():
        # None of the parts is a single image, which has no variance.
        for rows in torch.arange(len(examples)).tensor_split(max(1, len(examples) // BATCH)):
            module(*examples.batch(Rows(rows, 0)))
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    return module.eval()
