"""Inputs as TensorFlow and others have them: a Transpose or a Cast in front, for ONNX and for TFLite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset, Input
from edgepress.models import metadata
from edgepress.models.predict import predict
from edgepress.models.tflite.convert import layouts, write
from onnx import TensorProto

from tests.models.onnx.made import IMAGE, SERIES, TOKENS, data, graph, images, imported, node, operators, run, weights


def channels_last(dtype: int = TensorProto.FLOAT) -> onnx.ModelProto:
    nodes, tensors = images("z")
    front = [node("Cast", ["x"], ["i"], to=TensorProto.FLOAT), node("Transpose", ["i"], ["z"], perm=[0, 3, 1, 2])]
    return graph([*front, *nodes], tensors, ["n", 8, 8, 3], dtype)


def of_ids(dtype: int) -> onnx.ModelProto:
    nodes = [
        node("Cast", ["x"], ["i"], to=TensorProto.INT64), node("Gather", ["e", "i"], ["g"]),
        node("ReduceMean", ["g"], ["p"], axes=[1], keepdims=0), node("Gemm", ["p", "v"], ["y"]),
    ]  # fmt: skip
    return graph(nodes, {"e": weights(50, 8), "v": weights(8, 5)}, ["n", 12], dtype)


def of_series() -> onnx.ModelProto:
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 2, 1]), node("Conv", ["t", "w"], ["c"]),
        node("GlobalAveragePool", ["c"], ["p"]), node("Flatten", ["p"], ["y"]),
    ]  # fmt: skip
    return graph(nodes, {"w": weights(5, 4, 3)}, ["n", 32, 4])


def in_half() -> onnx.ModelProto:
    nodes, tensors = images()
    half = {name: value.astype(np.float16) for name, value in tensors.items()}
    return graph(nodes, half, dtype=TensorProto.FLOAT16, out=TensorProto.FLOAT16)


def in_double() -> onnx.ModelProto:
    nodes, tensors = images("z")
    return graph([node("Cast", ["x"], ["z"], to=TensorProto.FLOAT), *nodes], tensors, dtype=TensorProto.DOUBLE)


GREY = Input("input", "image", (1, 8, 8), 1.0, (0.0,), (1.0,), normalized_by="recipe")


def without_channels() -> onnx.ModelProto:
    nodes = [node("Flatten", ["x"], ["f"]), node("Gemm", ["f", "v"], ["y"])]
    return graph(nodes, {"v": weights(64, 5)}, ["n", 8, 8])


CASES = {
    "images, channels last": (channels_last(), data(), "float32"),
    "pixels, channels last": (channels_last(TensorProto.UINT8), data(pixels=True), "uint8"),
    "pixels as int32": (channels_last(TensorProto.INT32), data(pixels=True), "uint8"),
    "grey without channels": (without_channels(), data(GREY), "float32"),
    "series, channels last": (of_series(), data(SERIES), "float32"),
    "ids of 32 bits": (of_ids(TensorProto.INT32), data(TOKENS), "int64"),
    "ids as float": (of_ids(TensorProto.FLOAT), data(TOKENS), "int64"),
    "float16": (in_half(), data(), "float32"),
    "float64": (in_double(), data(), "float32"),
}


@pytest.mark.parametrize(("model", "given", "dtype"), CASES.values(), ids=CASES)
def test_the_data_fit_in_onnx_and_in_tflite(model: onnx.ModelProto, given: Dataset, dtype: str, tmp_path: Path) -> None:
    made, _ = imported(model, tmp_path, given)
    contract = metadata.read_onnx(made)
    (entry,) = contract["inputs"]
    assert (entry["name"], entry["dtype"], entry["shape"]) == ("x", dtype, [1, *given.input.shape])
    assert entry["layout"] == {"image": "NCHW", "series": "NCL", "tokens": "NL"}[given.input.kind]

    columns = metadata.to_model_inputs(contract, given, given["test"].x[:5])
    before = onnx.helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type)
    sides = [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim][1:]
    ordered = np.moveaxis(columns[0], 1, -1) if sides[-1] == columns[0].shape[1] != sides[0] else columns[0]
    taken = ordered.reshape(-1, *sides).astype(before)
    expected = np.concatenate([run(model, row[None]) for row in taken]).astype(np.float32)
    np.testing.assert_allclose(predict(tmp_path / "made.onnx", columns), expected, rtol=1e-2, atol=1e-3)

    moved = [name for name, layout in layouts(made).items() if layout != "same"]
    (tmp_path / "made.tflite").write_bytes(write(made, metadata.for_tflite(contract, moved)))
    np.testing.assert_allclose(predict(tmp_path / "made.tflite", columns), expected, rtol=1e-2, atol=1e-3)


def test_channels_are_moved_once_only(tmp_path: Path) -> None:
    """The Transpose in front and the file's own are none together."""
    made, _ = imported(channels_last(), tmp_path, data())
    assert "Transpose" not in operators(made)


def test_a_file_in_float16_is_said_to_compute_in_float32(tmp_path: Path) -> None:
    made, result = imported(in_half(), tmp_path, data())
    assert [*result.warnings] == ["computes in float16 in the file that came, and in float32 here"]
    assert {tensor.data_type for tensor in made.graph.initializer if tensor.dims} <= {
        TensorProto.FLOAT,
        TensorProto.INT64,
    }


@pytest.mark.parametrize("sides", [[1, 3, 8, 9], [1, 8, 3, 8], [2, 3, 8, 8]])
def test_another_shape_is_refused(sides: list[int], tmp_path: Path) -> None:
    nodes, tensors = images()
    with pytest.raises(UserError, match="takes float32"):
        imported(graph(nodes, tensors, sides), tmp_path, data(IMAGE))
