"""A Gemm in any of its forms is one with a bias for each output, and what is beside it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from edgepress.models.onnx.standard_form import standardize

from tests.models.onnx.made import graph, node, operators, run, weights

ROWS = {"v": weights(7, 5)}


def gemm(bias: np.ndarray | None, rows: int = 4, **factors: float) -> onnx.ModelProto:
    inputs = ["x", "v"] if bias is None else ["x", "v", "d"]
    stored = ROWS | ({} if bias is None else {"d": bias.astype(np.float32)})
    return graph(
        [node("Gemm", inputs, ["y"], **factors)], stored, [rows, 7] if not factors.get("transA") else [7, rows]
    )


FORMS = {
    "one number": (gemm(np.full(1, 0.3)), ["Gemm"]),
    "a scalar": (gemm(np.array(0.3)), ["Gemm"]),
    "a row": (gemm(weights(1, 5)), ["Gemm"]),
    "a column": (gemm(weights(4, 1)), ["Gemm", "Add"]),
    "a column of one row": (gemm(weights(1, 1), rows=1), ["Gemm"]),
    "a matrix": (gemm(weights(4, 5)), ["Gemm", "Add"]),
    "no bias": (gemm(None, alpha=0.5), ["Gemm"]),
    "factors": (gemm(weights(5, 1)[:, 0], alpha=0.5, beta=2.0), ["Gemm"]),
    "of columns": (
        gemm(weights(4, 1), transA=1, alpha=-2.0, beta=0.5),
        ["Transpose", "Gemm", "Add"],
    ),
    "a factor of zero": (gemm(weights(5, 1)[:, 0], beta=0.0), ["Gemm"]),
}


@pytest.mark.parametrize(("model", "expected"), FORMS.values(), ids=FORMS)
def test_it_computes_the_same(model: onnx.ModelProto, expected: list[str]) -> None:
    made = standardize(model)
    onnx.checker.check_model(made)
    assert operators(made) == expected
    shape = [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    np.testing.assert_allclose(run(made, x), run(model, x), rtol=1e-5, atol=1e-6)
    assert standardize(made) is made


def test_computed_weights_and_biases() -> None:
    nodes = [
        node("Gemm", ["x", "v"], ["g"]),
        node("Transpose", ["x"], ["t"]),
        node("MatMul", ["t", "g"], ["w"]),
        node("Gemm", ["x", "w", "g"], ["y"], alpha=0.5, beta=0.25),
    ]
    model = graph(nodes, ROWS, [4, 7])
    made = standardize(model)
    assert operators(made) == ["Gemm", "Transpose", "MatMul", "Mul", "Gemm", "Mul", "Add"]
    x = np.random.default_rng(2).normal(size=(4, 7)).astype(np.float32)
    np.testing.assert_allclose(run(made, x), run(model, x), rtol=1e-4, atol=1e-5)


def test_a_plain_graph_is_the_same_object() -> None:
    model = gemm(weights(5, 1)[:, 0])
    assert standardize(model) is model
