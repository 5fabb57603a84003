"""What follows from fixed shapes and constants is computed before the conversion."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest
from edgepress.core.errors import UserError
from edgepress.models.tflite.convert import write
from edgepress.models.tflite.folding import folded

from tests.models.tflite import models
from tests.models.tflite.models import graph

F = np.float32
HALF = ("Div", [-1, np.array([1, 1, 2, 2])], {})
GRAPHS = {
    "a Slice up to half the height": graph(
        [1, 3, 8, 6], ("Shape", [0], {"start": 2, "end": 3}), ("Div", [-1, np.array([2])], {}),
        ("Slice", [0, np.array([1]), 2, np.array([2])], {}),
    ),
    "a Slice counted from the end": graph(
        [1, 3, 8, 6], ("Size", [0], {}), ("Reshape", [-1, np.array([1])], {}), ("Sub", [np.array([142]), -1], {}),
        ("Slice", [0, -1, np.array([100]), np.array([3])], {}),
    ),
    "a Resize to twice the size": graph(
        [1, 3, 5, 6], ("Shape", [0], {}), ("Mul", [-1, np.array([1, 1, 2, 2])], {}),
        ("Resize", [0, None, None, -1], {"mode": "linear"}),
    ),
    "a Reshape by a Range and a Concat": graph(
        [1, 3, 8, 6], ("Shape", [0], {}), ("Gather", [-1, np.array([1, 2])], {}),
        ("Concat", [-1, np.array([-1])], {"axis": 0}), ("Reshape", [0, -1], {}),
    ),
    "a Constant of plain numbers": graph(
        [1, 3, 8, 6], ("Constant", [], {"value_ints": [1, 2]}), ("ReduceSum", [0, -1], {"keepdims": 0}),
    ),
    "a Clip to computed bounds": graph(
        [1, 9], ("ReduceMean", [0, np.array([0, 1])], {"keepdims": 0}), ("Clip", [0, None, 1], {}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("runtime", models.EVERY)
@pytest.mark.parametrize("name", GRAPHS)
def test_answers(name: str, runtime: str) -> None:
    model = GRAPHS[name]
    samples = models.inputs(model)
    found = models.in_tflite(write(model, {}), samples, runtime)
    np.testing.assert_allclose(found, models.in_onnxruntime(model, samples), rtol=1e-4, atol=1e-5)


def test_a_graph_without_such_nodes_is_itself() -> None:
    model = graph([1, 3, 4, 4], ("Relu", [-1], {}))
    assert folded(model) is model


def test_large_constants_stay() -> None:
    made = graph([1, 3], ("ConstantOfShape", [np.array([10**6])], {}), ("ReduceMax", [-1], {}), ("Add", [0, -1], {}))
    assert folded(made).graph.node[0].op_type == "ConstantOfShape"


def test_constants_that_do_not_fit_are_told() -> None:
    made = graph([1, 3], ("Add", [np.zeros(2, F), np.zeros(2, F)], {}), ("Mul", [0, -1], {}))
    made.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.zeros(3, F), "constant_1_0"))
    with pytest.raises(UserError, match=re.escape("`node_1` (Add): its inputs are constants")):
        folded(made)
