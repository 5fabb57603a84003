"""Round weights by GPTQ: errors of one make up for those of another.

Second moments of the layer's inputs decide.

GPTQ (Frantar et al., 2022, arXiv:2210.17323): columns are rounded one by one, and what is left over is spread over the
columns that follow, by the inverse of how inputs go together. AdaRound's (arXiv:2004.10568) aim, without training.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from scipy.linalg import lapack

from ...core.presets import Preset
from ...core.threads import in_order
from .layer_inputs import LayerInputs
from .qdq import Plan, Rounded

_DAMPING = 0.01
"""Of the mean diagonal, as in the paper."""
_COLUMNS = 32
"""Columns whose errors reach the columns after them together, in one matrix product."""


def rounded(plan: Plan, quantized: onnx.ModelProto, layers: list[LayerInputs], preset: Preset) -> Plan:
    """Return the plan with the integers of least output error on the examples, instead of the nearest ones.

    `quantized` is its QDQ graph in `preset`, and `layers` are the statistics of its graph.
    """
    tensors = {tensor.name: tensor for tensor in quantized.graph.initializer}
    highest = 64 if preset.reduced else 127
    usable = [each for each in layers if each.gram is not None and f"{each.node.input[1]}_quantized" in tensors]

    def compensated(layer: LayerInputs) -> Rounded:
        scale = numpy_helper.to_array(tensors[f"{layer.node.input[1]}_scale"])
        if scale.size > 1:
            axis = -1 if _inputs_first(layer) else 0
            scale = np.moveaxis(scale.reshape(-1, *[1] * (layer.weight.ndim - 1)), 0, axis)
        return Rounded(_compensated(layer, scale, highest), scale)

    usable.sort(key=lambda each: -each.weight.size)  # the largest is not the last, alone on its core
    names = [layer.node.input[1] for layer in usable]
    return replace(plan, integers={**plan.integers, **dict(zip(names, in_order(compensated, usable), strict=True))})


def _compensated(layer: LayerInputs, scale: NDArray[np.float32], highest: int) -> NDArray[np.int8]:
    """Round to int8, of the weight's shape. Rows are outputs, columns their inputs."""
    assert layer.gram is not None
    groups, width, _ = layer.gram.shape
    transposed = _inputs_first(layer)
    matrix = layer.weight.T if transposed else layer.weight
    shape = matrix.shape
    steps = np.broadcast_to(scale.reshape(-1, 1), (shape[0], 1)) if scale.size > 1 else np.full((shape[0], 1), scale)
    rows = (matrix.reshape(shape[0], -1) / steps).reshape(groups, -1, width).astype(np.float64)
    damped = layer.gram.astype(np.float64)
    diagonal = np.einsum("gii->gi", damped)  # a view
    diagonal += np.maximum(_DAMPING * diagonal.mean(1, keepdims=True), 1e-9)
    factor = np.ascontiguousarray(_factor(damped))  # BLAS takes no reversed ones
    # Columns come first, (K, groups, outputs): the loop reads one after the other, each in one piece.
    rest, beside = np.moveaxis(rows, 2, 0).copy(), np.moveaxis(factor, 0, 2).copy()
    for start in range(0, width, _COLUMNS):
        end = min(start + _COLUMNS, width)
        errors = np.empty((end - start, *rest.shape[1:]))
        for column in range(start, end):
            nearest = np.clip(np.rint(rest[column]), -highest, highest)
            errors[column - start] = error = (rest[column] - nearest) / beside[column, column, :, None]
            rest[column + 1 : end] -= beside[column, column + 1 : end, :, None] * error
            rest[column] = nearest
        reached = factor[:, start:end, end:].swapaxes(1, 2) @ errors.swapaxes(0, 1)
        rest[end:] -= reached.swapaxes(0, 1)
    rounded_columns = np.moveaxis(rest, 0, 2)
    integers = rounded_columns.reshape(shape).astype(np.int8)
    return np.ascontiguousarray(integers.T if transposed else integers)


def _factor(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the upper triangles U of (groups, K, K) with UᵀU the inverse of each, which is not computed.

    Of the Cholesky factor L of the rows and columns in reverse order, the inverse in reverse order is U.
    """
    factors = np.linalg.cholesky(matrices[:, ::-1, ::-1])
    if len(factors) == 1:
        inverse, _ = lapack.dtrtri(factors[0], lower=1)
        return inverse[None, ::-1, ::-1]
    return np.linalg.inv(factors)[:, ::-1, ::-1]


def _inputs_first(layer: LayerInputs) -> bool:
    """Whether the weight is (inputs, outputs), as a MatMul's, and a Gemm's without transB."""
    transposed = any(option.name == "transB" and option.i for option in layer.node.attribute)
    return layer.node.op_type == "MatMul" or (layer.node.op_type == "Gemm" and not transposed)
