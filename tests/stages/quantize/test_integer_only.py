"""Integers from the input to the output: what the contract says is all that it takes to use the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from edgepress.core.errors import UserError
from edgepress.core.metrics import METRICS
from edgepress.data.dataset import Dataset
from edgepress.models import metadata
from edgepress.models.onnx.importer import adopt
from edgepress.models.predict import predict
from edgepress.models.tflite.convert import read_metadata, write
from edgepress.stages.quantize.integer_only import to_integers
from edgepress.stages.quantize.ptq import Options, quantize_static

from tests import graphs
from tests.models.tflite.models import COMPATIBLE


@pytest.fixture
def files(few: Dataset, tmp_path: Path) -> dict[str, Path]:
    onnx.save(graphs.small(), tmp_path / "g.onnx")
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    options = Options(samples=32, ranges="minmax", improve=False, keep=None)
    presets = ("xnnpack", "integer-only")
    made, _ = quantize_static(
        tmp_path / "model.onnx", few, METRICS["accuracy"], tmp_path, presets=presets, options=options
    )
    return {name: tmp_path / file for name, file in made.items()}


def test_the_same_answers_from_integers_to_integers(files: dict[str, Path], few: Dataset) -> None:
    raw = few["test"].x[:24]
    answers = {}
    for name, path in files.items():
        contract = metadata.read(path)
        columns = metadata.to_model_inputs(contract, few, raw)
        answers[name] = metadata.to_logits(predict(path, columns), contract, few)
    assert columns[0].dtype == np.int8
    np.testing.assert_allclose(answers["integer-only"], answers["xnnpack"], atol=1e-5)


def test_nothing_in_the_file_is_float_but_scales(files: dict[str, Path]) -> None:
    model = onnx.load(files["integer-only"])
    ends = [*model.graph.input, *model.graph.output]
    assert {value.type.tensor_type.elem_type for value in ends} == {onnx.TensorProto.INT8}
    contract = metadata.read(files["integer-only"])
    assert contract["inputs"][0]["dtype"] == contract["outputs"][0]["dtype"] == "int8"


@pytest.mark.parametrize("runtime", ["litert", pytest.param("tflite-runtime", marks=COMPATIBLE)])
def test_tflite_made_of_it_takes_int8_and_says_so(
    runtime: str, files: dict[str, Path], few: Dataset, tmp_path: Path
) -> None:
    model = onnx.load(files["integer-only"])
    (tmp_path / "m.tflite").write_bytes(write(model, metadata.for_tflite(metadata.read_onnx(model), ["x"])))
    contract = read_metadata((tmp_path / "m.tflite").read_bytes())
    columns = metadata.to_model_inputs(contract, few, few["test"].x[:24])
    assert columns[0].dtype == np.int8
    expected = predict(files["integer-only"], columns)
    found = predict(tmp_path / "m.tflite", columns, runtime)
    assert np.abs(found - expected).max() <= 1


def test_an_output_that_is_made_in_float_is_refused(files: dict[str, Path]) -> None:
    model = onnx.load(files["xnnpack"])
    last = model.graph.node[-1]
    assert last.op_type == "DequantizeLinear"
    name = last.output[0]
    last.output[0] = "logits"
    model.graph.node.append(onnx.helper.make_node("Softmax", ["logits"], [name], "softmax"))
    with pytest.raises(UserError, match="made in float by Softmax"):
        to_integers(model)


def test_whole_numbers_stay_and_what_nothing_makes_is_refused(files: dict[str, Path]) -> None:
    """An ArgMax was said to be made in float, and of an input as an output there was no word at all."""
    model = onnx.load(files["xnnpack"])
    last = model.graph.output[0].name
    contract = metadata.read_onnx(model)
    model.graph.node.append(onnx.helper.make_node("ArgMax", [last], ["best"], axis=1))
    model.graph.output.append(onnx.helper.make_tensor_value_info("best", onnx.TensorProto.INT64, [1, 1]))
    metadata.embed(
        model, contract | {"outputs": [*contract["outputs"], metadata.output("best", [1, 1], "raw", "int64")]}
    )
    made = to_integers(model)
    onnx.checker.check_model(made)
    assert [entry["dtype"] for entry in metadata.read_onnx(made)["outputs"]] == ["int8", "int64"]
    model.graph.output[1].CopyFrom(model.graph.input[0])
    with pytest.raises(UserError, match="an input or a constant as it is"):
        to_integers(model)
