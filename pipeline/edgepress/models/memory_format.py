"""Choose the memory format in which torch's convolutions are fastest.

Some networks must not have it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

_BLOCK = 16
"""Input channels that oneDNN's kernels take at a time: 8 with AVX2, 16 with AVX-512."""


def channels_last(module: nn.Module) -> nn.Module:
    """Return `module` in `channels_last`, but for 1x1 convolutions with a stride and few input channels.

    Of those oneDNN writes the gradients past its workspace, and gets them wrong or dies, on a processor without
    AVX-512: https://github.com/uxlfoundation/oneDNN/issues/6035. In torch's usual layout it does not.
    """
    import torch

    module = module.to(memory_format=torch.channels_last)
    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d) and _unsafe(layer):
            layer.weight.data = layer.weight.data.clone(memory_format=torch.contiguous_format)
            layer.register_forward_pre_hook(_usual)
    return module


def _unsafe(layer: nn.Conv2d) -> bool:
    return set(layer.kernel_size) == {1} and set(layer.stride) != {1} and layer.in_channels // layer.groups < _BLOCK


def _usual(layer: nn.Conv2d, inputs: tuple[Tensor]) -> tuple[Tensor]:
    import torch

    return (inputs[0].clone(memory_format=torch.contiguous_format),)  # one channel is contiguous in either way
