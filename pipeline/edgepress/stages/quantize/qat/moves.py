"""Compute the ONNX operators that move numbers in torch: shapes, slices, padding, resizing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from .windows import Attributes


def ints(source: Tensor | Sequence[int]) -> list[int]:
    values = source.tolist() if isinstance(source, Tensor) else list(source)
    return [int(value) for value in values]


def reshape(a: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    sides = ints(shape)
    if not a.get("allowzero"):
        sides = [x.shape[axis] if side == 0 else side for axis, side in enumerate(sides)]
    return x.reshape(sides)


def flatten(a: Attributes, x: Tensor) -> Tensor:
    axis = a.get("axis", 1)
    return x.reshape(x.shape[:axis].numel(), -1)


def squeeze(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    return x.squeeze() if axes is None else x.squeeze(tuple(ints(axes)))


def unsqueeze(a: Attributes, x: Tensor, axes_input: Tensor) -> Tensor:
    axes = ints(axes_input)
    for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def transpose(a: Attributes, x: Tensor) -> Tensor:
    return x.permute(a.get("perm", list(reversed(range(x.ndim)))))


def slice_(
    a: Attributes, x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None
) -> Tensor:
    count = len(starts)
    of = range(count) if axes is None else ints(axes)
    by = [1] * count if steps is None else ints(steps)
    for axis, start, end, step in zip(of, ints(starts), ints(ends), by, strict=True):
        rows = range(x.shape[axis])[start:end:step]
        x = (
            x.index_select(axis, torch.tensor(rows, device=x.device))
            if step != 1
            else x.narrow(axis, rows.start, len(rows))
        )
    return x


def split(a: Attributes, x: Tensor, sizes: Tensor | None = None) -> Sequence[Tensor]:
    axis = a.get("axis", 0)
    return x.split(-(-x.shape[axis] // a["num_outputs"]) if sizes is None else ints(sizes), axis)


def gather(a: Attributes, x: Tensor, index: Tensor) -> Tensor:
    axis = a.get("axis", 0) % x.ndim
    index = torch.where(index < 0, index + x.shape[axis], index).long()
    rows = x.index_select(axis, index.reshape(-1))
    return rows.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def pad(a: Attributes, x: Tensor, pads: Tensor, value: Tensor | None = None, axes: Tensor | None = None) -> Tensor:
    widths = ints(pads)
    of = [axis % x.ndim for axis in (range(x.ndim) if axes is None else ints(axes))]
    around = [0] * 2 * x.ndim
    for position, axis in enumerate(of):
        place = 2 * (x.ndim - 1 - axis)
        around[place : place + 2] = widths[position], widths[position + len(of)]
    mode = a.get("mode", b"constant").decode()
    if mode == "constant":
        return functional.pad(x, around, value=0.0 if value is None else float(value))
    while len(around) > 2 and around[-2:] == [0, 0]:
        around = around[:-2]
    return functional.pad(x, around, mode="replicate" if mode == "edge" else mode)


def resize(
    a: Attributes, x: Tensor, roi: Tensor | None = None, scales: Tensor | None = None, sizes: Tensor | None = None
) -> Tensor:
    """Resize maps as torch exports it; `check` refuses what other coordinates make of a graph from elsewhere."""
    if sizes is not None:
        size = ints(sizes)[2:]
    else:
        assert scales is not None, "a Resize has scales or sizes"
        size = [int(side * scale) for side, scale in zip(x.shape[2:], scales.tolist()[2:], strict=True)]
    mode = a.get("mode", b"nearest").decode()
    coordinates = a.get("coordinate_transformation_mode", b"half_pixel").decode()
    if mode == "nearest":
        return functional.interpolate(x, size, mode="nearest" if coordinates == "asymmetric" else "nearest-exact")
    named = {1: "linear", 2: "bilinear"}[len(size)] if mode == "linear" else "bicubic"
    return functional.interpolate(x, size, mode=named, align_corners=coordinates == "align_corners")


def depth_to_space(a: Attributes, x: Tensor) -> Tensor:
    side, channels = a["blocksize"], x.shape[1] // a["blocksize"] ** 2
    if a.get("mode", b"DCR") == b"CRD":
        return functional.pixel_shuffle(x, side)
    blocks = x.reshape(len(x), side, side, channels, *x.shape[2:])
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(len(x), channels, x.shape[2] * side, x.shape[3] * side)
