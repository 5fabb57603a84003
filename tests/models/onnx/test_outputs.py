"""All outputs of a file without labels are kept, in order and by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset, Split
from edgepress.models import metadata
from edgepress.models.predict import predict
from edgepress.models.tflite.convert import layouts, write
from onnx import helper

from tests.models.onnx.made import FLOAT, IMAGE, data, imported, node, weights

ORDER = ("map", "vector", "flags")


def unlabelled() -> Dataset:
    splits = {name: Split(x, np.zeros(len(x), np.int64)) for name, (x, _) in data().splits.items()}
    return replace(data(), labels=(), splits=splits, task="single-label", labelled=False)


def many(*names: str) -> onnx.ModelProto:
    """A map, a vector and whole numbers, in an order that is not that of the nodes."""
    nodes = [
        node("Conv", ["x", "w", "b"], ["h"], pads=[1] * 4), node("Relu", ["h"], ["r"]),
        node("GlobalAveragePool", ["r"], ["p"]), node("Flatten", ["p"], ["f"]), node("Gemm", ["f", "v"], ["vector"]),
        node("ArgMax", ["vector"], ["flags"], axis=1), node("Conv", ["r", "k"], ["map"]),
    ]  # fmt: skip
    tensors = {"w": weights(8, 3, 3, 3), "b": weights(8, 1)[:, 0], "v": weights(8, 5), "k": weights(2, 8, 1, 1)}
    kinds = {"flags": onnx.TensorProto.INT64}
    axes = {"map": ["n", 2, "height", "width"]}
    values = [helper.make_tensor_value_info(n, kinds.get(n, FLOAT), axes.get(n, ["n", None])) for n in names or ORDER]
    made = helper.make_graph(
        nodes, "made", [helper.make_tensor_value_info("x", FLOAT, ["n", *IMAGE.shape])],
        values,
        [onnx.numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_they_keep_order_name_shape_and_type(tmp_path: Path) -> None:
    model, _ = imported(many(), tmp_path, unlabelled())
    entries = metadata.read_onnx(model)["outputs"]
    assert [(entry["name"], entry["shape"], entry["dtype"]) for entry in entries] == [
        ("map", [1, 2, 8, 8], "float32"), ("vector", [1, 5], "float32"), ("flags", [1, 1], "int64"),
    ]  # fmt: skip
    assert [entry["meaning"] for entry in entries] == ["raw"] * 3
    outputs = predict(tmp_path / "made.onnx", data()["test"].x)
    assert outputs.dtype.names == ORDER
    assert (outputs["map"].shape, outputs["vector"].shape) == ((20, 2, 8, 8), (20, 5))


def test_tflite_gives_them_alike(tmp_path: Path) -> None:
    model, _ = imported(many("map", "vector"), tmp_path, unlabelled())
    last = [name for name, layout in layouts(model).items() if layout != "same"]
    contract = metadata.for_tflite(metadata.read_onnx(model), last)
    assert [(entry["shape"], entry.get("layout")) for entry in contract["outputs"]] == [
        ([1, 8, 8, 2], "NHWC"), ([1, 5], None),
    ]  # fmt: skip
    (tmp_path / "m.tflite").write_bytes(write(model, contract))
    x = data()["test"].x
    mine, theirs = predict(tmp_path / "made.onnx", x), predict(tmp_path / "m.tflite", x)
    assert mine.dtype == theirs.dtype
    for name in ("map", "vector"):
        np.testing.assert_allclose(theirs[name], mine[name], atol=1e-5)


def test_one_of_them_is_chosen(tmp_path: Path) -> None:
    model, _ = imported(many(), tmp_path, unlabelled(), output="map")
    assert [value.name for value in model.graph.output] == ["map"]
    assert predict(tmp_path / "made.onnx", data()["test"].x).shape == (20, 2, 8, 8)


def test_data_with_labels_takes_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has 3 outputs: map, vector, flags"):
        imported(many(), tmp_path, data())
    imported(many(), tmp_path, data(), output="vector")
    assert predict(tmp_path / "made.onnx", data()["test"].x).shape == (20, 5)


def test_two_outputs_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        imported(many("map", "map"), tmp_path, unlabelled())
    assert "has two outputs called `map`" in str(error.value) or "not a sound ONNX" in str(error.value)


def test_an_output_of_open_shape_is_refused(tmp_path: Path) -> None:
    model = many("vector")
    model.graph.node.extend([node("Greater", ["vector", "zero"], ["large"]), node("NonZero", ["large"], ["found"])])
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0), "zero"))
    model.graph.output.append(helper.make_tensor_value_info("found", onnx.TensorProto.INT64, [2, "rows"]))
    with pytest.raises(UserError) as error:
        imported(model, tmp_path, unlabelled())
    assert "the output `found` of " in str(error.value)
    assert "has an open shape" in str(error.value)
    assert "choose another output, `output: NAME`" in str(error.value)


@pytest.mark.parametrize("simplify", [True, False])
def test_the_first_axis_of_an_output_is_not_always_the_batch(simplify: bool, tmp_path: Path) -> None:
    """Of an output of [n, 4] examples tell the size: ten rows, whatever the batch."""
    nodes = [
        node("GlobalAveragePool", ["x"], ["p"]), node("Reshape", ["p", "flat"], ["f"]),
        node("MatMul", ["f", "w"], ["g"]), node("Reshape", ["g", "rows"], ["y"]),
    ]  # fmt: skip
    tensors = {"w": weights(3, 40), "rows": np.array([-1, 4]), "flat": np.array([1, 3])}
    y = helper.make_tensor_value_info("y", FLOAT, ["n", 4])
    made = helper.make_graph(
        nodes, "made", [helper.make_tensor_value_info("x", FLOAT, ["n", *IMAGE.shape])], [y],
        [onnx.numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )  # fmt: skip
    given = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model, _ = imported(given, tmp_path, unlabelled(), simplify=simplify)
    assert metadata.read_onnx(model)["outputs"][0]["shape"] == [10, 4]
