"""`edgepress compare` of two recipes of every task, and of files of several outputs without labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from edgepress.commands.compare.results import Comparison

from tests.conftest import edgepress
from tests.engine.test_outputs import eight, two_to_three
from tests.tasks.test_end_to_end import MODEL, arrays

TRAINED = """\
name: {name}
task: {{data: {{from: ./x.npz, task: {task}}}, seed: 0}}
stages:
  - {{use: train, model: {{arch: "./my_model.py:{model}", args: {{width: {width}}}}}, epochs: 1, batch: 16, shift: 1}}
  - {{use: export.onnx}}
  - {{use: quantize.static, samples: 8}}
targets: []
"""
LOADED = """\
name: {name}
task: {{data: {{from: ./x.npz, labels: none, normalize: none}}, metric: agreement}}
stages:
  - {{use: load, name: float, from: ./m.onnx}}
  - {{use: quantize.static, name: int8, samples: {samples}}}
targets: []
"""
MODELS = {"segmentation": "masks", "keypoints": "heatmaps", "embedding": "vectors", "image": "pictures"}


def compared(folder: Path, **recipes: str) -> tuple[Comparison, str]:
    for name, text in recipes.items():
        (folder / f"{name}.yaml").write_text(text)
    said = edgepress("compare", *(f"{name}.yaml" for name in recipes), "--seeds", "1")
    assert said.code == 0, said.err
    found = json.loads((folder / "runs" / "+".join(recipes) / "compare.json").read_text())
    return Comparison.model_validate(found), said.out


@pytest.mark.slow
@pytest.mark.parametrize("task", MODELS)
def test_two_recipes_of_a_task(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "x.npz", **arrays(task))
    (tmp_path / "my_model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    widths = {"wide": 8, "narrow": 4}
    texts = {
        name: TRAINED.format(name=name, task=task, model=MODELS[task], width=width) for name, width in widths.items()
    }
    found, out = compared(tmp_path, **texts)
    assert "Verdict: " in out
    assert max(route.agreement["float"] for route in found.made) == pytest.approx(1), "one is the reference"
    assert all(route.recalls == {"float": {}, "int8": {}} for route in found.made)
    assert found.data["classes"] == {}


@pytest.mark.slow
@pytest.mark.parametrize("build", [eight, two_to_three])
def test_two_recipes_without_labels(
    build: Callable[[Path], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The class of the largest number was compared, of which several outputs have none, and a map of one only one."""
    build(tmp_path)
    monkeypatch.chdir(tmp_path)
    found, out = compared(tmp_path, **{name: LOADED.format(name=name, samples=n) for name, n in (("a", 16), ("b", 8))})
    assert "likeness (R²) of the outputs" in " ".join(out.split())
    for route in found.made:
        assert route.agreement["float"] == pytest.approx(1)
        assert 0.9 < route.agreement["int8"] < 1
        assert route.recalls == {"float": {}, "int8": {}}


@pytest.mark.slow
def test_files_of_other_outputs_are_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    two_to_three(tmp_path)
    monkeypatch.chdir(tmp_path)
    whole, one = (LOADED.format(name=name, samples=8) for name in ("whole", "one"))
    for name, text in (("whole", whole), ("one", one.replace("from: ./m.onnx", "from: ./m.onnx, output: map"))):
        (tmp_path / f"{name}.yaml").write_text(text)
    said = edgepress("compare", "whole.yaml", "one.yaml", "--seeds", "1")
    assert said.code == 2
    err = capfd.readouterr().err
    assert "`one` gives 2 × 8 × 8, and the best float model of those compared map 2 × 8 × 8 and dead 5 and" in err
