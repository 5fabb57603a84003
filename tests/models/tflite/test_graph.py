"""Scales and zero points of foreign quantized files: axes and zero points that are left out, and fixed outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.core.errors import UserError
from edgepress.models.tflite.convert import write
from onnx import TensorProto, helper, numpy_helper

from tests.models.tflite import models
from tests.models.tflite.models import graph, weights

F = np.float32
STEPS = np.array([0.01, 0.5, 3, 0.2, 0.03, 1], F)


def alike(model: onnx.ModelProto, runtime: str = models.RUNTIMES[0]) -> None:
    onnx.checker.check_model(model)
    x = models.inputs(model)
    expected = models.in_onnxruntime(model, x, as_written=True)
    np.testing.assert_allclose(models.in_tflite(write(model, {}), x, runtime), expected, rtol=1e-4, atol=1e-4)


def by_channel(rows: int, columns: int, op: str = "MatMul", scales: np.ndarray | None = None, **how: Any) -> Any:
    integers = np.random.default_rng(0).integers(-127, 128, (rows, columns), np.int8)
    steps = STEPS[:columns] if scales is None else scales
    unpack = ("DequantizeLinear", [integers, steps, np.zeros(steps.shape, np.int8)], how)
    return graph([1, rows], unpack, (op, [0, -1], {}), opset=21)


@pytest.mark.parametrize("op", ["MatMul", "Gemm"])
@pytest.mark.parametrize("how", [{}, {"axis": -1}, {"axis": 1}], ids=str)
@pytest.mark.parametrize("rows", [4, 6])
def test_scales_run_along_onnx_axis(rows: int, how: dict[str, int], op: str) -> None:
    """It is 1 where the file has none."""
    alike(by_channel(rows, 6, op, **how))


def test_scales_of_blocks_are_refused() -> None:
    with pytest.raises(UserError, match="a scale for each block of 2 numbers") as error:
        write(by_channel(4, 6, scales=np.ones((2, 6), F), axis=0, block_size=2), {})
    assert "block_size" in error.value.problems[0].help


@pytest.mark.parametrize("none", [[], [None]], ids=["left out", "empty"])
def test_a_zero_point_that_is_left_out(none: list[None]) -> None:
    integers = np.random.default_rng(0).integers(-127, 128, (4, 6), np.int8)
    alike(graph([1, 4], ("DequantizeLinear", [integers, F(0.1), *none], {}), ("MatMul", [0, -1], {})))


def test_activations_without_zero_points() -> None:
    """Around an operator that becomes an integer one, and before one that stays float."""
    back: models.Step = ("DequantizeLinear", [-1, F(0.125)], {})
    there: models.Step = ("QuantizeLinear", [-1, F(0.125)], {"output_dtype": TensorProto.INT8})
    weight: models.Step = ("DequantizeLinear", [np.eye(4, dtype=np.int8), F(1)], {})
    model = graph([1, 4], there, back, weight, ("MatMul", [2, 3], {}), there, back, ("Elu", [-1], {}), opset=21)
    alike(model)
    assert ("FULLY_CONNECTED", 4) in models.operators(write(model, {}))


def test_activations_without_a_type_are_unsigned() -> None:
    model = graph([1, 4], ("QuantizeLinear", [-1, F(0.1)], {}), ("DequantizeLinear", [-1, F(0.1)], {}))
    with pytest.raises(UserError, match="quantizes to uint8"):
        write(model, {})


@pytest.mark.parametrize("runtime", models.EVERY)
@pytest.mark.parametrize("shape", [(5, 4), (1, 3, 2, 5)], ids=str)
@pytest.mark.parametrize("named", ["initializer", "Identity", "folded"])
def test_outputs_that_are_the_same_for_every_input(named: str, shape: tuple[int, ...], runtime: str) -> None:
    """Such as anchors beside scores."""
    model = graph([1, 4], ("MatMul", [-1, weights(4, 6)], {}))
    anchors = weights(*shape)
    model.graph.output.append(helper.make_tensor_value_info("anchors", TensorProto.FLOAT, shape))
    model.graph.initializer.append(numpy_helper.from_array(anchors, "anchors" if named == "initializer" else "fixed"))
    if named == "Identity":
        model.graph.node.append(helper.make_node("Identity", ["fixed"], ["anchors"], name="copy"))
    if named == "folded":
        model.graph.node.append(helper.make_node("Neg", ["fixed"], ["negative"], name="first"))
        model.graph.node.append(helper.make_node("Neg", ["negative"], ["anchors"], name="second"))
    runner = models.open_file(write(model, {}), runtime).get_signature_runner()
    x = models.inputs(model, 1)
    found = runner(input=x)
    assert np.array_equal(found["anchors"], models.channels_last(anchors))
    np.testing.assert_allclose(found["output"], models.in_onnxruntime(model, x), rtol=1e-5, atol=1e-5)
