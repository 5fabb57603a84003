"""Multiply-accumulates are counted behind onnxruntime's own operators, and told as unknown where they cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.models.onnx import export
from onnx import TensorProto, helper, numpy_helper


def residual() -> tuple[onnx.ModelProto, int]:
    """Two convolutions with an Add between, and rows of numbers multiplied; with the multiply-accumulates."""
    random = np.random.default_rng(0)
    shapes = {"k1": (4, 1, 3, 3), "k2": (4, 4, 3, 3), "w": (8, 5)}
    weights = [numpy_helper.from_array(random.normal(0, 0.5, s).astype(np.float32), n) for n, s in shapes.items()]
    weights.append(numpy_helper.from_array(np.array([1, 32, 8], np.int64), "rows"))
    nodes = [
        helper.make_node("Conv", ["x", "k1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Add", ["x", "r1"], ["a1"]),
        helper.make_node("Conv", ["a1", "k2"], ["c2"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c2", "a1"], ["a2"]),
        helper.make_node("Reshape", ["a2", "rows"], ["r"]),
        helper.make_node("MatMul", ["r", "w"], ["m"]),
        helper.make_node("Sigmoid", ["m"], ["y"]),
    ]
    values = [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 1, 8, 8))]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 32, 5))]
    made = helper.make_graph(nodes, "residual", values, outputs, weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return model, 8 * 8 * (36 + 144) + 32 * 40


def without_shapes(path: Path) -> Path:
    """The file as its graph is, with the shapes of inputs and outputs alone."""
    model = onnx.load(path)
    del model.graph.value_info[:]
    onnx.save(model, path)
    return path


def test_convolutions_behind_operators_of_onnxruntime_are_counted(tmp_path: Path) -> None:
    """Such as the QLinearAdd of a residual network, of which ONNX knows no shapes."""
    from onnxruntime import quantization as ort

    class Reader(ort.CalibrationDataReader):  # type: ignore[misc]
        feeds = iter([{"x": np.random.default_rng(0).normal(0, 1, (1, 1, 8, 8)).astype(np.float32)}])

        def get_next(self) -> Any:
            return next(self.feeds, None)

    model, macs = residual()
    onnx.save(model, tmp_path / "float.onnx")
    assert export.size(tmp_path / "float.onnx").macs == macs
    quantized = tmp_path / "q.onnx"
    ort.quantize_static(tmp_path / "float.onnx", quantized, Reader(), quant_format=ort.QuantFormat.QOperator)
    assert {"QLinearAdd", "QLinearMatMul"} <= {node.op_type for node in onnx.load(quantized).graph.node}
    assert export.size(without_shapes(quantized)).macs == macs


@pytest.mark.parametrize("place", [2, 5], ids=["before a convolution", "before a product"])
def test_what_is_behind_an_unknown_operator_is_not_counted(place: int, tmp_path: Path) -> None:
    model, _ = residual()
    source, result = model.graph.node[place].input[0], model.graph.node[place].output[0]
    model.graph.node[place].CopyFrom(helper.make_node("Odd", [source], [result], domain="com.example"))
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    del model.graph.node[-1], model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("m", TensorProto.FLOAT, None))
    onnx.save(model, tmp_path / "odd.onnx")
    assert export.size(tmp_path / "odd.onnx") == (36 + 144 + 40, None)


def test_a_fused_convolution_counts_and_a_product_of_another_domain_is_unknown(tmp_path: Path) -> None:
    model, macs = residual()
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    for node in model.graph.node:
        if node.op_type == "Conv":
            node.op_type, node.domain = "FusedConv", "com.microsoft"
    onnx.save(model, tmp_path / "fused.onnx")
    assert export.size(tmp_path / "fused.onnx").macs == macs
    model.graph.node[-2].op_type, model.graph.node[-2].domain = "FusedMatMul", "com.microsoft"
    onnx.save(model, tmp_path / "fused.onnx")
    assert export.size(tmp_path / "fused.onnx").macs is None


def test_a_pool_with_channels_last_has_no_shape_of_onnx(tmp_path: Path) -> None:
    model, _ = residual()
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    pool = helper.make_node("QLinearGlobalAveragePool", ["r1"], ["a1"], domain="com.microsoft", channels_last=1)
    model.graph.node[2].CopyFrom(pool)
    onnx.save(model, tmp_path / "last.onnx")
    assert export.size(tmp_path / "last.onnx").macs is None
