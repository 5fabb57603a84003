"""Networks whose outputs are maps: alike in torch, ONNX and TFLite, with the same integers in the last two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from edgepress.core.presets import PRESETS
from edgepress.models import metadata
from edgepress.models.description import Description, Network
from edgepress.models.predict import predict
from edgepress.models.tflite.convert import layouts, write
from edgepress.stages.quantize.ptq import signed

from tests.models.tflite.test_networks import exported

CASES: dict[str, dict[str, Any]] = {
    "LR-ASPP on timm": {"task": "segmentation", "network": Network(arch="timm/mobilenetv3_small_050", stride=16)},
    "heat maps": {"task": "keypoints", "network": Network(arch="timm/test_efficientnet")},
    "super-resolution": {"task": "image", "target": (64, 64), "network": Network(arch="edgepress/espcn")},
}
SIDE = 32


@pytest.fixture(scope="module", params=CASES)
def graph(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.nn.Module]:
    torch.manual_seed(0)
    description = Description(channels=3, classes=5, size=(SIDE, SIDE), **CASES[request.param])
    module = description.build().train()
    with torch.no_grad():
        for _ in range(20):  # batch norms that have seen something
            module(torch.randn(8, 3, SIDE, SIDE))
    model = exported(module, [1, 3, SIDE, SIDE])
    path = tmp_path_factory.mktemp("dense") / "model.onnx"
    onnx.save(model, path)
    return path, module


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, 3, SIDE, SIDE)).astype(np.float32)


def in_tflite(path: Path) -> Path:
    model = onnx.load(path)
    entry = {"layout": "NCHW", "dtype": "float32"}
    inputs = [entry | {"name": name, "shape": [1, 3, SIDE, SIDE]} for name in layouts(model)]
    shape = [dim.dim_value for dim in model.graph.output[0].type.tensor_type.shape.dim]
    contract = {"inputs": inputs, "outputs": [entry | {"name": "output", "shape": shape}]}
    file = path.with_suffix(".tflite")
    file.write_bytes(write(model, metadata.for_tflite(contract, list(layouts(model)))))
    return file


def test_float(graph: tuple[Path, torch.nn.Module]) -> None:
    path, module = graph
    x = rows(4)
    with torch.inference_mode():
        expected = module.eval()(torch.from_numpy(x)).numpy().reshape(4, -1)
    for file in (path, in_tflite(path)):
        found = predict(file, x).reshape(4, -1)
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_integers_are_the_same(graph: tuple[Path, torch.nn.Module], tmp_path: Path) -> None:
    """Factors of 2 between maps leave no interpolated value midway between two integers that one runtime rounds up."""
    source, _ = graph
    path, x = tmp_path / "int8.onnx", rows(12)
    onnx.save(signed(source, rows(24), preset=PRESETS["xnnpack"]), path)
    exact = predict(source, x).reshape(12, -1)
    found, converted = (predict(file, x).reshape(12, -1) for file in (path, in_tflite(path)))
    step = np.diff(np.unique(found)).min()
    assert (np.abs(found - converted) < step / 2).mean() >= 0.97
    assert np.abs(found - converted).max() <= 3 * step
    assert np.square(exact).sum() / np.square(found - exact).sum() > 30, "15 dB, with random weights"
