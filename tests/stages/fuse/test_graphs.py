"""ONNX files among the members of an ensemble: one graph that answers their mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from edgepress.config import recipe
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset, Split
from edgepress.models import checkpoint, metadata
from edgepress.models.description import Network
from edgepress.models.onnx import export
from edgepress.models.predict import predict
from edgepress.stage import Artifact
from edgepress.stages.fuse.ensemble import FuseEnsemble

from tests.conftest import TINY, fresh

Perform = Callable[..., Any]


def exported(artifact: Artifact, data: Dataset, folder: Path, **options: Any) -> Artifact:
    folder.mkdir()
    export.export(checkpoint.load(artifact.path)[0], data, folder / "model.onnx", **options)
    return Artifact("onnx", folder)


def ensemble(*names: str, **options: Any) -> FuseEnsemble:
    return FuseEnsemble.model_validate({"use": "fuse.ensemble", "models": list(names), **options})


@pytest.mark.parametrize("opset", [18, 21], ids=["same operators", "newer operators"])
@pytest.mark.parametrize("of", ["probabilities", "logits"])
@pytest.mark.parametrize(
    "embed", [pytest.param([], id="logits"), pytest.param(["softmax"], id="softmax inside", marks=pytest.mark.slow)]
)
def test_a_file_and_a_torch_model_average(
    of: str, embed: list[str], opset: int, tiny: Network, few: Dataset, tmp_path: Path, perform: Perform
) -> None:
    one, two = (fresh(tiny, few, tmp_path / str(seed), seed) for seed in (1, 2))
    file = exported(two, few, tmp_path / "file", embed=embed, opset=opset)
    artifact, made = perform(ensemble("one", "two", weights=[0.25, 0.75], of=of), {"one": one, "two": file}, few)
    whole, _ = perform(ensemble("one", "two", weights=[0.25, 0.75], of=of), {"one": one, "two": two}, few)
    assert made.kind == "onnx"
    x = few.to_model_inputs(few["test"].x[:30])
    with torch.inference_mode():
        expected = checkpoint.load(whole.path)[0](*map(torch.from_numpy, x)).softmax(1).numpy()
    found = torch.from_numpy(predict(artifact.path, x)).softmax(1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    onnx.checker.check_model(onnx.load(artifact.path), full_check=True)
    assert metadata.read(artifact.path)["labels"] == list(few.labels)
    assert made.notes["weights"] == {"one": 0.25, "two": 0.75}


@pytest.mark.parametrize("task", ["multi-label", "regression"])
def test_of_other_tasks_too(task: Any, tiny: Network, few: Dataset, tmp_path: Path, perform: Perform) -> None:
    marks = {name: (y[:, None] == np.arange(10)) for name, (_, y) in few.splits.items()}
    kind = np.uint8 if task == "multi-label" else np.float32
    other = replace(few, task=task, splits={n: Split(few[n].x, m.astype(kind)) for n, m in marks.items()})
    one, two = (fresh(tiny, other, tmp_path / str(seed), seed) for seed in (1, 2))
    artifact, _ = perform(ensemble("one", "two"), {"one": one, "two": exported(two, other, tmp_path / "file")}, other)
    whole, _ = perform(ensemble("one", "two"), {"one": one, "two": two}, other)
    x = other.to_model_inputs(other["test"].x[:30])
    with torch.inference_mode():
        expected = checkpoint.load(whole.path)[0](*map(torch.from_numpy, x)).numpy()
    np.testing.assert_allclose(predict(artifact.path, x), expected, atol=2e-3, rtol=2e-3)


def test_files_that_take_their_inputs_otherwise_are_refused(
    tiny: Network, few: Dataset, tmp_path: Path, perform: Perform
) -> None:
    one = fresh(tiny, few, tmp_path / "t")
    raw = exported(one, few, tmp_path / "raw", embed=["normalize"], raw=True)
    with pytest.raises(UserError, match="takes other inputs"):
        perform(ensemble("one", "raw"), {"one": one, "raw": raw}, few)


def test_files_of_other_classes_are_refused(tiny: Network, few: Dataset, tmp_path: Path, perform: Perform) -> None:
    one = fresh(tiny, few, tmp_path / "t")
    turned = exported(one, replace(few, labels=few.labels[::-1]), tmp_path / "turned")
    with pytest.raises(UserError, match="has other classes"):
        perform(ensemble("one", "turned"), {"one": one, "turned": turned}, few)


def test_the_chain_knows_that_it_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "name: a\ntask: {data: digits}\nstages:\n"
        f"  - {{use: train, name: one, model: {TINY['arch']}}}\n"
        "  - {use: export.onnx, name: file}\n"
        "  - {use: fuse.ensemble, name: both, models: [one, file]}\n"
        "  - {use: quantize.static}\ntargets: []\n"
    )
    assert [step.kind for step in recipe.load(path).steps()] == ["torch", "onnx", "onnx", "onnx"]
    path.write_text(path.read_text().replace("use: quantize.static", "use: prune.channels"))
    with pytest.raises(UserError, match="takes a torch model"):
        recipe.load(path)
