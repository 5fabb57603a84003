"""The contract of every delivered file, and that it says what the pipeline itself does."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from edgepress.data.dataset import Dataset, Input
from edgepress.models import metadata, pretrained
from edgepress.models.predict import predict

from tests import graphs
from tests.models import schema_2


def test_the_formula_of_the_contract_is_what_models_are_fed(digits: Dataset) -> None:
    contract = metadata.describe(digits)
    (given,) = contract["inputs"]
    mean, std = (np.array(given[name], np.float32).reshape(1, -1, 1, 1) for name in ("mean", "std"))
    x = (digits["test"].x * np.float32(given["scale"]) - mean) / std
    np.testing.assert_allclose(x, digits.input.to_model_inputs(digits["test"].x), atol=1e-6)
    assert (given["layout"], given["size"], given["channels"], given["color"]) == ("NCHW", [8, 8], 1, "grey")
    assert contract["labels"] == list("0123456789")
    assert contract["schema"] == metadata.SCHEMA


def test_raw_values_come_back(digits: Dataset) -> None:
    pixels = digits["test"].x[:50]
    again = digits.input.raw(digits.input.to_model_inputs(pixels))
    assert again.dtype == np.uint8
    assert np.array_equal(again, pixels)
    numbers = np.array([[-3.5, 400.25], [0.125, 1e4]], np.float32)
    given = Input("input", "numbers", (2,), mean=(1.5, 300.0), std=(0.5, 200.0))
    np.testing.assert_allclose(given.raw(given.to_model_inputs(numbers)), numbers, rtol=1e-6)


def test_embedded_once_and_other_properties_stay(few: Dataset, tmp_path: Path) -> None:
    model = graphs.small()
    entry = model.metadata_props.add()
    entry.key, entry.value = "author", "someone"
    metadata.embed(model, {"schema": 0})
    metadata.embed(model, metadata.describe(few))
    assert [p.key for p in model.metadata_props] == ["author", "edgepress"]
    onnx.save(model, tmp_path / "m.onnx")
    assert metadata.read(tmp_path / "m.onnx") == metadata.describe(few)


def test_a_file_without_a_contract(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        metadata.read_onnx(graphs.small())


def test_tflite_differs_in_the_layout_alone(few: Dataset) -> None:
    contract = metadata.describe(few)
    other = metadata.for_tflite(contract, ["input"])
    assert (other["inputs"][0].pop("layout"), other["inputs"][0].pop("shape")) == ("NHWC", [1, 8, 8, 1])
    mine = contract["inputs"][0]
    assert (mine.pop("layout"), mine.pop("shape")) == ("NCHW", [1, 1, 8, 8]), "the original is not changed"
    assert other == contract


def test_the_contract_of_an_older_version_is_ours_too() -> None:
    """Of schema 1, with one input of images; the file of `recipes/onnx-only.yaml` has it."""
    file = pretrained.find("models/fashion-small.onnx", Path("recipes/onnx-only.yaml"))
    contract = metadata.own({each.key: each.value for each in onnx.load(file).metadata_props})
    assert contract is not None
    (entry,) = contract["inputs"]
    assert (entry["kind"], entry["shape"], entry["mean"], entry["std"]) == ("image", [1, 1, 28, 28], [0.286], [0.353])
    assert contract["task"] == "single-label"
    assert metadata.own({metadata.METADATA_KEY: '{"schema": 1, "labels": []}'}) is None


@pytest.mark.parametrize(("suffix", "stored"), [(".onnx", schema_2.ONNX), (".tflite", schema_2.TFLITE)])
def test_files_of_schema_2_are_read_and_run(suffix: str, stored: bytes, tmp_path: Path) -> None:
    """They have one `output` with a `kind`."""
    path = tmp_path / f"m{suffix}"
    path.write_bytes(zlib.decompress(base64.b85decode(stored)))
    contract = metadata.read(path)
    assert contract["outputs"] == [{"name": "output", "dtype": "float32", "meaning": "logits"}]
    assert (contract["schema"], "output" in contract) == (3, False)
    x = np.arange(8, dtype=np.float32).reshape(2, 1, 2, 2)
    weights = np.array([[1, 2], [3, 4], [5, 6], [7, 8]], np.float32)
    np.testing.assert_allclose(predict(path, x), x.reshape(2, 4) @ weights, rtol=1e-6)


def test_the_scale_of_an_output_of_schema_2_is_kept() -> None:
    scale = {"scale": 0.5, "zero_point": -3}
    before = {"schema": 2, "inputs": [], "labels": ["a"], "task": "regression"}
    before |= {"output": {"name": "y", "kind": "values", "dtype": "int8", "quantization": scale}}
    (entry,) = metadata.upgraded(before)["outputs"]
    assert (entry["quantization"], entry["dtype"], entry["meaning"]) == (scale, "int8", "values")
