"""Which operators of a file compute in float, for ONNX in QDQ form and for TFLite."""

from __future__ import annotations

from pathlib import Path

import onnx
from edgepress.models.operators import operators

from tests import graphs
from tests.conftest import Place, Said


def test_a_float_file(tmp_path: Path) -> None:
    onnx.save(graphs.small(), tmp_path / "m.onnx")
    found = operators(tmp_path / "m.onnx")
    assert found.every == found.real == {"Conv": 2, "Clip": 1, "ReduceMean": 1, "Gemm": 1}


def test_files_of_a_run(finished: tuple[Place, Said]) -> None:
    models = finished[0].runs / "whole" / "models"
    names = {path.name: operators(path) for path in models.iterdir() if path.suffix in (".onnx", ".tflite")}
    assert names["float.onnx"].real == names["float.onnx"].every
    int8 = next(found for name, found in names.items() if name.startswith("int8") and name.endswith(".onnx"))
    assert int8.every["Conv"] > 5
    assert not int8.real, "all of a ResNet is in integers"
    assert not names["int8-tflite.tflite"].real
    assert names["int8-tflite.tflite"].every["CONV_2D"] > 5
    assert names["convert.tflite.tflite"].real["CONV_2D"] > 5
    assert "MatMulInteger" in str(names["dynamic.onnx"].every) or "ConvInteger" in str(names["dynamic.onnx"].every)
