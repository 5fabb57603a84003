"""QDQ graphs: the file holds the graph's own integers and gives onnxruntime's, one operator at a time and in a row."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from edgepress.models.tflite.convert import write
from onnx import helper, numpy_helper

from tests.models.tflite import models
from tests.models.tflite.models import graph, weights

F = np.float32


def conv(given: int, *shape: int, **attributes: object) -> models.Step:
    return ("Conv", [given, weights(*shape, seed=given + 1), weights(shape[0], seed=3).ravel()], attributes)


def head(given: int, width: int) -> list[models.Step]:
    """Mean, flatten and classify, as every network ends."""
    return [
        ("ReduceMean", [given, np.array([-1, -2])], {"keepdims": 1}),
        ("Reshape", [-1, np.array([1, width])], {}),
        ("Gemm", [-1, weights(10, width), weights(10).ravel()], {"transB": 1}),
    ]


RELU6 = ("Clip", [-1, F(0), F(6)], {})
HARD_SIGMOID = ("HardSigmoid", [-1], {"alpha": 1 / 6, "beta": 0.5})
CASES = {
    "inverted residual, odd channels": graph(
        [1, 3, 16, 16],
        conv(0, 5, 3, 3, 3, pads=[1] * 4, strides=[2, 2]), RELU6,
        conv(2, 13, 5, 1, 1), RELU6, conv(4, 13, 1, 3, 3, group=13, pads=[1] * 4), RELU6, conv(6, 5, 13, 1, 1),
        ("Add", [7, 2], {}), *head(8, 5),
    ),
    "squeeze and excite, hard swish": graph(
        [1, 1, 16, 16],
        conv(0, 11, 1, 3, 3, pads=[1] * 4), ("HardSwish", [-1], {}),
        ("ReduceMean", [-1, np.array([2, 3])], {"keepdims": 1}),
        conv(3, 3, 11, 1, 1), ("Relu", [-1], {}), conv(5, 11, 3, 1, 1), HARD_SIGMOID, ("Mul", [2, 7], {}),
        conv(8, 7, 11, 1, 1), ("HardSwish", [-1], {}), *head(10, 7),
    ),
    "deep stem, pools and a pooled shortcut": graph(
        [1, 3, 18, 18],
        conv(0, 6, 3, 3, 3, pads=[1] * 4), ("Relu", [-1], {}),
        ("MaxPool", [-1], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}),
        conv(3, 9, 6, 3, 3, pads=[1] * 4, strides=[2, 2]),
        ("AveragePool", [3], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
        conv(5, 9, 6, 1, 1), ("Add", [4, 6], {}), ("Relu", [-1], {}), *head(8, 9),
    ),
    "concat, grouped, silu": graph(
        [1, 4, 12, 12],
        conv(0, 6, 4, 3, 3), ("Sigmoid", [-1], {}), ("Mul", [1, 2], {}),
        conv(3, 9, 2, 3, 3, group=3, pads=[1] * 4), ("Concat", [3, 4], {"axis": 1}), conv(5, 7, 15, 1, 1), *head(6, 7),
    ),
    "numbers moved about": graph(
        [1, 3, 9, 8],
        conv(0, 8, 3, 3, 3, pads=[1] * 4), ("Relu", [-1], {}),
        ("AveragePool", [-1], {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1}),
        ("Resize", [-1, None, None, np.array([1, 8, 18, 16])], {"mode": "nearest"}),
        ("SpaceToDepth", [-1], {"blocksize": 2}),
        ("DepthToSpace", [-1], {"blocksize": 2, "mode": "CRD"}),
        ("Pad", [-1, np.array([0, 0, 2, 1, 0, 0, 1, 3]), None], {"mode": "reflect"}),
        ("Pad", [-1, np.array([0, 0, 1, 1, 0, 0, 1, 1]), F(-0.7)], {}),
        conv(8, 7, 8, 3, 3), *head(9, 7),
    ),
    "between pixels": graph(
        [1, 3, 9, 8],
        conv(0, 8, 3, 3, 3, pads=[1] * 4), ("LeakyRelu", [-1], {}),
        ("Resize", [-1, None, None, np.array([1, 8, 12, 10])], {"mode": "linear"}),
        conv(3, 7, 8, 3, 3), *head(4, 7),
    ),
    "transposed convolutions": graph(
        [1, 4, 6, 5],
        conv(0, 6, 4, 3, 3, pads=[1] * 4), ("Relu", [-1], {}),
        ("ConvTranspose", [-1, weights(6, 5, 3, 3), weights(5).ravel()], {"strides": [2, 2], "pads": [1] * 4}),
        ("Relu", [-1], {}),
        ("ConvTranspose", [-1, weights(5, 1, 4, 4)], {"strides": [2, 2], "pads": [1] * 4, "group": 5}),
        conv(5, 7, 5, 1, 1), *head(6, 7),
    ),
    "pads left to the runtime, a mirrored map, a Gemm with factors": graph(
        [1, 4, 6, 5],
        conv(0, 6, 4, 3, 3, pads=[1] * 4), ("Relu", [-1], {}),
        ("ConvTranspose", [-1, weights(6, 5, 3, 3), weights(5).ravel()], {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
        ("Slice", [-1, *(np.array([bound]) for bound in (-1, -99, 3, -1))], {}),
        ("ReduceMean", [-1, np.array([-1, -2])], {"keepdims": 1}),
        ("Reshape", [-1, np.array([1, 5])], {}),
        ("Gemm", [-1, weights(10, 5), weights(10).ravel()], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    ),
    "a flattened map, two dense layers": graph(
        [1, 3, 6, 5],
        conv(0, 7, 3, 3, 3), ("Relu", [-1], {}), ("Flatten", [-1], {}),
        ("Gemm", [-1, weights(11, 84), weights(11).ravel()], {"transB": 1}), ("Relu", [-1], {}),
        ("MatMul", [-1, weights(11, 5)], {}),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def qdq() -> dict[str, tuple[onnx.ModelProto, np.ndarray]]:
    made = {}
    for name, model in CASES.items():
        samples = models.inputs(model, count=30)
        made[name] = models.quantized(model, samples[:10]), samples
    return made


@pytest.mark.parametrize("name", CASES)
def test_litert_gives_onnxruntimes_integers(name: str, qdq: dict[str, tuple[onnx.ModelProto, np.ndarray]]) -> None:
    off = models.steps_off(*qdq[name], models.RUNTIMES[0])
    assert (off == 0).mean() >= 0.97
    assert off.max() <= 1


@models.COMPATIBLE
@pytest.mark.parametrize("name", CASES)
def test_tflite_runtime_is_near(name: str, qdq: dict[str, tuple[onnx.ModelProto, np.ndarray]]) -> None:
    """Its fixed-point kernels round twice."""
    off = models.steps_off(*qdq[name], "tflite_runtime")
    assert (off <= 2).mean() >= 0.99
    assert off.mean() < 0.5


@pytest.mark.parametrize("runtime", models.EVERY)
def test_one_scale_for_a_whole_weight(runtime: str) -> None:
    model = CASES["inverted residual, odd channels"]
    samples = models.inputs(model, count=10)
    whole = models.quantized(model, samples, per_channel=False)
    assert models.steps_off(whole, samples, runtime).max() <= 2


@pytest.mark.parametrize("runtime", models.EVERY)
@pytest.mark.parametrize(("operator", "channels"), [("ConvTranspose", 2), ("Conv", 1)])
def test_float_weights_between_integers(operator: str, channels: int, runtime: str) -> None:
    """As a quantizer leaves what it does not know, or what stays in float; one number is a weight too."""
    model = between(operator, [1, channels, 16, 16], (0.05, 3), weights(channels, channels, 1, 1))
    samples = np.tile(np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 16, 16), (1, channels, 1, 1))
    off = models.in_tflite(write(model, {}), samples, runtime).astype(int) - models.in_onnxruntime(model, samples)
    assert np.abs(off).max() <= 1


PRODUCTS = {
    "MatMul": graph([1, 6], ("MatMul", [-1, weights(6, 4)], {})),
    "MatMul, one output": graph([1, 6], ("MatMul", [-1, weights(6, 1)], {})),
    "MatMul, as many outputs as inputs": graph([1, 6], ("MatMul", [-1, weights(6, 6)], {})),
    "Gemm": graph([1, 6], ("Gemm", [-1, weights(6, 4), weights(4).ravel()], {})),
}


@pytest.mark.parametrize("runtime", models.EVERY)
@pytest.mark.parametrize("name", PRODUCTS)
def test_one_scale_for_a_whole_matrix(name: str, runtime: str) -> None:
    samples = models.inputs(PRODUCTS[name], count=10)
    whole = models.quantized(PRODUCTS[name], samples, per_channel=False)
    assert models.steps_off(whole, samples, runtime).max() <= 1


@pytest.mark.parametrize("runtime", models.EVERY)
def test_sums_far_beyond_the_results_keep_their_sign(runtime: str) -> None:
    """Of weights whose steps are thousands of results: which end they are at depends on every integer."""
    model = graph([1, 2], ("Gemm", [-1, F([[4e6, 0.3], [-2.1e6, 0.2]])], {}), ("Clip", [-1, F(0), F(6)], {}))
    samples = [F([[1, 1.5]]), F([[1.5, 1]]), F([[0.2, 0.9]])]
    feeds = np.concatenate(samples)
    assert models.steps_off(models.quantized(model, feeds), feeds, runtime).max() <= 1


STEEP = {
    "sum": (("Add", [-1, F([0, -1e7, 1.0, 0]).reshape(1, 4, 1, 1)], {}), ("Clip", [-1, F(0), F(6)], {})),
    "product": (("Mul", [-1, F([1e5])], {}), ("Clip", [-1, F(0), F(1)], {})),
    "product of channels": (
        ("Mul", [-1, F([1e7, -1e5, 1.0, 0]).reshape(1, 4, 1, 1)], {}), ("Clip", [-1, F(-1), F(1)], {}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("runtime", models.EVERY)
@pytest.mark.parametrize("name", STEEP)
def test_steps_that_are_many_of_the_result(name: str, runtime: str) -> None:
    """TFLite's ADD ends the process there, and its MUL and QUANTIZE overflow."""
    model = graph([1, 4, 5, 5], *STEEP[name])
    samples = models.inputs(model, count=20)
    off = models.steps_off(models.quantized(model, samples[:10]), samples, runtime)
    assert (off <= 1).mean() > 0.998, "an input half a step from 0 may go either way"


@pytest.mark.parametrize("runtime", models.EVERY)
@pytest.mark.parametrize("far", [1e6, 1e9, 1e20, 1e37])
@pytest.mark.parametrize("operator", ["Gemm", "Conv", "depthwise"])
def test_biases_far_beyond_the_results(operator: str, far: float, runtime: str) -> None:
    """XNNPACK loads no file with 256 steps of a result in one of the sum, and kernels multiply a bias as an int32."""
    bias = F([0.3, -far, far, 0.1, -0.2, far * 1e-3])
    weight = weights(16, 6) if operator == "Gemm" else weights(6, 1 if operator == "depthwise" else 6, 3, 3)
    attributes = {"group": 6} if operator == "depthwise" else {}
    shape = [1, 16] if operator == "Gemm" else [1, 6, 9, 9]
    kind = "Gemm" if operator == "Gemm" else "Conv"
    model = graph(shape, (kind, [-1, weight, bias], attributes), ("Clip", [-1, F(0), F(6)], {}))
    samples = models.inputs(model, count=20)
    assert models.steps_off(models.quantized(model, samples[:10]), samples, runtime).max() <= 1


def test_versions_that_every_runtime_knows(qdq: dict[str, tuple[onnx.ModelProto, np.ndarray]]) -> None:
    versions = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4}
    versions |= dict.fromkeys(["ADD", "MUL", "MEAN", "MAX_POOL_2D", "PAD", "PADV2", "CONCATENATION", "DEQUANTIZE"], 2)
    versions |= dict.fromkeys(["QUANTIZE", "RESHAPE"], 1)
    seen = set()
    for model, _ in qdq.values():
        for name, version in models.operators(write(model, {})):
            if name in versions:
                seen.add(name)
                assert version == versions[name] or (name in ("ADD", "MUL") and version == 1), name
    assert seen == set(versions)


def test_weights_and_biases_are_the_graphs_own(qdq: dict[str, tuple[onnx.ModelProto, np.ndarray]]) -> None:
    model = qdq["inverted residual, odd channels"][0]
    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    file = schema.ModelT.InitFromPackedBuf(write(model, {}))
    found = {tensor.name.decode(): tensor for tensor in file.subgraphs[0].tensors}
    checked = 0
    for name, values in stored.items():
        if not name.endswith("_quantized"):
            continue
        tensor = found[name]
        data = file.buffers[tensor.buffer].data.view(values.dtype)
        if values.ndim == 4:
            order = (1, 2, 3, 0) if tensor.quantization.quantizedDimension == 3 else (0, 2, 3, 1)
            values = values.transpose(order)  # noqa: PLW2901
        np.testing.assert_array_equal(data, values.ravel())
        scales = stored[name.replace("_quantized", "_quantized_scale" if values.dtype == np.int32 else "_scale")]
        np.testing.assert_allclose(tensor.quantization.scale, scales, rtol=1e-6)
        checked += 1
    assert checked == 10


def test_files_take_and_give_floats_under_the_graphs_names(qdq: dict[str, tuple[onnx.ModelProto, np.ndarray]]) -> None:
    for model, _ in qdq.values():
        data = write(model, {})
        assert models.operators(data)[0] == ("QUANTIZE", 1)
        assert models.operators(data)[-1] == ("DEQUANTIZE", 2)
        signature = models.open_file(data).get_signature_list()
        assert signature == {"serving_default": {"inputs": ["input"], "outputs": ["output"]}}


def between(
    operator: str, shape: list[int], result: tuple[float, int], *more: np.ndarray, **attributes: object
) -> onnx.ModelProto:
    """int8 `input` → DQ → operator → Q → int8 `output`, of one shape; `more` are constants in float."""
    numbers = {"s": F(0.031), "z": np.int8(-7), "t": F(result[0]), "y": np.int8(result[1])}
    numbers |= {f"c{index}": value for index, value in enumerate(more)}
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("DequantizeLinear", ["input", "s", "z"], ["real"]),
        helper.make_node(operator, ["real", *(f"c{index}" for index in range(len(more)))], ["made"], **attributes),
        helper.make_node("QuantizeLinear", ["made", "t", "y"], ["output"]),
    ]
    body = helper.make_graph(
        nodes,
        "between",
        [value("input", onnx.TensorProto.INT8, shape)],
        [value("output", onnx.TensorProto.INT8, shape)],
        [numpy_helper.from_array(np.asarray(number), name) for name, number in numbers.items()],
    )
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


EXACT = {
    "hard swish": ("HardSwish", (0.016, -105), [], {}),
    "hard sigmoid": ("HardSigmoid", (1 / 255, -128), [], {"alpha": 1 / 6, "beta": 0.5}),
    "hard sigmoid, cut short": ("HardSigmoid", (0.002173, 3), [], {"alpha": 1 / 6, "beta": 0.5}),
    "sigmoid on its own scale": ("Sigmoid", (0.0021, -120), [], {}),
    "relu with a zero point": ("Relu", (0.02137, 5), [], {}),
    "clip": ("Clip", (0.02137, -30), [F(-1), F(2.3)], {}),
    "clip within": ("Clip", (0.0235294, -128), [F(0), F(6)], {}),
    "times a number": ("Mul", (0.02317, -7), [F(0.7137)], {}),
    "batch norm": ("BatchNormalization", (0.05, 9), [weights(2, seed=s).ravel() ** 2 for s in range(4)], {}),
}


@pytest.mark.parametrize("runtime", models.EVERY)
@pytest.mark.parametrize("name", EXACT)
def test_every_int8_input(name: str, runtime: str) -> None:
    """All 256 of them; the graph's own input and output are integers, and so are the file's."""
    operator, result, more, attributes = EXACT[name]
    model = between(operator, [1, 2, 16, 16], result, *more, **attributes)
    samples = np.tile(np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 16, 16), (1, 2, 1, 1))
    found = models.in_tflite(write(model, {}), samples, runtime)
    expected = models.in_onnxruntime(model, samples)
    assert found.dtype == np.int8
    off = np.abs(found.astype(int) - expected)
    # MUL in tflite-runtime rounds twice.
    assert off.max() <= (name == "times a number" and runtime == "tflite_runtime")
    assert off.mean() < 0.02


@pytest.mark.parametrize("runtime", models.EVERY)
@pytest.mark.parametrize("axis_scale", [0.013, 0.031])
def test_means_are_not_biased(axis_scale: float, runtime: str) -> None:
    """tflite-runtime 2.14 loses the fraction of zero_point · scale_in / scale_out: up to a step, in all channels."""
    model = between("ReduceMean", [1, 64, 14, 14], (axis_scale, -77), np.array([2, 3]), keepdims=1)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("output", onnx.TensorProto.INT8, [1, 64, 1, 1]))
    random = np.random.default_rng(0)
    samples = np.clip(random.normal(0, 30, (4, 64, 1, 1)) + random.normal(-20, 25, (4, 64, 14, 14)), -128, 127).astype(
        np.int8
    )
    off = models.in_tflite(write(model, {}), samples, runtime).astype(int) - models.in_onnxruntime(model, samples)
    assert abs(off.mean()) < 0.03


@pytest.mark.parametrize("runtime", models.EVERY)
def test_averages_of_four(runtime: str) -> None:
    """Every fourth is a half, which goes to even (onnxruntime's own float32 sums put some to the other side)."""
    model = between("AveragePool", [1, 3, 40, 40], (0.031, -7), kernel_shape=[2, 2], strides=[2, 2])
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("output", onnx.TensorProto.INT8, [1, 3, 20, 20]))
    samples = np.random.default_rng(0).integers(-128, 128, (4, 3, 40, 40)).astype(np.int8)
    means = (samples.astype(float) + 7).reshape(4, 3, 20, 2, 20, 2).mean((3, 5))
    off = models.in_tflite(write(model, {}), samples, runtime) - models.channels_last(np.rint(means) - 7)
    # tflite-runtime rounds halves away from zero; and other fractions too when a sum has no bits to spare.
    assert (off != 0).mean() < (0.15 if runtime == "tflite_runtime" else 1e-9)


ROOT, HALF = np.sqrt(F(2)), F(0.5)
GELUS = {
    "by erf": [
        ("Div", [1, ROOT], {}), ("Erf", [-1], {}), ("Add", [-1, F(1)], {}), ("Mul", [-1, HALF], {}),
        ("Mul", [1, 5], {}),
    ],
    "by tanh": [
        ("Pow", [1, F(3)], {}), ("Mul", [-1, F(0.044715)], {}), ("Add", [1, 3], {}),
        ("Mul", [-1, F(np.sqrt(2 / np.pi))], {}), ("Tanh", [-1], {}), ("Add", [-1, F(1)], {}), ("Mul", [1, 7], {}),
        ("Mul", [-1, HALF], {}),
    ],
}  # fmt: skip


@pytest.mark.parametrize("runtime", models.EVERY)
@pytest.mark.parametrize("kind", GELUS)
def test_gelu_of_every_integer(kind: str, runtime: str) -> None:
    """erf and tanh + 1 lie midway between two integers when either fills its range, and kernels round that up."""
    model = graph([1, 2, 30, 30], ("Mul", [0, F(1.7)], {}), *GELUS[kind])
    samples = np.stack([np.linspace(low, 9, 1800, dtype=F).reshape(2, 30, 30) for low in (-9, -4, -0.2)])
    integers = models.quantized(model, samples)
    assert models.steps_off(integers, samples, runtime, as_written=True).max() == 0
    kinds = [name for name, _ in models.operators(write(integers, {}))]
    assert kinds == ["QUANTIZE", "CAST", "ADD", "GATHER", "DEQUANTIZE"]


@pytest.mark.parametrize("runtime", models.EVERY)
def test_a_curve_that_is_no_table(runtime: str) -> None:
    """Of numbers that differ from channel to channel, of two tensors; and one whose half-way is read elsewhere too."""
    channels = np.array([0.5, 2], F).reshape(2, 1, 1)
    cases = [
        graph([1, 2, 8, 8], ("Mul", [0, channels], {}), ("Neg", [0], {}), ("Add", [1, 2], {}), ("Erf", [-1], {}),
              ("Mul", [4, channels], {})),
        graph([1, 2, 8, 8], ("Neg", [0], {}), ("Mul", [0, F(0.7)], {}), ("Erf", [-1], {}), ("Mul", [3, HALF], {}),
              ("Mul", [3, 1], {}), ("Mul", [4, 5], {})),
    ]  # fmt: skip
    for model in cases:
        samples = models.inputs(model, count=10)
        integers = models.quantized(model, samples)
        off = models.steps_off(integers, samples, runtime, as_written=True)
        assert off.max() <= 1
        assert (off == 0).mean() > 0.97


def test_what_the_quantizer_left_in_float_stays_float() -> None:
    """A convolution returned to float between two on integers; onnxruntime's optimizer would quantize it again."""
    model = graph([1, 3, 8, 8], conv(0, 5, 3, 3, 3), ("Relu", [-1], {}), conv(2, 6, 5, 3, 3), conv(3, 4, 6, 1, 1))
    samples = models.inputs(model, count=6)
    mixed = models.quantized(model, samples)
    real = models.quantized(model, samples)
    middle = next(node for node in mixed.graph.node if node.op_type == "Conv" and node.name == "node_3")
    makers = {node.output[0]: node for node in real.graph.node}
    stored = {each.name: numpy_helper.to_array(each) for each in real.graph.initializer}
    for position in (1, 2):
        integers, scale, _ = (stored[name] for name in makers[middle.input[position]].input)
        shape = (-1,) + (1,) * (integers.ndim - 1)
        mixed.graph.initializer.append(
            numpy_helper.from_array((integers * scale.reshape(shape)).astype(F) * F(1.001), f"float_{position}")
        )
        middle.input[position] = f"float_{position}"
    kinds = [name for name, _ in models.operators(write(mixed, {}))]
    assert kinds == ["QUANTIZE", "CONV_2D", "DEQUANTIZE", "CONV_2D", "QUANTIZE", "CONV_2D", "DEQUANTIZE"]
    assert models.steps_off(mixed, samples, models.RUNTIMES[0], as_written=True).max() <= 1
