"""Compute ONNX operators in torch: a function and a row for each.

The operators are those that the TFLite writer supports.

A function takes the node's attributes and inputs, None for one that is left out, and gives its first output, or a list
of all. Shapes, axes and the like are constants of the graph; batches come from `torch.vmap` around the whole graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from onnx import helper
from torch import Tensor
from torch.nn import functional

from . import moves, windows
from .windows import Attributes

Operator = Callable[..., Tensor | Sequence[Tensor]]


def _plain(function: Callable[..., Tensor]) -> Operator:
    """Wrap an operator without attributes that matter."""
    return lambda attributes, *inputs: function(*inputs)


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
        # An attribute before operator set 18.
        axes = a.get("axes", []) if axes_input is None else moves.ints(axes_input)
        if not axes and a.get("noop_with_empty_axes"):
            return x
        return function(x, axes or list(range(x.ndim)), bool(a.get("keepdims", 1)))

    return reduce


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
    "AveragePool": windows.average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": lambda a, *inputs: torch.cat(inputs, a["axis"]),
    "Conv": windows.conv,
    "DepthToSpace": moves.depth_to_space,
    "Div": _plain(torch.div),
    "Dropout": lambda a, x, *rest: x,
    "Equal": _plain(torch.eq),
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "Flatten": moves.flatten,
    "Gather": moves.gather,
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
    "MaxPool": windows.max_pool,
    "Min": _chain(torch.minimum),
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "Not": _plain(torch.logical_not),
    "Or": _plain(torch.logical_or),
    "Pad": moves.pad,
    "Pow": _plain(torch.pow),
    "ReduceMax": _reduced(lambda x, axes, keep: x.amax(axes, keep)),
    "ReduceMean": _reduced(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceSum": _reduced(lambda x, axes, keep: x.sum(axes, keep)),
    "Relu": _plain(torch.relu),
    "Reshape": moves.reshape,
    "Resize": moves.resize,
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": moves.slice_,
    "Softmax": lambda a, x: x.softmax(a.get("axis", -1)),
    "Split": moves.split,
    "Sqrt": _plain(torch.sqrt),
    "Squeeze": moves.squeeze,
    "Sub": _plain(torch.sub),
    "Tanh": _plain(torch.tanh),
    "Transpose": moves.transpose,
    "Unsqueeze": moves.unsqueeze,
    "Where": _plain(torch.where),
}
