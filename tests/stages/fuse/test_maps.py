"""Ensembles of networks whose outputs are maps: the mean of each pixel's probabilities, and no stack."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset
from edgepress.data.facts import DataFacts
from edgepress.models import checkpoint, metadata
from edgepress.models.description import Network
from edgepress.models.onnx import export
from edgepress.models.predict import predict
from edgepress.stage import Artifact, Setting
from edgepress.stages.convert import ConvertTflite
from edgepress.stages.fuse import simplex
from edgepress.stages.fuse.ensemble import FuseEnsemble, FuseStack

from tests.conftest import fresh
from tests.models.test_dense import SMALL, made, outputs

MODELS = ["a", "b"]


@pytest.mark.parametrize("task", ["segmentation", "keypoints", "image", "embedding"])
def test_an_ensemble_averages(task: Any, perform: Callable[..., Any], tmp_path: Path) -> None:
    data = made(task)
    members = {name: fresh(Network(arch=SMALL), data, tmp_path / name, seed) for seed, name in enumerate(MODELS)}
    stage = FuseEnsemble.model_validate({"use": "fuse.ensemble", "models": MODELS, "weights": "equal"})
    artifact, _ = perform(stage, members, data)
    one, other = (outputs(checkpoint.load(members[name].path)[0], data) for name in MODELS)
    found = outputs(checkpoint.load(artifact.path)[0], data)
    if task == "segmentation":
        one, other, found = (z.softmax(1) for z in (one, other, found))
    assert torch.allclose(found, (one + other) / 2, atol=1e-5)


def test_members_make_the_same(perform: Callable[..., Any], tmp_path: Path) -> None:
    data = made("segmentation", 32)
    one = fresh(Network(arch=SMALL), data, tmp_path / "a")
    other = fresh(Network(arch=SMALL), made("image", 32), tmp_path / "b")
    stage = FuseEnsemble.model_validate({"use": "fuse.ensemble", "models": MODELS})
    with pytest.raises(UserError, match="`b` makes 1 × 64 × 64 of an example, `a` 4 × 32 × 32"):
        perform(stage, {"a": one, "b": other}, data)


def test_members_make_maps_of_the_same_stride(perform: Callable[..., Any], tmp_path: Path) -> None:
    data = made("keypoints")
    members = {
        "a": fresh(Network(arch=SMALL), data, tmp_path / "a"),
        "b": fresh(Network(arch=SMALL, stride=32), data, tmp_path / "b"),
    }
    stage = FuseEnsemble.model_validate({"use": "fuse.ensemble", "models": MODELS})
    with pytest.raises(UserError, match="`b` makes 4 × 4 × 4 of an example, `a` 4 × 8 × 8"):
        perform(stage, members, data)
    with pytest.raises(UserError, match="`b` makes 4 × 4 × 4 of an example, `a` 4 × 8 × 8"):
        perform(stage, members | {"a": exported(members["a"], data, tmp_path / "file")}, data)


@pytest.mark.parametrize("task", ["segmentation", "keypoints", "image", "embedding"])
def test_a_file_of_files_says_how_its_output_lies(task: Any, perform: Callable[..., Any], tmp_path: Path) -> None:
    data = made(task)
    members = {name: fresh(Network(arch=SMALL), data, tmp_path / name, seed) for seed, name in enumerate(MODELS)}
    files = {name: exported(member, data, tmp_path / f"{name}.file") for name, member in members.items()}
    stage = FuseEnsemble.model_validate({"use": "fuse.ensemble", "models": MODELS, "weights": "equal"})
    artifact, _ = perform(stage, files, data)
    (entry,) = metadata.read(artifact.path)["outputs"]
    (one,) = metadata.read(files["a"].path)["outputs"]
    assert entry == one
    converted, _ = perform(ConvertTflite.model_validate({"use": "convert.tflite"}), {"input": artifact}, data)
    inputs = data.to_model_inputs(data["test"].x)
    assert np.allclose(predict(converted.path, inputs), predict(artifact.path, inputs), atol=1e-3)


def exported(artifact: Artifact, data: Dataset, folder: Path) -> Artifact:
    folder.mkdir()
    export.export(checkpoint.load(artifact.path)[0], data, folder / "model.onnx")
    return Artifact("onnx", folder)


@pytest.mark.parametrize("kind", ["torch", "onnx"])
def test_weights_are_fitted_to_as_many_maps_as_fit_into_memory(
    kind: str, perform: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = made("segmentation")
    members = {name: fresh(Network(arch=SMALL), data, tmp_path / name, seed) for seed, name in enumerate(MODELS)}
    if kind == "onnx":
        members = {name: exported(member, data, tmp_path / f"{name}.file") for name, member in members.items()}
    stage = FuseEnsemble.model_validate({"use": "fuse.ensemble", "models": MODELS})
    seen, fit = [], simplex.fit
    monkeypatch.setattr(simplex, "fit", lambda outputs, y, *rest: seen.append(len(y)) or fit(outputs, y, *rest))
    monkeypatch.setattr(simplex, "FEWEST", 1)
    for bytes_held, count in ((2**28, 3), (2 * 8 * 4 * 32 * 32, 2)):
        monkeypatch.setattr(simplex, "OUTPUTS", bytes_held)
        perform(stage, members, data)
        assert seen[-1] == count


def test_a_stack_is_refused() -> None:
    stage = FuseStack.model_validate({"use": "fuse.stack", "models": MODELS})
    (rejection,) = stage.reject(Setting({}, DataFacts(task="segmentation"), {}))
    assert "a stack weighs labels" in rejection.message
