"""What exporters write otherwise than torch does has integers as well, in every preset, in int16 and in TFLite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from edgepress.core.presets import INT16, PRESETS
from edgepress.models.predict import predict
from edgepress.stages.quantize import ptq
from edgepress.stages.quantize.bias_correction import corrected
from edgepress.stages.quantize.qdq import prepared, written
from edgepress.stages.quantize.sqnr import decibels, run_model
from onnx import helper, numpy_helper

from tests.stages.quantize.made import collected, evidence, graph, plan
from tests.stages.quantize.test_fills import NEAR, in_tflite

RANDOM = np.random.default_rng(0)
node = helper.make_node


def weights(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape) / np.sqrt(np.prod(shape[1:]))


def network(middle: list[onnx.NodeProto], more: dict[str, np.ndarray], last: str = "m") -> onnx.ModelProto:
    """A convolution to `r`, the nodes to `last`, and a mean of 8 channels."""
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], pads=[1] * 4), node("Relu", ["c"], ["r"]), *middle,
        node("GlobalAveragePool", [last], ["p"]), node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "v", "d"], ["y"], transB=1),
    ]  # fmt: skip
    stored = {"w": weights(8, 3, 3, 3), "b": weights(8, 1)[:, 0], "v": weights(5, 8), "d": weights(5, 1)[:, 0]}
    return graph(nodes, stored | more, (1, 3, 8, 8), (1, 5))


def transposed(inputs: int, outputs: int, groups: int, bias: bool = True) -> onnx.ModelProto:
    """Into as many maps, and back to 8; weights of one position differ much, so that scales per channel matter."""
    spread = np.geomspace(0.3, 3, outputs // groups).reshape(1, -1, 1, 1)
    up = node(
        "ConvTranspose", ["s", "u", "ub"][: 2 + bias], ["t"], "up", strides=[2, 2], pads=[1] * 4, group=groups
    )  # fmt: skip
    middle = [
        node("Conv", ["r", "w0"], ["s"]), up, node("Relu", ["t"], ["q"]), node("Conv", ["q", "w1", "b"], ["m"])
    ]  # fmt: skip
    more = {
        "w0": weights(inputs, 8, 1, 1), "u": weights(inputs, outputs // groups, 3, 3) * spread,
        "ub": weights(outputs, 1)[:, 0], "w1": weights(8, outputs, 1, 1) / np.tile(spread, (1, groups, 1, 1)),
    }  # fmt: skip
    return network(middle, more)


def gemm(bias: np.ndarray, rows: int = 1, **factors: float) -> onnx.ModelProto:
    """A Gemm with this bias, of `rows` rows, before the last one."""
    nodes = [
        node("Reshape", ["x", "s"], ["a"]), node("Gemm", ["a", "w", "b"], ["g"], transB=1, **factors),
        node("Relu", ["g"], ["q"]), node("Gemm", ["q", "v"], ["h"], transB=1),
        node("ReduceMean", ["h", "axis"], ["y"], keepdims=1),
    ]  # fmt: skip
    stored = {"w": weights(16, 192 // rows), "b": bias, "v": weights(5, 16)}
    made = graph(nodes, stored, (1, 3, 8, 8), (1, 5))
    for name, values in (("s", [rows, 192 // rows]), ("axis", [0])):
        made.graph.initializer.append(onnx.numpy_helper.from_array(np.array(values, np.int64), name))
    return made


def named(*names: str) -> onnx.ModelProto:
    """Two convolutions between tensors with these names."""
    first, second, third, last = names
    middle = [
        node("Conv", ["r", "w2", "b"], [first], pads=[1] * 4), node("Relu", [first], [second]),
        node("Conv", [second, "w3", "b"], [third], pads=[1] * 4), node("Relu", [third], [last]),
    ]  # fmt: skip
    return network(middle, {"w2": weights(8, 8, 3, 3), "w3": weights(8, 8, 3, 3)}, last)


GRAPHS = {
    "two groups": transposed(8, 8, 2),
    "depthwise": transposed(6, 6, 6),
    "fewer outputs than inputs": transposed(8, 4, 1),
    "groups without a bias": transposed(4, 8, 2, bias=False),
    "one bias": gemm(np.array([0.3])),
    "a bias that is a number": gemm(np.array(0.3)),
    "a bias in a row": gemm(weights(1, 16)),
    "a bias for each row": gemm(weights(4, 1), rows=4),
    "a bias for each number": gemm(weights(4, 16), rows=4),
    "factors": gemm(weights(16, 1)[:, 0], rows=4, alpha=0.5, beta=2.0),
    "called as a weight": named("c2", "w_quantized", "c3", "w2_scale"),
    "called as an activation": named("x_QuantizeLinear_Output", "r_scale", "r_zero_point", "x_DequantizeLinear_Output"),
    "called as an addition to an addition": named("w_scale", "w_scale_quantized", "b_quantized_scale", "b_quantized"),
}


@pytest.mark.parametrize("preset", [*PRESETS.values(), INT16], ids=[*PRESETS, "int16"])
@pytest.mark.parametrize("model", GRAPHS.values(), ids=GRAPHS)
def test_it_has_integers(model: onnx.ModelProto, preset: object, tmp_path: Path) -> None:
    given = evidence(model)
    before = plan(model, given)
    better = corrected(before, given.written(before), collected(before, given))
    made = written(better, preset)  # type: ignore[arg-type]
    onnx.checker.check_model(made)
    assert decibels(given.expected, run_model(made, given.held)) > NEAR
    if preset in (PRESETS["xnnpack"], INT16):
        assert decibels(given.expected, in_tflite(made, given, tmp_path)) > NEAR


@pytest.mark.parametrize(("input", "output"), [("x", "x_scale"), ("y_scale", "y"), ("x", "x_QuantizeLinear_Output")])
def test_inputs_and_outputs_keep_names_that_the_quantizer_would_take(input: str, output: str) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(GRAPHS["two groups"])
    renamed = {"x": input, "y": output}
    for part in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        part.name = renamed.get(part.name, part.name)
    for each in model.graph.node:
        each.input[:] = [renamed.get(name, name) for name in each.input]
        each.output[:] = [renamed.get(name, name) for name in each.output]
    model = prepared(model)
    given = evidence(model)
    made = written(plan(model, given), PRESETS["xnnpack"])
    assert [value.name for value in (*made.graph.input, *made.graph.output)] == [input, output]
    assert decibels(given.expected, run_model(made, given.held)) > NEAR


def test_a_weight_of_groups_has_scales_along_its_axis() -> None:
    model = GRAPHS["two groups"]
    made = written(plan(model, evidence(model)), PRESETS["xnnpack"])
    tensors = {tensor.name: tensor for tensor in made.graph.initializer}
    assert list(tensors["u_scale"].dims) == [4]
    assert list(tensors["up_bias_scale"].dims) == [8]


def test_a_float_that_no_input_decides_has_no_range_and_stays_float(tmp_path: Path) -> None:
    """Nothing folds a Slice of no values, and so its sum is computed anew in every run."""
    ends = {"a": np.ones(2, np.float32), "b": np.array([-(2**63)]), "c": np.array([2**63 - 1]), "d": np.array([0])}
    nodes = [
        helper.make_node("MatMul", ["input", "w"], ["h"]),
        helper.make_node("Slice", ["a", "b", "c", "d", "b"], ["y"]),
        helper.make_node("ReduceSum", ["y"], ["sum"], keepdims=0),
        helper.make_node("Add", ["h", "sum"], ["output"]),
    ]
    model = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("input", 1, [1, 16])],
        [helper.make_tensor_value_info("output", 1, [1, 4])],
        [
            numpy_helper.from_array(value, name)
            for name, value in {**ends, "w": weights(16, 4).astype(np.float32)}.items()
        ],
    )
    source = tmp_path / "m.onnx"
    onnx.save(helper.make_model(model, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), source)
    x = np.random.default_rng(1).normal(size=(8, 16)).astype(np.float32)
    onnx.save(ptq.signed(source, x), tmp_path / "int8.onnx")
    expected, outputs = predict(source, x), predict(tmp_path / "int8.onnx", x)
    assert np.abs(outputs - expected).max() < 0.1 * np.abs(expected).max()
