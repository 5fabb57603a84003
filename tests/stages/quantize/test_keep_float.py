"""What is float between integers stays float in onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from edgepress.core.presets import PRESETS
from edgepress.models.session import run_file
from edgepress.stages.quantize.qdq import Plan, written

from tests.stages.quantize import made


def plan(*floats: str) -> Plan:
    """Of two convolutions and a dense layer, of which `floats` compute in float."""
    model = made.uneven(channels=32, depthwise=False)
    return made.plan(model, made.evidence(model), floats=frozenset(floats))


def kernels(model: onnx.ModelProto, folder: Path) -> list[str]:
    """The operators that onnxruntime makes of a graph."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node]


@pytest.mark.parametrize("name", ["first", "second"])
def test_a_convolution_alone_in_float_is_computed_in_float(name: str, tmp_path: Path) -> None:
    found = kernels(written(plan(name), PRESETS["xnnpack"]), tmp_path)
    assert found.count("QLinearConv") == 1
    assert {"Conv", "FusedConv"}.intersection(found)
    assert found.count("Max") == (name == "second")  # the first takes the float input as it came


def test_what_is_integer_has_no_maximum() -> None:
    assert "Max" not in [node.op_type for node in written(plan(), PRESETS["xnnpack"]).graph.node]


def test_onnxruntime_answers_as_the_graph_says(tmp_path: Path) -> None:
    onnx.save(written(plan("second"), PRESETS["xnnpack"]), tmp_path / "model.onnx")
    x = np.random.default_rng(3).normal(size=(20, 3, 8, 8)).astype(np.float32)
    path = str(tmp_path / "model.onnx")
    (usual,), (literal,) = (run_file("onnxruntime", path, (x,), each).values() for each in ("signed", "none"))
    assert np.abs(usual - literal).max() <= 2 * np.ptp(literal) / 255
