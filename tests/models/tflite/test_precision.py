"""Files in other precisions than float and int8: packed weights, hybrid kernels, and int16 activations."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.core.errors import UserError
from edgepress.core.machine import machine
from edgepress.core.presets import INT16, saturates
from edgepress.models.onnx.packed_weights import float16, weights_only
from edgepress.models.tflite.convert import layouts, write
from edgepress.stages.quantize.ptq import signed
from onnx import TensorProto, helper, numpy_helper

from tests.models.onnx.test_packed_weights import CASES as PACKED
from tests.models.tflite import models
from tests.models.tflite.models import graph, weights
from tests.models.tflite.test_integer import CASES as INTEGER
from tests.models.tflite.test_integer import conv

F = np.float32
PACKED = {name: model for name, model in PACKED.items() if name not in ("transposed convolution", "a gated unit")}
PRODUCTS = {
    "rows, with a bias or without": graph(
        [1, 5, 64], ("MatMul", [0, weights(64, 33)], {}), ("Relu", [-1], {}), ("Reshape", [-1, np.array([1, 165])], {}),
        ("Gemm", [-1, weights(21, 165), weights(21).ravel()], {"transB": 1}), ("Relu", [-1], {}),
        ("Gemm", [-1, weights(21, 30)], {}),
    ),
    "a flattened map": graph(
        [1, 3, 9, 9], conv(0, 17, 3, 3, 3), ("Relu", [-1], {}), ("Flatten", [-1], {}),
        ("Gemm", [-1, weights(11, 833), weights(11).ravel()], {"transB": 1}),
    ),
}  # fmt: skip
CONVOLUTIONS = graph(
    [1, 3, 12, 12],
    conv(0, 37, 3, 3, 3, pads=[1] * 4), ("Relu", [-1], {}), conv(2, 37, 1, 3, 3, group=37),
    conv(3, 24, 37, 1, 1, strides=[2, 2]), conv(4, 20, 12, 3, 3, group=2), ("Flatten", [-1], {}),
    ("Gemm", [-1, weights(31, 180), weights(31).ravel()], {"transB": 1}),
)  # fmt: skip


def mixed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Small weights and biases in float16, the others in int8."""
    return weights_only(model, half=0.3)


def noise(found: np.ndarray, expected: np.ndarray) -> float:
    """The power of the difference as a share of the power of what is expected."""
    return float(((found - expected) ** 2).mean() / (expected**2).mean())


@pytest.mark.parametrize("runtime", models.EVERY)
@pytest.mark.parametrize("name", PACKED)
def test_packed_weights_give_the_answers_of_the_onnx_graph(name: str, runtime: str) -> None:
    model = PACKED[name]
    samples = models.feeds(model, 5)
    for pack in (weights_only, float16, mixed):
        made = pack(model)
        found = models.answers_of_file(write(made, {}), dict(layouts(made)), samples, runtime)
        expected = models.answers(made, samples)
        np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-4, atol=1e-4)


def test_packed_weights_stay_packed_in_the_file() -> None:
    model = graph([1, 512], ("Gemm", [0, weights(512, 512), weights(512).ravel()], {"transB": 1}))
    whole = len(write(model, {}))
    for pack, share, unpacked in ((weights_only, 0.25, [5]), (float16, 0.5, [3, 3])):
        data = write(pack(model), {})
        assert share < len(data) / whole < share + 0.01
        assert models.operators(data) == [*(("DEQUANTIZE", each) for each in unpacked), ("FULLY_CONNECTED", 1)]


def test_packed_weights_between_integers_compute_in_float() -> None:
    """As the operators of an int8 graph that lose too much by it."""
    model = graph([1, 3, 8, 8], conv(0, 16, 3, 3, 3), ("Relu", [-1], {}), conv(2, 16, 16, 3, 3), conv(3, 4, 16, 1, 1))
    samples = models.inputs(model, count=6)
    mixed = models.quantized(model, samples)
    real = {each.name: each for each in model.graph.initializer}
    middle = next(node for node in mixed.graph.node if node.name == "node_3")
    middle.input[1:] = ["real_weight", "real_bias"]
    for name, source in (("real_weight", "constant_3_1"), ("real_bias", "constant_3_2")):
        tensor = onnx.TensorProto()
        tensor.CopyFrom(real[source])
        tensor.name = name
        mixed.graph.initializer.append(tensor)
    made = weights_only(mixed, ["node_3"])
    kinds = [name for name, _ in models.operators(write(made, {}))]
    assert kinds == ["QUANTIZE", "CONV_2D", "DEQUANTIZE", "DEQUANTIZE", "CONV_2D", "QUANTIZE", "CONV_2D", "DEQUANTIZE"]
    for runtime in models.RUNTIMES:
        assert models.steps_off(made, samples, runtime, as_written=True).max() <= 1


def dynamic(model: onnx.ModelProto, folder: Path, per_channel: bool = True) -> onnx.ModelProto:
    """As `quantize.dynamic` writes it."""
    from onnxruntime import quantization as ort

    logging.getLogger().setLevel(logging.ERROR)
    onnx.save(model, folder / "m.onnx")
    ort.quantize_dynamic(
        str(folder / "m.onnx"), str(folder / "d.onnx"), op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=per_channel, weight_type=ort.QuantType.QInt8, reduce_range=saturates(machine()),
    )  # fmt: skip
    return onnx.load(folder / "d.onnx")


@pytest.mark.parametrize("runtime", models.EVERY)
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("name", PRODUCTS)
def test_dynamic_products_are_as_near_as_onnxruntimes(
    name: str, per_channel: bool, runtime: str, tmp_path: Path
) -> None:
    """The runtimes cut a row's range into steps each in its own way: as much noise, yet not the same."""
    model = PRODUCTS[name]
    samples = models.inputs(model, count=20)
    expected = models.in_onnxruntime(model, samples)
    made = dynamic(model, tmp_path, per_channel)
    data = write(made, {})
    found = models.in_tflite(data, samples, runtime)
    assert 0 < noise(found, expected) < 1.5 * noise(models.in_onnxruntime(made, samples), expected) < 0.01
    products = [version for code, version in models.operators(data) if code == "FULLY_CONNECTED"]
    assert products == [9] * len([node for node in made.graph.node if node.op_type == "MatMulInteger"])


@pytest.mark.parametrize("runtime", models.EVERY)
def test_packed_weights_on_activations_quantized_as_they_come(runtime: str) -> None:
    samples = models.inputs(CONVOLUTIONS, count=20)
    expected = models.in_onnxruntime(CONVOLUTIONS, samples)
    made = weights_only(CONVOLUTIONS)
    data = write(made, {}, dynamic=True)
    kinds = models.operators(data)
    assert [each for each in kinds if each[0] != "DEQUANTIZE"] == [
        ("CONV_2D", 5), ("DEPTHWISE_CONV_2D", 1), ("CONV_2D", 5), ("CONV_2D", 1), ("RESHAPE", 1),
        ("FULLY_CONNECTED", 9), ("MUL", 1), ("ADD", 1),
    ]  # fmt: skip
    unpacked = noise(models.in_onnxruntime(made, samples), expected)
    found = noise(models.in_tflite(data, samples, runtime), expected)
    assert unpacked < found < 1e-3
    assert len(data) < len(write(made, {})) * 1.05


@pytest.mark.parametrize("runtime", models.EVERY)
def test_float16_biases_of_convolutions_on_int8_weights(runtime: str) -> None:
    model = graph(
        [1, 3, 12, 12],
        conv(0, 16, 3, 3, 3), ("Relu", [-1], {}), conv(2, 200, 16, 1, 1), ("Relu", [-1], {}), conv(4, 200, 200, 1, 1),
    )  # fmt: skip
    samples = models.inputs(model, count=4)
    data = write(weights_only(model, half=0.02), {}, dynamic=True)
    assert ("CONV_2D", 5) in models.operators(data)
    assert 0 < noise(models.in_tflite(data, samples, runtime), models.in_onnxruntime(model, samples)) < 1e-3


def test_a_dynamic_product_of_another_make_is_told(tmp_path: Path) -> None:
    made = dynamic(PRODUCTS["a flattened map"], tmp_path)
    shift = next(each for each in made.graph.initializer if each.name.endswith("_zero_point"))
    shift.CopyFrom(numpy_helper.from_array(np.full(tuple(shift.dims), 3, np.int8), shift.name))
    with pytest.raises(UserError, match="not part of a product") as error:
        write(made, {})
    assert "quantize.dynamic" in error.value.problems[0].help


WIDE = INTEGER | {
    "pads and a scaled sum": graph(
        [1, 3, 9, 9],
        ("Pad", [0, np.array([0, 0, 1, 2, 0, 0, 2, 1])], {}), conv(1, 7, 3, 3, 3), ("Relu", [-1], {}),
        ("Mul", [-1, weights(7, 1, 1)], {}), conv(4, 7, 7, 1, 1), ("Add", [-1, 3], {}),
        ("Clip", [-1, F(-1), F(2.3)], {}),
        ("Transpose", [-1], {"perm": [0, 2, 3, 1]}), ("Flatten", [-1], {}),
        ("Gemm", [-1, weights(5, 700), weights(5).ravel()], {"transB": 1}),
    ),
    "averages": graph(
        [1, 3, 8, 8],
        conv(0, 6, 3, 3, 3, pads=[1] * 4), ("AveragePool", [-1], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("GlobalAveragePool", [-1], {}), ("Flatten", [-1], {}),
        ("Gemm", [-1, weights(5, 6), weights(5).ravel()], {"transB": 1}),
    ),
    "signals": graph(
        [1, 3, 31],
        conv(0, 7, 3, 5, pads=[2, 2]), ("Relu", [-1], {}), ("MaxPool", [-1], {"kernel_shape": [2], "strides": [2]}),
        conv(3, 7, 1, 3, group=7), ("Slice", [-1, np.array([2]), np.array([12]), np.array([2])], {}),
        ("Concat", [-1, 5], {"axis": 1}), conv(6, 4, 14, 1),
    ),
    "tokens": graph(
        [1, 8],
        ("Gather", [weights(40, 17), 0], {}), ("MatMul", [-1, weights(17, 25)], {}), ("Relu", [-1], {}),
        ("Flatten", [-1], {}), ("Gemm", [-1, weights(200, 5), weights(5).ravel()], {}), dtype=TensorProto.INT64,
    ),
}  # fmt: skip


def wide(model: onnx.ModelProto, samples: list[models.Feed], folder: Path) -> onnx.ModelProto:
    onnx.save(model, folder / "m.onnx")
    columns = tuple(np.concatenate([each[value.name] for each in samples]) for value in model.graph.input)
    return signed(folder / "m.onnx", columns, preset=INT16)


@pytest.mark.parametrize("name", WIDE)
def test_int16_activations_give_onnxruntimes_integers(name: str, tmp_path: Path) -> None:
    model = WIDE[name]
    samples = models.feeds(model, 16)
    made = wide(model, samples, tmp_path)
    data = write(made, {})
    expected = models.answers(made, samples, as_written=True)
    for runtime in models.RUNTIMES:
        found = models.answers_of_file(data, dict(layouts(made)), samples, runtime)
        off = np.rint(np.abs(found.reshape(expected.shape) - expected) / models.step(made))
        assert off.max() <= 8, "of 65536 steps"
        assert off.mean() < 1.5


@pytest.mark.parametrize("name", [name for name in WIDE if name != "tokens"])
def test_int16_activations_lose_less_than_int8(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the same int8 weights on float activations; of tokens no one quantizes the ids."""
    monkeypatch.setattr("edgepress.models.onnx.packed_weights._LEAST", -(10**9))
    model = WIDE[name]
    samples = models.feeds(model, 16)
    expected = models.answers(weights_only(model), samples)
    narrow = noise(models.answers(models.quantized(model, samples), samples), expected)
    assert 0 < noise(models.answers(wide(model, samples, tmp_path), samples), expected) < 0.5 * narrow


def between(operator: str, *more: np.ndarray, shape: tuple[int, ...] = (1, 2, 128, 256), **attributes: object) -> Any:
    """int16 `input` → DQ → operator → Q → int16 `output` of that shape; `more` are constants in float."""
    numbers = {"s": F(1 / 8192), "t": F(1 / 5000), "z": np.int16(0)}
    numbers |= {f"c{index}": value for index, value in enumerate(more)}
    names = [f"c{index}" for index in range(len(more))]
    nodes = [
        helper.make_node("DequantizeLinear", ["input", "s", "z"], ["real"]),
        helper.make_node(operator, ["real", *names], ["made"], **attributes),
        helper.make_node("QuantizeLinear", ["made", "t", "z"], ["output"]),
    ]
    body = helper.make_graph(
        nodes,
        "between",
        [helper.make_tensor_value_info("input", TensorProto.INT16, [1, 2, 128, 256])],
        [helper.make_tensor_value_info("output", TensorProto.INT16, list(shape))],
        [numpy_helper.from_array(np.asarray(number), name) for name, number in numbers.items()],
    )
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


ALONE = {
    "sub": (between("Sub", F(0.7137)), ("SUB", 5)),
    "add": (between("Add", F(0.7137)), ("ADD", 3)),
    "mul": (between("Mul", F(0.7137)), ("MUL", 4)),
    "relu": (between("Relu"), ("MAXIMUM", 4)),
    "clip": (between("Clip", F(-1), F(2.3)), ("MINIMUM", 4)),
    "transpose": (between("Transpose", perm=[0, 1, 3, 2], shape=(1, 2, 256, 128)), ("TRANSPOSE", 5)),
    "slice": (between("Slice", *map(np.array, ([3], [99], [2], [5])), shape=(1, 2, 20, 256)), ("STRIDED_SLICE", 4)),
    "average": (
        between("AveragePool", kernel_shape=[2, 2], strides=[2, 2], shape=(1, 2, 64, 128)),
        ("DEPTHWISE_CONV_2D", 5),
    ),
    "max": (
        between("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], shape=(1, 2, 64, 128)),
        ("MAX_POOL_2D", 3),
    ),
    "mean": (between("ReduceMean", np.array([2, 3]), shape=(1, 2, 1, 1)), ("MEAN", 3)),
    "sigmoid": (between("Sigmoid"), ("LOGISTIC", 1)),
    "softmax": (between("Softmax", axis=-1), ("SOFTMAX", 1)),
}


@pytest.mark.parametrize("runtime", models.EVERY)
@pytest.mark.parametrize("name", ALONE)
def test_every_int16_input(name: str, runtime: str) -> None:
    """All 65,536 of them, within two steps: fixed-point kernels round more than once."""
    model, operator = ALONE[name]
    random = np.random.default_rng(0)
    samples = random.permutation(np.arange(-(2**15), 2**15, dtype=np.int16)).reshape(1, 2, 128, 256)
    data = write(model, {})
    assert operator in models.operators(data)
    found, expected = models.in_tflite(data, samples, runtime), models.in_onnxruntime(model, samples)
    assert found.dtype == np.int16
    off = np.abs(found.astype(int) - expected)
    assert off.max() <= 2
    assert off.mean() < 0.6


def test_int16_operators_and_versions(tmp_path: Path) -> None:
    versions = {"QUANTIZE": 2, "DEQUANTIZE": 3, "CONV_2D": 4, "DEPTHWISE_CONV_2D": 5, "FULLY_CONNECTED": 7, "MUL": 4}
    versions |= dict.fromkeys(["ADD", "PAD", "PADV2", "MAX_POOL_2D", "MEAN", "CONCATENATION"], 3)
    versions |= {"STRIDED_SLICE": 4, "GATHER": 4}
    seen = set()
    for model in WIDE.values():
        found = models.operators(write(wide(model, models.feeds(model, 4), tmp_path), {}))
        seen |= {each for each in found if each[0] in versions}
    floats = {("ADD", 1), ("MUL", 1), ("MEAN", 1), ("GATHER", 1)}  # hard swish, mean of few numbers, pixel shuffle
    assert seen - floats == set(versions.items())


def test_a_relu_belongs_to_the_operator_before_it(tmp_path: Path) -> None:
    model = INTEGER["inverted residual, odd channels"]
    kinds = [name for name, _ in models.operators(write(wide(model, models.feeds(model, 4), tmp_path), {}))]
    assert kinds == [
        "QUANTIZE", "PAD", "CONV_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "ADD", "MEAN", "RESHAPE",
        "FULLY_CONNECTED", "DEQUANTIZE",
    ]  # fmt: skip


def test_int16_with_a_zero_point_is_told(tmp_path: Path) -> None:
    model = INTEGER["a flattened map, two dense layers"]
    made = wide(model, models.feeds(model, 4), tmp_path)
    zero = next(each for each in made.graph.initializer if each.name == "input_zero_point")
    zero.CopyFrom(numpy_helper.from_array(np.array(5, np.int16), zero.name))
    with pytest.raises(UserError, match="zero point is not 0"):
        write(made, {})
