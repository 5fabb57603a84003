"""Choose the memory format in which torch's convolutions are fastest.

Networks are handed out in torch's usual layout, where `weight.flatten()` and `weight.view(-1)` are views: a stage may
write through them. Training and inference are faster in `channels_last`, and convert for as long as they run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

_BLOCK = 16
"""Input channels that oneDNN's kernels take at a time: 8 with AVX2, 16 with AVX-512."""


def prefer_channels_last(module: nn.Module) -> nn.Module:
    """Mark `module` as one that `channels_last` converts; a user's own network is not, for its code may rely on layout.

    Exempt are 1x1 convolutions with a stride and few input channels. Of those oneDNN writes the gradients past its
    workspace, and gets them wrong or dies, on a processor without AVX-512:
    https://github.com/uxlfoundation/oneDNN/issues/6035. In torch's usual layout it does not.
    """
    import torch

    module.prefers_channels_last = True  # type: ignore[assignment]
    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d) and _unsafe(layer):
            layer.register_forward_pre_hook(_usual)
    return module


@contextmanager
def channels_last(module: nn.Module) -> Iterator[None]:
    """Hold the marked networks in `module` in `channels_last` inside the block; no effect where they already are."""
    tensors = to_channels_last(module)
    try:
        yield
    finally:
        _to_contiguous(tensors)


def to_channels_last(module: nn.Module) -> list[Tensor]:
    """Convert the marked networks in `module` for good; return the tensors that changed."""
    import torch

    tensors = [tensor for tensor in _convertible(module) if tensor.stride() != _strides(tensor)]
    for tensor in tensors:
        tensor.data = tensor.data.to(memory_format=torch.channels_last)
    return tensors


@contextmanager
def contiguous(module: nn.Module) -> Iterator[None]:
    """Hold `module` in torch's usual layout inside the block, whatever its layout outside."""
    tensors = [tensor for tensor in _convertible(module) if tensor.stride() == _strides(tensor)]
    _to_contiguous(tensors)
    try:
        yield
    finally:
        if tensors:
            to_channels_last(module)


def _to_contiguous(tensors: list[Tensor]) -> None:
    import torch

    for tensor in tensors:
        tensor.data = tensor.data.clone(memory_format=torch.contiguous_format)


def _convertible(module: nn.Module) -> list[Tensor]:
    """Return all four-dimensional weights and buffers of the marked networks, unsafe convolutions exempt."""
    import torch

    networks = [part for part in module.modules() if getattr(part, "prefers_channels_last", False)]
    layers = {layer: None for network in networks for layer in network.modules()}
    exempt = {id(layer.weight) for layer in layers if isinstance(layer, torch.nn.Conv2d) and _unsafe(layer)}
    tensors = (
        tensor
        for layer in layers
        for tensor in (*layer.parameters(recurse=False), *layer.buffers(recurse=False))
        if tensor.ndim == 4 and id(tensor) not in exempt
    )
    return list({id(tensor): tensor for tensor in tensors}.values())


def _strides(tensor: Tensor) -> tuple[int, ...]:
    """Return the strides of `tensor` in `channels_last`, also where a size of 1 leaves them open."""
    _, channels, height, width = tensor.shape
    return channels * height * width, 1, width * channels, channels


def _unsafe(layer: nn.Conv2d) -> bool:
    return set(layer.kernel_size) == {1} and set(layer.stride) != {1} and layer.in_channels // layer.groups < _BLOCK


def _usual(layer: nn.Conv2d, inputs: tuple[Tensor]) -> tuple[Tensor]:
    import torch

    return (inputs[0].clone(memory_format=torch.contiguous_format),)  # one channel is contiguous in either way
