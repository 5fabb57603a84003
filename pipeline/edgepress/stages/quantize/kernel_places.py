"""Find the places that the taps of a convolution's kernel meet, along each axis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

Sides = tuple[int, ...]

_REMEMBERED = 512
"""Layers whose places are kept: every example has the same ones."""


@dataclass(frozen=True)
class Kernel:
    """How a Conv or ConvTranspose lays its kernel over places; one number for each axis, of `pads` two."""

    lengths: Sides
    strides: Sides
    dilations: Sides
    pads: Sides
    output_padding: Sides
    auto_pad: bytes
    sized: bool
    """Whether it has an `output_shape`, from which pads follow."""

    @classmethod
    def of(cls, node: onnx.NodeProto, shape: Sides) -> Kernel:
        """Return that of a node whose weight has this shape."""
        options: dict[str, Any] = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        axes = len(shape) - 2
        auto = options.get("auto_pad", b"NOTSET")

        def sides(name: str, default: int, count: int = axes) -> Sides:
            return tuple(options.get(name, [default] * count))

        pads = sides("pads", 0, 2 * axes) if auto != b"VALID" else (0,) * 2 * axes
        return cls(
            tuple(shape[2:]), sides("strides", 1), sides("dilations", 1), pads, sides("output_padding", 0), auto,
            "output_shape" in options,
        )  # fmt: skip

    @property
    def same(self) -> bool:
        return self.auto_pad in (b"SAME_UPPER", b"SAME_LOWER")

    def halves(self, total: int) -> tuple[int, int]:
        """Divide padding between both ends; an odd one is larger at the end with SAME_UPPER, else at the start."""
        less, more = total // 2, total - total // 2
        return (less, more) if self.auto_pad == b"SAME_UPPER" else (more, less)


@lru_cache(_REMEMBERED)
def reads(kernel: Kernel, sizes: Sides) -> tuple[NDArray[np.int64], ...]:
    """Return for each axis of a Conv the place that each output reads by each tap: (outputs, taps).

    `sizes` are those of its input. Places beyond the ends are padding.
    """
    found = []
    for axis, (size, length) in enumerate(zip(sizes, kernel.lengths, strict=True)):
        stride, gap = kernel.strides[axis], kernel.dilations[axis]
        reach = (length - 1) * gap + 1
        before, after = kernel.pads[axis], kernel.pads[axis + len(sizes)]
        if kernel.same:
            before, after = kernel.halves(max((-(-size // stride) - 1) * stride + reach - size, 0))
        starts = np.arange((size + before + after - reach) // stride + 1) * stride - before
        found.append(starts[:, None] + np.arange(length) * gap)
    return tuple(found)


@lru_cache(_REMEMBERED)
def shares_read(kernel: Kernel, sizes: Sides) -> tuple[NDArray[np.float32], ...]:
    """Return for each axis of a Conv the share of outputs that read a place by a tap: (places, taps)."""
    found = []
    for places, size in zip(reads(kernel, sizes), sizes, strict=True):
        shares = np.zeros((size, places.shape[1]))
        output, tap = np.nonzero((places >= 0) & (places < size))
        np.add.at(shares, (places[output, tap], tap), 1 / len(places))
        found.append(shares.astype(np.float32))
    return tuple(found)


@lru_cache(_REMEMBERED)
def shares_written(kernel: Kernel, sizes: Sides, outputs: Sides) -> tuple[NDArray[np.float32], ...]:
    """Return for each axis of a ConvTranspose the share of `outputs` that a place writes by a tap: (places, taps)."""
    found = []
    for axis, (size, length, end) in enumerate(zip(sizes, kernel.lengths, outputs, strict=True)):
        stride, gap, before = kernel.strides[axis], kernel.dilations[axis], kernel.pads[axis]
        if kernel.same or kernel.sized:
            whole = stride * (size - 1) + kernel.output_padding[axis] + (length - 1) * gap + 1
            before, _ = kernel.halves(max(whole - end, 0))
        places = (np.arange(size) * stride - before)[:, None] + np.arange(length) * gap
        found.append(((places >= 0) & (places < end)).astype(np.float32) / np.float32(end))
    return tuple(found)
