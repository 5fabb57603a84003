"""Choose the device that networks are trained and run on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..core import distributed

if TYPE_CHECKING:
    import torch
    from torch import nn


def best() -> torch.device:
    """Return the device that `accelerate` trains on: this process's accelerator, or the CPU where there is none."""
    import torch

    if not torch.accelerator.is_available():
        return torch.device("cpu")
    device: torch.device = distributed.state().device
    return device


@contextmanager
def on_device(module: nn.Module) -> Iterator[torch.device]:
    """Hold `module` on the best device inside the block, which it is given, and bring it back to where it was.

    Optimizers and masks go on: parameters stay the same objects. Buffers do not.
    """
    import torch

    before = next((tensor.device for tensor in (*module.parameters(), *module.buffers())), torch.device("cpu"))
    device = best()
    if device == before:
        yield device
        return
    module.to(device)
    try:
        yield device
    finally:
        module.to(before)
