"""Round weights by GPTQ: errors of one make up for those of another.

Second moments of the layer's inputs decide.

GPTQ (Frantar et al., 2022, arXiv:2210.17323): columns are rounded one by one, and what is left over is spread over the
columns that follow, by the inverse of how inputs go together. AdaRound's (arXiv:2004.10568) aim, without training.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

from ...core.presets import PRESETS
from .layer_inputs import Seen, seen
from .qdq import Plan, written
from .sqnr import Evidence

_DAMPING = 0.01
"""Of the mean diagonal, as in the paper."""
_EXAMPLES = 64
_HIGHEST = 127


def rounded(plan: Plan, evidence: Evidence) -> Plan:
    """The plan with integers that keep each output's error smallest on the examples, instead of the nearest ones."""
    tensors = {tensor.name: tensor for tensor in written(plan, PRESETS["xnnpack"]).graph.initializer}
    integers = dict(plan.integers)
    for each in seen(plan, evidence, _EXAMPLES):
        name = each.node.input[1]
        if each.gram is None or f"{name}_quantized" not in tensors:
            continue
        scale = numpy_helper.to_array(tensors[f"{name}_scale"])
        integers[name] = _compensated(each, scale)
    return replace(plan, integers=integers)


def _compensated(each: Seen, scale: NDArray[np.float32]) -> NDArray[np.int8]:
    """int8 of the weight's shape. Rows are outputs, columns the inputs that one has."""
    assert each.gram is not None
    groups, width, _ = each.gram.shape
    transposed = _inputs_first(each)
    matrix = each.weight.T if transposed else each.weight
    shape = matrix.shape
    steps = np.broadcast_to(scale.reshape(-1, 1), (shape[0], 1)) if scale.size > 1 else np.full((shape[0], 1), scale)
    left = (matrix.reshape(shape[0], -1) / steps).reshape(groups, -1, width).astype(np.float64)
    damped = each.gram + np.eye(width) * np.maximum(
        _DAMPING * each.gram.diagonal(axis1=1, axis2=2).mean(1), 1e-9
    )[:, None, None]  # fmt: skip
    factor = np.linalg.cholesky(np.linalg.inv(damped)).transpose(0, 2, 1)
    found = np.empty_like(left)
    for column in range(width):
        found[:, :, column] = np.clip(np.rint(left[:, :, column]), -_HIGHEST, _HIGHEST)
        error = (left[:, :, column] - found[:, :, column]) / factor[:, column, column, None]
        left[:, :, column + 1 :] -= error[:, :, None] * factor[:, None, column, column + 1 :]
    integers = found.reshape(shape).astype(np.int8)
    return np.ascontiguousarray(integers.T if transposed else integers)


def _inputs_first(each: Seen) -> bool:
    """Whether the weight is (inputs, outputs), as a MatMul's, and a Gemm's without transB."""
    transposed = any(option.name == "transB" and option.i for option in each.node.attribute)
    return each.node.op_type == "MatMul" or (each.node.op_type == "Gemm" and not transposed)
