"""Run passes over examples without training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .examples import Examples, Rows
from .malloc import keep
from .memory_format import channels_last

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from ..data.dataset import Dataset

BATCH = 256
"""Examples in a batch."""


def logits(module: nn.Module, examples: Examples, view: int = 0, batch: int = BATCH) -> np.ndarray:
    """Return the outputs of `module` on all `examples`, in order: float32 (n, labels), or maps (n, …)."""
    import numpy as np

    return np.concatenate(list(outputs(module, examples, view, batch)))


def outputs(module: nn.Module, examples: Examples, view: int = 0, batch: int = BATCH) -> Iterator[np.ndarray]:
    """Yield the outputs of `module` on `examples`, `batch` at a time, in order."""
    import torch

    keep()
    module.eval()
    device = next((tensor.device for tensor in module.parameters()), torch.device("cpu"))
    with channels_last(module):
        for rows in torch.arange(len(examples)).split(batch):
            with torch.inference_mode():
                part = module(*(tensor.to(device) for tensor in examples.batch(Rows(rows, view)))).cpu()
            yield part.float().numpy()


def reestimate(module: nn.Module, data: Dataset, seed: int) -> nn.Module:
    """Estimate batch norm's mean and variance in one pass over the training images, each batch with equal weight."""
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
    with channels_last(module), torch.no_grad():
        # None of the parts is a single image, which has no variance.
        for rows in torch.arange(len(examples)).tensor_split(max(1, len(examples) // BATCH)):
            module(*examples.batch(Rows(rows, 0)))
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    return module.eval()
