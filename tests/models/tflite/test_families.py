"""Networks for signals, texts, recommendations and sequences, as torch exports them: float and int8 answers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from edgepress.models.tflite.convert import layouts, write
from onnx import numpy_helper

from tests.models.tflite import models
from tests.models.tflite.families import IDS, NETWORKS, exported


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> onnx.ModelProto:
    return exported(*NETWORKS[request.param])


@pytest.fixture(scope="module")
def qdq(network: onnx.ModelProto) -> onnx.ModelProto:
    return models.quantized(network, models.feeds(network, 30, seed=5))


@pytest.mark.parametrize("runtime", models.EVERY)
def test_float_answers(network: onnx.ModelProto, runtime: str) -> None:
    feeds = models.feeds(network, 20)
    expected = models.answers(network, feeds)
    found = models.answers_of_file(write(network, {}), layouts(network), feeds, runtime)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("runtime", models.EVERY)
def test_int8_answers(qdq: onnx.ModelProto, runtime: str) -> None:
    """Against the graph as it is written: onnxruntime's optimizer drops pairs of Q and DQ, which moves up to 4% of an
    encoder's answers by more than a step."""
    feeds = models.feeds(qdq, 120)
    expected = models.answers(qdq, feeds, as_written=True)
    found = models.answers_of_file(write(qdq, {}), layouts(qdq), feeds, runtime)
    off = np.rint(np.abs(found - expected) / _step(qdq, expected))
    if runtime == "tflite_runtime":  # Its fixed-point kernels round twice.
        assert (off <= 1).mean() >= 0.98
        assert off.mean() < 0.3
    else:
        assert (off <= 1).mean() >= 0.99
        assert (off == 0).mean() >= 0.97


def _step(model: onnx.ModelProto, answers: np.ndarray) -> float:
    """One step of the output, or where it is float a 255th of the range."""
    maker = next(node for node in model.graph.node if "output" in node.output)
    if maker.op_type != "DequantizeLinear":
        return float(np.ptp(answers)) / 255
    scale = next(each for each in model.graph.initializer if each.name == maker.input[1])
    return float(numpy_helper.to_array(scale))


def test_the_files_face(network: onnx.ModelProto) -> None:
    """Names and order of the graph's inputs, int32 for ids, channels last for what slides over pixels or samples."""
    details = models.open_file(write(network, {})).get_input_details()
    orders = layouts(network)
    assert [each["name"] for each in details] == [value.name for value in network.graph.input] == list(orders)
    for value, each in zip(network.graph.input, details, strict=True):
        shape = [size.dim_value for size in value.type.tensor_type.shape.dim]
        wanted = shape if orders[value.name] == "same" else [shape[0], *shape[2:], shape[1]]
        assert each["shape"].tolist() == wanted
        is_float = value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        assert each["dtype"] is (np.float32 if is_float else np.int32)


def test_layouts(request: pytest.FixtureRequest, network: onnx.ModelProto) -> None:
    name = request.node.callspec.params["network"]
    wanted = {"signal": "NCL→NLC", "patches": "NCHW→NHWC"}.get(name.split(",")[0], "same")
    assert set(layouts(network).values()) == {wanted}


def test_no_transposes_between_convolutions(request: pytest.FixtureRequest, network: onnx.ModelProto) -> None:
    name = request.node.callspec.params["network"]
    kinds = [kind for kind, _ in models.operators(write(network, {}))]
    if not name.startswith(("attention", "encoder", "patches")):
        assert "TRANSPOSE" not in kinds
    if name == "signal":
        assert kinds.count("RESHAPE") == 2, "one to an image of one row, one from it"


def test_a_quantized_table_stays_in_integers(request: pytest.FixtureRequest, qdq: onnx.ModelProto) -> None:
    name = request.node.callspec.params["network"]
    if not name.startswith(("text", "recommender", "encoder")):
        pytest.skip("it has no table")
    interpreter = models.open_file(write(qdq, {}))
    tables = [each for each in interpreter.get_tensor_details() if list(each["shape"])[:1] in ([IDS], [IDS + 10])]
    assert {each["dtype"] for each in tables} == {np.int8}
