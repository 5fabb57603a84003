"""Compute the ONNX operators with windows in torch: convolutions and pools, with the padding of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Attributes = dict[str, Any]


def _pads(a: Attributes, x: Tensor, kernel: Sequence[int]) -> list[int]:
    """Return the argument of `functional.pad`, last axis first: before and after each."""
    rank = len(kernel)
    strides, dilations = a.get("strides", [1] * rank), a.get("dilations", [1] * rank)
    auto = a.get("auto_pad", b"NOTSET").decode()
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        pairs = []
        for size, k, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True):
            total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
            small, large = total // 2, total - total // 2
            pairs.append((small, large) if auto == "SAME_UPPER" else (large, small))
    else:
        pads = a.get("pads", [0] * 2 * rank) if auto == "NOTSET" else [0] * 2 * rank
        pairs = list(zip(pads[:rank], pads[rank:], strict=True))
    return [pad for pair in reversed(pairs) for pad in pair]


def _split_pads(pads: list[int]) -> tuple[list[int], list[int]]:
    """Return the padding for torch's kernels, first axis first, and the rest for `functional.pad`."""
    pairs = list(zip(pads[::2], pads[1::2], strict=True))
    if all(before == after for before, after in pairs):
        return [before for before, _ in reversed(pairs)], []
    return [0] * len(pairs), pads


def conv(a: Attributes, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    rank = w.ndim - 2
    padding, rest = _split_pads(_pads(a, x, w.shape[2:]))
    x = functional.pad(x, rest) if rest else x
    function: Any = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]
    y: Tensor = function(
        x, w, b, a.get("strides", [1] * rank), padding, a.get("dilations", [1] * rank), a.get("group", 1)
    )
    return y


def max_pool(a: Attributes, x: Tensor) -> Tensor:
    kernel = a["kernel_shape"]
    rank = len(kernel)
    strides, dilations = a.get("strides", [1] * rank), a.get("dilations", [1] * rank)
    pads = _pads(a, x, kernel)
    if a.get("ceil_mode"):
        pads = _ceiled(pads, x, kernel, strides, dilations)
    x = functional.pad(x, pads, value=-torch.inf) if any(pads) else x
    function: Any = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[rank - 1]
    y: Tensor = function(x, kernel, strides, 0, dilations)
    return y


def average_pool(a: Attributes, x: Tensor) -> Tensor:
    """Average each window over its cells within the image, or over all with `count_include_pad`."""
    kernel = a["kernel_shape"]
    rank = len(kernel)
    strides, pads = a.get("strides", [1] * rank), _pads(a, x, kernel)
    function: Any = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[rank - 1]
    if not any(pads) and not a.get("ceil_mode"):
        plain: Tensor = function(x, kernel, strides)
        return plain
    counted = functional.pad(torch.ones_like(x), pads, value=float(bool(a.get("count_include_pad"))))
    more = _ceiled(pads, x, kernel, strides, [1] * rank) if a.get("ceil_mode") else pads
    counted = functional.pad(counted, [all_ - some for all_, some in zip(more, pads, strict=True)])
    y: Tensor = function(functional.pad(x, more), kernel, strides) / function(counted, kernel, strides)
    return y


def _ceiled(
    pads: list[int], x: Tensor, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> list[int]:
    """Add padding behind each axis, so that a last window counts which begins within the image."""
    more = list(pads)
    for axis, (size, k, stride, dilation) in enumerate(zip(x.shape[2:], kernel, strides, dilations, strict=True)):
        place = 2 * (len(kernel) - 1 - axis)
        before, after = pads[place], pads[place + 1]
        windows = -(-(size + before + after - dilation * (k - 1) - 1) // stride) + 1
        if (windows - 1) * stride >= size + before:
            windows -= 1
        more[place + 1] += max((windows - 1) * stride + dilation * (k - 1) + 1 - (size + before + after), 0)
    return more
