"""`convert.litert`: the files of litert-torch, with the names, layouts and metadata that ours have."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset
from edgepress.models import checkpoint, metadata
from edgepress.models.description import Network
from edgepress.models.onnx import export
from edgepress.models.predict import predict
from edgepress.models.tflite import convert, litert_torch
from edgepress.stages.convert import ConvertLitert
from torch import nn

from tests.conftest import fresh
from tests.models.tflite import models

installed = pytest.mark.skipif(
    find_spec("litert_torch") is None, reason="litert-torch is not installed: pip install 'edgepress[litert]'"
)


class Steps(nn.Module):
    """Rows of an image one after the other through a recurrent layer, which `convert.tflite` lacks."""

    def __init__(self, data: Dataset) -> None:
        super().__init__()
        self.gru, self.head = nn.GRU(data.input.shape[2], 9, batch_first=True), nn.Linear(9, len(data.labels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.gru(x[:, 0])[0][:, -1])
        return logits


@installed
def test_what_the_writer_lacks(few: Dataset, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, path = Steps(few), tmp_path / "model.tflite"
    assert litert_torch.convert(module, few, path) < 1e-5
    (x,) = few.to_model_inputs(few["test"].x)
    with torch.inference_mode():
        expected = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(predict(path, x), expected, atol=1e-4)

    export.export(module, few, tmp_path / "model.onnx")
    import onnx

    with pytest.raises(UserError, match="not in the TFLite writer's set"):
        convert.write(onnx.load(tmp_path / "model.onnx"), {})


@installed
@pytest.mark.parametrize("runtime", models.EVERY)
def test_its_file_and_ours_are_alike(runtime: str, perform: Any, few: Dataset, tiny: Network, tmp_path: Path) -> None:
    source = fresh(tiny, few, tmp_path / "model")
    theirs, made = perform(ConvertLitert(use="convert.litert"), {"input": source}, few)
    assert made.notes["precision"] == "float32"
    module, _ = checkpoint.load(source.path)
    export.export(module, few, tmp_path / "model.onnx")
    import onnx

    model = onnx.load(tmp_path / "model.onnx")
    ours = tmp_path / "model.tflite"
    ours.write_bytes(convert.write(model, metadata.for_tflite(metadata.read_onnx(model), ["input"])))

    assert metadata.read(theirs.path) == metadata.read(ours)
    faces = []
    for path in (theirs.path, ours):
        interpreter = models.open_file(path.read_bytes(), runtime)
        details = [*interpreter.get_input_details(), *interpreter.get_output_details()]
        faces.append((interpreter.get_signature_list(), [(each["name"], each["shape"].tolist()) for each in details]))
    assert faces[0] == faces[1]
    (x,) = few.to_model_inputs(few["test"].x)
    name = runtime.replace("ai_edge_litert", "litert").replace("_", "-")
    found, expected = (predict(path, x, name) for path in (theirs.path, ours))
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_without_the_package(few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    with pytest.raises(UserError, match="`litert_torch` is not installed") as error:
        litert_torch.convert(Steps(few), few, tmp_path / "model.tflite")
    assert "edgepress[litert]" in error.value.problems[0].help
