"""The stages of precisions beside int8: what they write, what they call it, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.core.errors import UserError
from edgepress.core.metrics import METRICS
from edgepress.data.dataset import Dataset
from edgepress.data.facts import DataFacts
from edgepress.engine.evaluate import evaluate
from edgepress.models import metadata
from edgepress.models.onnx import export
from edgepress.models.onnx.importer import adopt
from edgepress.models.onnx.packed_weights import held_in
from edgepress.models.predict import predict
from edgepress.stage import Artifact, Lineage, Setting, Stage
from edgepress.stages import TABLE
from pydantic import TypeAdapter

from tests import graphs
from tests.models.tflite.models import RUNTIMES, graph, weights

Perform = Callable[..., Any]
OFF = {"quantize.weights": 0.05, "quantize.float16": 1e-3, "quantize.int16": 0.05, "quantize.dynamic": 0.05}
PRECISIONS = {"quantize.weights": "weights", "quantize.float16": "float16", "quantize.int16": "int16",
              "quantize.dynamic": "dynamic"}  # fmt: skip


def stage(use: str, **options: Any) -> Stage:
    found: Stage = TypeAdapter(TABLE[use]).validate_python({"use": use, **options})
    return found


@pytest.fixture(scope="module")
def floats(few: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A network whose weights are large enough to gain."""
    folder = tmp_path_factory.mktemp("floats")
    random = np.random.default_rng(0)
    model = graph(
        [1, 1, 8, 8],
        ("Conv", [0, weights(37, 1, 3, 3), weights(37).ravel()], {"pads": [1] * 4}), ("Relu", [-1], {}),
        ("Conv", [-1, weights(37, 1, 3, 3), weights(37, seed=1).ravel()], {"group": 37}), ("Flatten", [-1], {}),
        ("Gemm", [-1, weights(10, 1332), random.normal(0, 1, 10).astype(np.float32)], {"transB": 1}),
    )  # fmt: skip
    onnx.save(model, folder / "given.onnx")
    adopt(folder / "given.onnx", few, folder / "model.onnx")
    return Artifact("onnx", folder)


def noise(path: Path, floats: Artifact, data: Dataset, runtime: str | None = None) -> float:
    columns = metadata.to_model_inputs(metadata.read(floats.path), data, data["test"].x[:40])
    expected, found = predict(floats.path, columns), predict(path, columns, runtime)
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("use", PRECISIONS)
def test_onnx_and_tflite(use: str, floats: Artifact, few: Dataset, perform: Perform) -> None:
    artifact, made = perform(stage(use), {"input": floats}, few)
    assert made.notes == {"precision": PRECISIONS[use]}
    assert 0 < noise(artifact.path, floats, few) < OFF[use]
    assert metadata.read(artifact.path) == metadata.read(floats.path)
    assert export.size(artifact.path) == export.size(floats.path)
    assert artifact.path.stat().st_size < 0.6 * floats.path.stat().st_size

    file, converted = perform(stage("convert.tflite"), {"input": artifact}, few)
    assert converted.notes == {"precision": PRECISIONS[use]}
    whole, _ = perform(stage("convert.tflite"), {"input": floats}, few)
    assert file.path.stat().st_size < 0.65 * whole.path.stat().st_size
    for runtime in RUNTIMES:
        called = {"ai_edge_litert": "litert", "tflite_runtime": "tflite-runtime"}[runtime]
        assert 0 < noise(file.path, floats, few, called) < OFF[use]


def test_dynamic_convolutions(floats: Artifact, few: Dataset, perform: Perform) -> None:
    packed, _ = perform(stage("quantize.weights"), {"input": floats}, few)
    plain, _ = perform(stage("convert.tflite"), {"input": packed}, few)
    hybrid, made = perform(stage("convert.tflite", dynamic=True), {"input": packed}, few)
    assert made.notes == {"precision": "dynamic"}
    assert noise(plain.path, floats, few) < noise(hybrid.path, floats, few) < 0.05


def test_examined_files_are_called_by_their_precision(floats: Artifact, few: Dataset, perform: Perform) -> None:
    artifact, made = perform(stage("quantize.float16"), {"input": floats}, few)
    facts = evaluate(made, artifact.folder, few, METRICS["accuracy"], None)
    assert [each["precision"] for each in facts["files"]] == ["float16"]
    assert (artifact.folder / "float16.npy").exists()


def test_computing_in_float16(floats: Artifact, few: Dataset, perform: Perform) -> None:
    artifact, made = perform(stage("quantize.float16", compute="float16"), {"input": floats}, few)
    assert made.notes == {"precision": "float16"}
    assert held_in(onnx.load(artifact.path).graph) == {"float16"}
    assert 0 < noise(artifact.path, floats, few) < 0.01


@pytest.mark.parametrize("use", ["quantize.weights", "quantize.float16", "quantize.int16"])
@pytest.mark.parametrize("before", PRECISIONS)
def test_what_is_quantized_is_refused(use: str, before: str, floats: Artifact, few: Dataset, perform: Perform) -> None:
    artifact, _ = perform(stage(before), {"input": floats}, few)
    if use != "quantize.int16" or before in ("quantize.int16", "quantize.dynamic"):
        with pytest.raises(UserError, match="quantized already"):
            perform(stage(use), {"input": artifact}, few)
    (rejection,) = stage(use).reject(Setting({"input": Lineage(stage(before), "onnx", {})}, DataFacts(), {}))
    assert before in rejection.message
    assert not [*stage(use).reject(Setting({"input": Lineage(stage("export.onnx"), "onnx", {})}, DataFacts(), {}))]


@pytest.mark.parametrize("use", ["quantize.weights", "quantize.float16"])
def test_weights_too_small_to_gain_are_told(use: str, few: Dataset, tmp_path: Path, perform: Perform) -> None:
    model = graphs.small()
    onnx.save(model, tmp_path / "g.onnx")
    adopt(tmp_path / "g.onnx", few, tmp_path / "model.onnx")
    with pytest.raises(UserError, match="no weights large enough"):
        perform(stage(use), {"input": Artifact("onnx", tmp_path)}, few)
