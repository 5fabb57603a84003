"""The answers of a file, image by image, in the order asked."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from edgepress.core.errors import UserError
from edgepress.core.machine import machine
from edgepress.core.presets import PRESETS, host_preset
from edgepress.data.dataset import Dataset
from edgepress.models import predict as module
from edgepress.models.onnx.importer import adopt
from edgepress.models.onnx.packed_weights import unpacked
from edgepress.models.predict import in_torch, predict
from edgepress.models.prepared import columns_of
from edgepress.models.session import run_file
from edgepress.models.tflite.convert import write
from edgepress.stages.quantize.qdq import written
from torch import nn

from tests import graphs
from tests.models.tflite.models import COMPATIBLE, graph, inputs, quantized, weights
from tests.stages.quantize import made


def test_answers_keep_the_order_of_the_images(few: Dataset, tmp_path: Path) -> None:
    (tmp_path / "g.onnx").write_bytes(graphs.small().SerializeToString())
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    x = few.input.to_model_inputs(few["test"].x[:9])
    answers = predict(tmp_path / "model.onnx", x)
    assert (answers.shape, answers.dtype) == ((9, 10), np.float32)
    np.testing.assert_array_equal(predict(tmp_path / "model.onnx", x[::-1]), answers[::-1])


@COMPATIBLE
def test_results_do_not_depend_on_the_threads(few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgepress.models.metadata import for_tflite, read_onnx
    from edgepress.models.tflite.convert import write

    (tmp_path / "g.onnx").write_bytes(graphs.small().SerializeToString())
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    (tmp_path / "model.tflite").write_bytes(write(model, for_tflite(read_onnx(model), ["x"])))
    x = few.input.to_model_inputs(few["test"].x[:20])
    for name, runtime in (("model.onnx", None), ("model.tflite", "litert"), ("model.tflite", "tflite-runtime")):
        found = []
        for threads in (1, 2, 4, 64):
            monkeypatch.setattr(module, "at_most", lambda threads=threads: threads)
            found.append(predict(tmp_path / name, x, runtime))
        assert all(np.array_equal(each, found[0]) for each in found), name


@COMPATIBLE
def test_tflite_answers_as_onnx_in_both_runtimes(few: Dataset, tmp_path: Path) -> None:
    from edgepress.models.metadata import for_tflite, read_onnx
    from edgepress.models.tflite.convert import write

    (tmp_path / "g.onnx").write_bytes(graphs.small().SerializeToString())
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    (tmp_path / "model.tflite").write_bytes(write(model, for_tflite(read_onnx(model), ["x"])))
    x = few.input.to_model_inputs(few["test"].x[:9])
    expected = predict(tmp_path / "model.onnx", x)
    for runtime in (None, "litert", "tflite-runtime"):
        np.testing.assert_allclose(predict(tmp_path / "model.tflite", x, runtime), expected, rtol=1e-4, atol=1e-4)


def test_torch_computes_a_few_examples_at_a_time(few: Dataset) -> None:
    """64 photos at once were a gigabyte of activations, the peak of a whole run."""
    sizes = []

    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sizes.append(len(x))
            return x.flatten(1)

    x = few.input.to_model_inputs(few["test"].x[:20])
    assert np.array_equal(in_torch(Net(), (x,)).numpy(), x.reshape(20, -1))
    assert sizes == [8, 8, 4]


def test_raw_rows_are_prepared_in_parts(few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "g.onnx").write_bytes(graphs.small().SerializeToString())
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    x, prepared = few["test"].x[:9], []
    expected = predict(tmp_path / "model.onnx", few.input.to_model_inputs(x))
    monkeypatch.setattr(module, "PREPARED", 4 * 4 * math.prod(few.input.shape))
    monkeypatch.setattr(module, "columns_of", lambda *given: prepared.append(len(given[2])) or columns_of(*given))
    np.testing.assert_array_equal(module.predict_raw(tmp_path / "model.onnx", few, x), expected)
    assert prepared == [4, 4, 1]


def test_a_file_that_its_runtime_refuses_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XNNPACK loads no file with 256 steps of a result in one of the sum; the writer makes none by itself."""
    monkeypatch.setattr("edgepress.models.tflite.ops.dense._MOST_STEPS", 1e37)
    layer = ("Gemm", [-1, weights(16, 4), np.float32([0.3, 1e37, 0.1, 0.2])], {})
    model = graph([1, 16], layer, ("Clip", [-1, np.float32(0), np.float32(6)], {}))
    samples = inputs(model, count=4)
    path = tmp_path / "model.tflite"
    entry = {"layout": None, "dtype": "float32"}
    contract = {"inputs": [entry | {"name": "input", "shape": [1, 16]}], "outputs": [entry | {"name": "output"}]}
    path.write_bytes(write(quantized(model, samples), contract))
    with pytest.raises(UserError, match=r"litert cannot run `model\.tflite`: failed to create XNNPACK runtime"):
        predict(path, samples)


def _of_every_operator() -> list[onnx.ModelProto]:
    """Graphs in integers of all operators that have the same numbers with unsigned activations."""
    random = np.random.default_rng(0)
    some = {
        "w1": random.normal(size=(8, 3, 3, 3)), "w2": random.normal(size=(8, 1, 3, 3)), "b2": random.normal(size=8),
        "w3": random.normal(size=(8, 6, 2, 2)), "w4": random.normal(size=(5, 6)), "low": 0.0, "high": 6.0,
    }  # fmt: skip
    node = onnx.helper.make_node
    one = made.graph(
        [
            node("Conv", ["x", "w1"], ["c1"], "first", pads=[1] * 4),
            node("Clip", ["c1", "low", "high"], ["r1"], "clip"),
            node("Conv", ["r1", "w2", "b2"], ["c2"], "second", pads=[1] * 4, group=8),
            node("Relu", ["c2"], ["r2"], "relu"), node("Add", ["r1", "r2"], ["a"], "sum"),
            node("MaxPool", ["a"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
            node("ConvTranspose", ["p", "w3"], ["t"], "up", strides=[2, 2]),
            node("ReduceMean", ["t", "axes"], ["m"], "mean"), node("Flatten", ["m"], ["f"], "flat"),
            node("Gemm", ["f", "w4"], ["y"], "dense", transB=1),
        ],
        some, (1, 3, 16, 16), (1, 5), axes=[2, 3],
    )  # fmt: skip
    some = {"w1": some["w1"], "w4": random.normal(size=(8, 5))}
    two = made.graph(
        [
            node("Conv", ["x", "w1"], ["c1"], "first", strides=[2, 2]), node("Relu", ["c1"], ["r1"], "relu"),
            node("GlobalAveragePool", ["r1"], ["g"], "mean"), node("Squeeze", ["g", "axes"], ["s"], "less"),
            node("Unsqueeze", ["s", "last"], ["u"], "more"), node("Transpose", ["u"], ["t"], "turn", perm=[0, 2, 1]),
            node("Reshape", ["t", "shape_"], ["f"], "flat"), node("Gemm", ["f", "w4"], ["y"], "dense"),
        ],
        some, (1, 3, 16, 16), (1, 5), axes=[2, 3], last=[2], shape_=[1, 8],
    )  # fmt: skip
    found = []
    for model, floats in ((one, ()), (two, ()), (one, ("first", "clip")), (one, ("second", "relu"))):
        given = made.evidence(model, 64)
        found.append(written(made.plan(model, given, floats=frozenset(floats)), PRESETS["xnnpack"]))
    return found


def test_the_unsigned_twin_has_the_numbers_of_signed_kernels(tmp_path: Path) -> None:
    models = _of_every_operator()
    assert {node.op_type for model in models for node in unpacked(model.graph)} == module._ALIKE
    x = np.random.default_rng(2).normal(size=(64, 3, 16, 16)).astype(np.float32)
    for number, model in enumerate(models):
        path = tmp_path / f"{number}.onnx"
        onnx.save(model, path)
        expected = run_file("onnxruntime", str(path), (x,), "signed")["y"]
        np.testing.assert_array_equal(predict(path, x), expected)
        with module._computed(path, None) as (file, kernels):
            assert (kernels == "usual") == (file != str(path)) == (host_preset(machine()) == "x86")


def test_operators_that_round_otherwise_have_no_twin(tmp_path: Path) -> None:
    nodes = [
        onnx.helper.make_node("Sigmoid", ["x"], ["s"], "sigmoid"),
        onnx.helper.make_node("Mul", ["x", "s"], ["y"], "product"),
    ]
    model = made.graph(nodes, {}, (1, 3, 8, 8), (1, 3, 8, 8))
    onnx.save(written(made.plan(model, made.evidence(model)), PRESETS["xnnpack"]), tmp_path / "m.onnx")
    with module._computed(tmp_path / "m.onnx", None) as found:
        assert found == (str(tmp_path / "m.onnx"), "signed")


@pytest.mark.parametrize("zero_point", [0, 130])
def test_a_file_of_both_signs_has_no_twin(zero_point: int, tmp_path: Path) -> None:
    """As others write it: int8 before an operator, uint8 behind it."""
    node = onnx.helper.make_node
    nodes = [
        node("QuantizeLinear", ["x", "s", "z1"], ["q1"]), node("DequantizeLinear", ["q1", "s", "z1"], ["d1"]),
        node("Relu", ["d1"], ["r"]),
        node("QuantizeLinear", ["r", "s", "z2"], ["q2"]), node("DequantizeLinear", ["q2", "s", "z2"], ["y"]),
    ]  # fmt: skip
    values = {"s": np.float32(0.05), "z1": np.int8(3), "z2": np.uint8(zero_point)}
    tensors = [onnx.numpy_helper.from_array(np.array(value), name) for name, value in values.items()]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1, 3, 8, 8)) for name in "xy"]
    found = onnx.helper.make_graph(nodes, "made", ends[:1], ends[1:], tensors)
    path = tmp_path / "m.onnx"
    onnx.save(onnx.helper.make_model(found, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9), path)
    x = np.random.default_rng(0).normal(0, 5, (4, 3, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(predict(path, x), run_file("onnxruntime", str(path), (x,), "signed")["y"])
