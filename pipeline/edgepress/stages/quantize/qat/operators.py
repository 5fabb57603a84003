"""Compute ONNX operators in torch: a function and a row for each.

The operators are those that the TFLite writer supports.

A function takes the node's attributes and inputs, None for one that is left out, and gives its first output, or a list
of all. Shapes, axes and the like are constants of the graph; batches come from `torch.vmap` around the whole graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnx import helper
from torch import Tensor
from torch.nn import functional

Attributes = dict[str, Any]
Operator = Callable[..., Tensor | Sequence[Tensor]]


def _plain(function: Callable[..., Tensor]) -> Operator:
    """Wrap an operator without attributes that matter."""
    return lambda attributes, *inputs: function(*inputs)


def _ints(source: Tensor | Sequence[int]) -> list[int]:
    values = source.tolist() if isinstance(source, Tensor) else list(source)
    return [int(value) for value in values]


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


def _conv(a: Attributes, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    rank = w.ndim - 2
    padding, rest = _split_pads(_pads(a, x, w.shape[2:]))
    x = functional.pad(x, rest) if rest else x
    function: Any = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]
    y: Tensor = function(
        x, w, b, a.get("strides", [1] * rank), padding, a.get("dilations", [1] * rank), a.get("group", 1)
    )
    return y


def _max_pool(a: Attributes, x: Tensor) -> Tensor:
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


def _average_pool(a: Attributes, x: Tensor) -> Tensor:
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


def _gemm(a: Attributes, x: Tensor, w: Tensor, c: Tensor | None = None) -> Tensor:
    x, w = (matrix.mT if a.get(flag) else matrix for matrix, flag in ((x, "transA"), (w, "transB")))
    y = a.get("alpha", 1.0) * (x @ w)
    return y if c is None else y + a.get("beta", 1.0) * c


def _batch_norm(a: Attributes, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    shape = (-1, *[1] * (x.ndim - 2))
    factor = scale / (variance + a.get("epsilon", 1e-5)).sqrt()
    return x * factor.reshape(shape) + (bias - mean * factor).reshape(shape)


def _layer_norm(a: Attributes, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    shape = x.shape[a.get("axis", -1) % x.ndim :]
    return functional.layer_norm(x, shape, scale.expand(shape), bias, a.get("epsilon", 1e-5))


def _clip(a: Attributes, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    x = x if low is None else x.clamp(min=float(low))
    return x if high is None else x.clamp(max=float(high))


def _reduced(function: Callable[[Tensor, list[int], bool], Tensor]) -> Operator:
    def reduce(a: Attributes, x: Tensor, axes_input: Tensor | None = None) -> Tensor:
        axes = a.get("axes", []) if axes_input is None else _ints(axes_input)  # an attribute before operator set 18
        if not axes and a.get("noop_with_empty_axes"):
            return x
        return function(x, axes or list(range(x.ndim)), bool(a.get("keepdims", 1)))

    return reduce


def _reshape(a: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    sides = _ints(shape)
    if not a.get("allowzero"):
        sides = [x.shape[axis] if side == 0 else side for axis, side in enumerate(sides)]
    return x.reshape(sides)


def _flatten(a: Attributes, x: Tensor) -> Tensor:
    axis = a.get("axis", 1)
    return x.reshape(x.shape[:axis].numel(), -1)


def _squeeze(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    return x.squeeze() if axes is None else x.squeeze(tuple(_ints(axes)))


def _unsqueeze(a: Attributes, x: Tensor, axes_input: Tensor) -> Tensor:
    axes = _ints(axes_input)
    for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _transpose(a: Attributes, x: Tensor) -> Tensor:
    return x.permute(a.get("perm", list(reversed(range(x.ndim)))))


def _slice(
    a: Attributes, x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None
) -> Tensor:
    count = len(starts)
    of = range(count) if axes is None else _ints(axes)
    by = [1] * count if steps is None else _ints(steps)
    for axis, start, end, step in zip(of, _ints(starts), _ints(ends), by, strict=True):
        rows = range(x.shape[axis])[start:end:step]
        x = (
            x.index_select(axis, torch.tensor(rows, device=x.device))
            if step != 1
            else x.narrow(axis, rows.start, len(rows))
        )
    return x


def _split(a: Attributes, x: Tensor, sizes: Tensor | None = None) -> Sequence[Tensor]:
    axis = a.get("axis", 0)
    return x.split(-(-x.shape[axis] // a["num_outputs"]) if sizes is None else _ints(sizes), axis)


def _gather(a: Attributes, x: Tensor, index: Tensor) -> Tensor:
    axis = a.get("axis", 0) % x.ndim
    index = torch.where(index < 0, index + x.shape[axis], index).long()
    rows = x.index_select(axis, index.reshape(-1))
    return rows.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def _pad(a: Attributes, x: Tensor, pads: Tensor, value: Tensor | None = None, axes: Tensor | None = None) -> Tensor:
    widths = _ints(pads)
    of = [axis % x.ndim for axis in (range(x.ndim) if axes is None else _ints(axes))]
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


def _resize(
    a: Attributes, x: Tensor, roi: Tensor | None = None, scales: Tensor | None = None, sizes: Tensor | None = None
) -> Tensor:
    """Resize maps as torch exports it; `check` refuses what other coordinates make of a graph from elsewhere."""
    if sizes is not None:
        size = _ints(sizes)[2:]
    else:
        assert scales is not None, "a Resize has scales or sizes"
        size = [int(side * scale) for side, scale in zip(x.shape[2:], scales.tolist()[2:], strict=True)]
    mode = a.get("mode", b"nearest").decode()
    coordinates = a.get("coordinate_transformation_mode", b"half_pixel").decode()
    if mode == "nearest":
        return functional.interpolate(x, size, mode="nearest" if coordinates == "asymmetric" else "nearest-exact")
    named = {1: "linear", 2: "bilinear"}[len(size)] if mode == "linear" else "bicubic"
    return functional.interpolate(x, size, mode=named, align_corners=coordinates == "align_corners")


def _depth_to_space(a: Attributes, x: Tensor) -> Tensor:
    side, channels = a["blocksize"], x.shape[1] // a["blocksize"] ** 2
    if a.get("mode", b"DCR") == b"CRD":
        return functional.pixel_shuffle(x, side)
    blocks = x.reshape(len(x), side, side, channels, *x.shape[2:])
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(len(x), channels, x.shape[2] * side, x.shape[3] * side)


def _cast(a: Attributes, x: Tensor) -> Tensor:
    dtype = helper.tensor_dtype_to_np_dtype(a["to"])
    y: Tensor = x.to(getattr(torch, dtype.name))
    return y


def _log(a: Attributes, x: Tensor) -> Tensor:
    """Take the logarithm; of an exact 0, whose gradient would be no number, that of the least float."""
    return x.clamp(min=torch.finfo(x.dtype).tiny).log()


def _chain(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    def run(a: Attributes, *inputs: Tensor) -> Tensor:
        y = inputs[0]
        for more in inputs[1:]:
            y = function(y, more)
        return y

    return run


OPERATORS: dict[str, Operator] = {
    "Abs": _plain(torch.abs),
    "Add": _plain(torch.add),
    "And": _plain(torch.logical_and),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": lambda a, *inputs: torch.cat(inputs, a["axis"]),
    "Conv": _conv,
    "DepthToSpace": _depth_to_space,
    "Div": _plain(torch.div),
    "Dropout": lambda a, x, *rest: x,
    "Equal": _plain(torch.eq),
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "Flatten": _flatten,
    "Gather": _gather,
    "Gelu": lambda a, x: functional.gelu(x, approximate=a.get("approximate", b"none").decode()),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda a, x: x.mean(tuple(range(2, x.ndim)), keepdim=True),
    "GlobalMaxPool": lambda a, x: x.amax(tuple(range(2, x.ndim)), keepdim=True),
    "Greater": _plain(torch.gt),
    "HardSigmoid": lambda a, x: (a.get("alpha", 0.2) * x + a.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": _plain(functional.hardswish),
    "Identity": _plain(lambda x: x),
    "LayerNormalization": _layer_norm,
    "Less": _plain(torch.lt),
    "Log": _log,
    "MatMul": _plain(torch.matmul),
    "Max": _chain(torch.maximum),
    "MaxPool": _max_pool,
    "Min": _chain(torch.minimum),
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "Not": _plain(torch.logical_not),
    "Or": _plain(torch.logical_or),
    "Pad": _pad,
    "Pow": _plain(torch.pow),
    "ReduceMax": _reduced(lambda x, axes, keep: x.amax(axes, keep)),
    "ReduceMean": _reduced(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceSum": _reduced(lambda x, axes, keep: x.sum(axes, keep)),
    "Relu": _plain(torch.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": _slice,
    "Softmax": lambda a, x: x.softmax(a.get("axis", -1)),
    "Split": _split,
    "Sqrt": _plain(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _plain(torch.sub),
    "Tanh": _plain(torch.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _plain(torch.where),
}
