"""Files that cannot be used are refused in words, and those of before 2019 are read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from edgepress.core.errors import UserError
from edgepress.models.onnx.reading import read
from onnx import TensorProto, helper

from tests.models.onnx.made import data, graph, images, imported, node, run, weights

TENSOR = helper.make_tensor_type_proto(TensorProto.FLOAT, [1, 3])
KINDS = {
    "a sequence": helper.make_sequence_type_proto(TENSOR),
    "an optional value": helper.make_optional_type_proto(TENSOR),
    "a map": helper.make_map_type_proto(TensorProto.INT64, TENSOR),
    "text": helper.make_tensor_type_proto(TensorProto.STRING, [1, 3]),
}


def saved(graph: onnx.GraphProto, folder: Path) -> Path:
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "m.onnx")
    return folder / "m.onnx"


@pytest.mark.parametrize("kind", KINDS)
def test_only_tensors_of_numbers_go_in_and_out(kind: str, tmp_path: Path) -> None:
    ends = [helper.make_value_info("x", KINDS[kind])], [helper.make_value_info("y", KINDS[kind])]
    path = saved(helper.make_graph([node("Identity", ["x"], ["y"])], "g", *ends), tmp_path)
    with pytest.raises(UserError, match=f"takes {kind} as `x`"):
        read(path)


@pytest.mark.parametrize("number", [0, 200])
def test_an_input_of_no_type(number: int, tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])
    x.type.tensor_type.elem_type = number
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])
    with pytest.raises(UserError, match=r"no type of numbers for its input `x`|is not a sound ONNX file"):
        read(saved(helper.make_graph([node("Relu", ["x"], ["y"])], "g", [x], [y]), tmp_path))


def test_a_graph_without_outputs(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])
    with pytest.raises(UserError, match="has no outputs"):
        read(saved(helper.make_graph([node("Relu", ["x"], ["y"])], "g", [x], []), tmp_path))


@pytest.mark.parametrize("location", ["a" * 300, "b" * 5000, "missing.bin", "../outside.bin", "/etc/passwd"])
def test_weights_that_are_not_beside_the_file(location: str, tmp_path: Path) -> None:
    model = graph(*images())
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="is not a sound ONNX file") as error:
        read(tmp_path / "m.onnx")
    (problem,) = error.value.problems
    assert f"its weights are in `{location[:60]}" in problem.help
    assert max(len(problem.message), len(problem.help)) < 500


@pytest.mark.parametrize("opset", [8, 9, 12])
@pytest.mark.parametrize("ir", [3, 4, 8])
def test_weights_among_the_inputs_are_weights(ir: int, opset: int, tmp_path: Path) -> None:
    """The ONNX model zoo before 2019; raising the operator set makes new weights, such as the shape of a Reshape."""
    nodes, tensors = images()
    nodes[-1] = node("Gemm", ["f", "v", "d"], ["y"])
    model = graph(nodes, tensors | {"d": weights(5, 1)[:, 0]}, opset=opset)
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    model.ir_version = ir
    made, _ = imported(model, tmp_path, data())
    assert [value.name for value in made.graph.input] == ["x"]
    x = data()["test"].x[:1]
    np.testing.assert_allclose(run(made, x), run(model, x), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("length", "offset", "words"),
    [
        (10**12, 0, "end behind the end of `w.bin`"),
        (12, 5, "end behind the end of `w.bin`, by 5 bytes"),
        (8, 0, "take 12 bytes, and 8 are kept for them"),
        (None, 0, ""),
    ],
)
def test_weights_beside_a_file_are_as_long_as_it_says(
    length: int | None, offset: int, words: str, tmp_path: Path
) -> None:
    path = beside(tmp_path, {"length": length, "offset": offset})
    (tmp_path / "w.bin").write_bytes(bytes(12))
    if not words:
        assert read(path).graph.initializer[0].raw_data == bytes(12)
        return
    with pytest.raises(UserError, match=words):
        read(path)


def test_a_pipe_of_weights_is_not_opened(tmp_path: Path) -> None:
    path = beside(tmp_path, {})
    os.mkfifo(tmp_path / "w.bin")
    with pytest.raises(UserError, match=r"in `w\.bin`, which is a named pipe"):
        read(path)


def test_a_sparse_file_of_terabytes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "m.onnx").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UserError, match=r"has 1100 GB, and such a file has less than 2\.15 GB"):
        read(tmp_path / "m.onnx")


def beside(folder: Path, options: dict[str, int | None]) -> Path:
    """A file whose weights, three numbers, are in `w.bin`."""
    ends = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy")
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    for key, value in ({"location": "w.bin"} | options).items():
        if value is not None:
            entry = tensor.external_data.add()
            entry.key, entry.value = key, str(value)
    x, y = ends
    return saved(helper.make_graph([node("Add", ["x", "w"], ["y"])], "g", [x], [y], [tensor]), folder)
