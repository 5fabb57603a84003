"""Every task that is no label: trained, distilled, pruned, exported, quantized, converted and evaluated, at small size.

The networks are a user's own, of a few convolutions. Each student is far from what it could do before it is trained.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgepress.config import recipe
from edgepress.core import ownership
from edgepress.core.metric import Metric, Rows
from edgepress.core.results import StageFacts
from edgepress.engine import artifacts, dense
from edgepress.engine.cache import Cache
from edgepress.engine.engine import Engine
from edgepress.models import metadata
from edgepress.models.predict import predict_raw

from tests.engine.test_engine import Quiet

MODEL = """\
from torch import nn

def layers(channels, width, stride):
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride, 1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width), nn.ReLU())

def masks(num_classes, in_chans, width=16):
    up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    return nn.Sequential(layers(in_chans, width, 2), nn.Conv2d(width, num_classes, 1), up)

def heatmaps(num_classes, in_chans, width=16):
    return nn.Sequential(layers(in_chans, width, 2), nn.Conv2d(width, num_classes, 1))

def vectors(num_classes, in_chans, width=16):
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    return nn.Sequential(layers(in_chans, width, 2), pool, nn.Linear(4 * width, num_classes))

def pictures(num_classes, in_chans, width=16):
    return nn.Sequential(layers(in_chans, width, 1), nn.Conv2d(width, 4 * num_classes, 1), nn.PixelShuffle(2))
"""

RECIPE = """\
name: mine
task:
  data: {{from: ./x.npz, task: {task}}}
stages:
  - use: train
    name: teacher
    model: {{arch: "./my_model.py:{model}"}}
    epochs: {epochs}
    batch: 16
    lr: {lr}
    shift: 1
  - use: distill.{distill}
    name: student
    teacher: teacher
    student: {{arch: "./my_model.py:{model}", args: {{width: 8}}}}
    epochs: {epochs}
    batch: 16
    lr: {lr}
    shift: 1
  - {{use: export.onnx, name: float, embed: [normalize]}}
  - {{use: quantize.static, name: int8, samples: 8}}
  - {{use: convert.tflite, name: tflite}}
targets: []
"""
LOADING = """\
name: loading
task:
  data: {{from: ./x.npz, task: {task}}}
stages:
  - {{use: load, name: came, from: ./float.onnx}}
  - {{use: quantize.static, name: int8, samples: 8}}
targets: []
"""
SIDE = 16


def scenes(count: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures of a red and a green square, their masks, and their centres in pixels."""
    random = np.random.default_rng(0)
    x = random.integers(0, 60, (count, 3, SIDE, SIDE)).astype(np.uint8)
    masks, points = np.zeros((count, SIDE, SIDE), np.uint8), np.ones((count, 2, 3), np.float32)
    for row in range(count):
        for label in (1, 2):
            top, left = random.integers(0, SIDE - 5, 2)
            x[row, label - 1, top : top + 5, left : left + 5] = 230
            masks[row, top : top + 5, left : left + 5] = label
            points[row, label - 1, :2] = left + 2, top + 2
    return x, masks, points


def people(count: int = 120, identities: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Pictures whose colour is that of an identity, with noise."""
    random = np.random.default_rng(1)
    y = np.arange(count) % identities
    colours = random.integers(30, 220, (identities, 3))
    x = colours[y][:, :, None, None] + random.integers(-25, 25, (count, 3, SIDE, SIDE))
    return x.astype(np.uint8), y


def arrays(task: str) -> dict[str, np.ndarray]:
    x, masks, points = scenes()
    if task == "segmentation":
        return {"x": x, "y": masks, "labels": np.array(["ground", "red", "green"])}
    if task == "keypoints":
        return {"x": x, "y": points, "labels": np.array(["red", "green"])}
    if task == "image":
        return {"x": x[:, :, ::2, ::2], "y": x}
    return dict(zip("xy", people(), strict=True))


CASES: dict[str, dict[str, Any]] = {
    "segmentation": {"metric": "miou", "model": "masks", "distill": "cwd", "epochs": 5, "lr": 3e-3, "least": 0.5},
    "keypoints": {"metric": "pck", "model": "heatmaps", "distill": "kd", "epochs": 12, "lr": 3e-3, "least": 0.5},
    "embedding": {"metric": "recall@1", "model": "vectors", "distill": "kd", "epochs": 4, "lr": 3e-3, "least": 0.7},
    "image": {"metric": "psnr", "model": "pictures", "distill": "kd", "epochs": 24, "lr": 0.02, "least": 15},
}
SHAPES = {"segmentation": (3, SIDE, SIDE), "keypoints": (2, 8, 8), "embedding": (64,), "image": (3, SIDE, SIDE)}


def assert_loads(facts: list[StageFacts], task: str, folder: Path) -> None:
    """An exported file is as good where it is loaded, and as good in integers."""
    shutil.copy(facts[2].files[0].path, folder / "float.onnx")
    (folder / "loading.yaml").write_text(LOADING.format(task=task))
    loaded = Engine(recipe.load(folder / "loading.yaml"), Cache(folder / "cache")).run(Quiet())
    name = CASES[task]["metric"]
    for here, there in zip(loaded, facts[2:4], strict=True):
        assert here.files[0].scores["test"][name] == pytest.approx(there.files[0].scores["test"][name], abs=0.01)
    contracts = [metadata.read(Path(each.files[0].path)) for each in (facts[2], loaded[0])]
    assert contracts[0]["outputs"] == contracts[1]["outputs"]


@pytest.mark.parametrize("task", CASES)
def test_a_task_goes_all_the_way(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "x.npz", **arrays(task))
    (tmp_path / "my_model.py").write_text(MODEL)
    (tmp_path / "mine.yaml").write_text(RECIPE.format(task=task, **CASES[task]))
    run = Engine(recipe.load(tmp_path / "mine.yaml"), Cache(tmp_path / "cache"))
    facts = run.run(Quiet())
    name = run.metric.name
    assert name == CASES[task]["metric"], "the default of the task"
    scores = [stage.files[0].scores["test"][name] for stage in facts]
    teacher, student, float_, int8, tflite = scores
    assert min(teacher, student) > CASES[task]["least"], scores
    assert float_ == pytest.approx(student, abs=0.01)
    assert int8 == pytest.approx(student, abs=0.05)
    assert tflite == pytest.approx(int8, abs=0.02)
    file = Path(facts[-1].files[0].path)
    outputs = predict_raw(file, run.data, run.data["test"].x[:2])
    assert outputs.shape == (2, *SHAPES[task])
    contract = metadata.read(file)
    assert contract["task"] == task
    assert [entry["meaning"] for entry in contract["outputs"]] == [run.data.targets.meaning]
    assert {plan.action for plan in Engine(recipe.load(tmp_path / "mine.yaml"), Cache(tmp_path / "cache")).plan()} == {
        "cached"
    }
    assert_loads(facts, task, tmp_path)
    artifacts.deliver(run, tmp_path / "models", None, ownership.together([]))
    (delivered,) = json.loads((tmp_path / "models" / "student.safetensors.json").read_text())["outputs"]
    assert delivered["shape"] == [1, *SHAPES[task]]
    assert delivered.get("layout") == (None if task == "embedding" else "NCHW")
    if task == "embedding":
        return
    kept = np.load(file.parent / f"{facts[-1].files[0].precision}.npy")
    assert kept.dtype == {"segmentation": "uint8", "keypoints": "float32", "image": "uint8"}[task]
    groups = np.arange(len(kept)) % 3
    drawn = dense.redrawn(file.parent, file, facts[-1].files[0].precision, run.data, run.metric, groups)
    monkeypatch.setattr(dense, "AT_ONCE", 1)  # an example at a time
    parts, again = dense.measured(file, run.data, "test", run.metric)
    assert np.array_equal(again, kept)
    assert run.metric.value(parts) == pytest.approx(tflite)
    assert run.metric.draws(parts, groups) == pytest.approx(drawn, abs=2e-6)
    plain = Metric("own", Rows, lambda rows: float(len(rows.outputs)), chunked=False)
    assert plain.value(dense.measured(file, run.data, "test", plain)[0]) == len(kept), "it has all outputs at once"
