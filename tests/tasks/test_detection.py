"""Boxes from training to TFLite at small size: trained, distilled, pruned, exported, quantized, converted, loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from edgepress import tasks
from edgepress.config import recipe
from edgepress.core import ownership
from edgepress.core.columns import split
from edgepress.core.errors import UserError
from edgepress.engine import artifacts
from edgepress.engine.cache import Cache
from edgepress.engine.engine import Engine
from edgepress.models import metadata
from edgepress.models.predict import predict_raw

from tests.engine.test_engine import Quiet

MODEL = """\
from torch import nn

def layers(channels, width, stride):
    return [nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]

class Net(nn.Module):
    def __init__(self, channels, classes, width):
        super().__init__()
        self.body = nn.Sequential(
            *layers(channels, width, 2), *layers(width, width, 2), *layers(width, width, 2), *layers(width, width, 1))
        self.box, self.objectness, self.score = (nn.Conv2d(width, count, 1) for count in (4, 1, classes))
        nn.init.constant_(self.box.bias, 1.0)
        nn.init.constant_(self.score.bias, -2.0)
        self.decode = {
            "coding": "distances", "boxes": ["boxes"], "objectness": ["objectness"], "scores": ["scores"],
            "strides": [8], "root": True}

    def heads(self, images):
        x = self.body(images)
        maps = self.box(x).relu(), self.objectness(x), self.score(x)
        return tuple(each.flatten(2).transpose(1, 2) for each in maps)

def build(num_classes, in_chans, width=24):
    return Net(in_chans, num_classes, width)
"""
RECIPE = """\
name: mine
task:
  data: {from: ./my_data.py:load, task: detection}
stages:
  - use: train
    name: teacher
    model: {arch: "./my_model.py:build"}
    epochs: 20
    batch: 16
    lr: 0.01
    shift: 2
  - use: distill.kd
    name: student
    teacher: teacher
    student: {arch: "./my_model.py:build", args: {width: 16}}
    ce_weight: 1
    kd_weight: 1
    epochs: 20
    batch: 16
    lr: 0.01
    shift: 2
  - {use: prune.channels, name: small, ratio: 25%, round_to: 4, finetune: {epochs: 6, batch: 16, lr: 0.005}}
  - {use: export.onnx, name: float, embed: [normalize]}
  - {use: quantize.static, name: int8, samples: 8}
  - {use: convert.tflite, name: tflite}
keep: {map_drop: 10 points}
targets: []
"""
DATA = '''\
import numpy as np
from edgepress import Examples

def load(count=160, side=64):
    """A red and a green square in each picture, and sometimes neither."""
    random = np.random.default_rng(0)
    x = random.integers(0, 60, (count, 3, side, side)).astype(np.uint8)
    y = []
    for row in range(count):
        boxes = []
        for label in range(2):
            if random.random() < 0.2:
                continue
            wide = int(random.integers(16, 28))
            top, left = random.integers(0, side - wide, 2)
            x[row, label, top : top + wide, left : left + wide] = 230
            boxes.append([left, top, left + wide, top + wide, label])
        y.append(np.array(boxes, float).reshape(-1, 5))
    return Examples(x, y, ("red", "green"), task="detection")
'''
LOADING = """\
name: loading
task:
  data: {{from: ./my_data.py:load, task: detection}}
stages:
  - {{use: load, name: came, from: ./{file}{decode}}}
  - {{use: quantize.static, name: int8, samples: 8}}
targets: []
"""


@pytest.mark.slow
def test_boxes_go_all_the_way(tmp_path: Path) -> None:
    (tmp_path / "my_data.py").write_text(DATA)
    (tmp_path / "my_model.py").write_text(MODEL)
    (tmp_path / "mine.yaml").write_text(RECIPE)
    run = Engine(recipe.load(tmp_path / "mine.yaml"), Cache(tmp_path / "cache"))
    facts = run.run(Quiet())
    assert run.metric.name == "map", "the default of the task"
    scores = [stage.files[0].scores["test"]["map"] for stage in facts]
    teacher, student, small, float_, int8, tflite = scores
    assert min(teacher, student) > 0.3, scores
    assert small > 0.2, scores
    assert float_ == pytest.approx(small, abs=0.01)
    assert int8 == pytest.approx(small, abs=0.06)
    assert tflite == pytest.approx(int8, abs=0.03)
    assert len(facts[0].files[0].resampled) == 1000
    file = Path(facts[-1].files[0].path)
    contract = metadata.read(file)
    names = ("boxes", "objectness", "scores")
    assert [(entry["name"], entry["meaning"]) for entry in contract["outputs"]] == [(name, name) for name in names]
    assert contract["decode"]["coding"] == "distances"
    raw = split(predict_raw(file, run.data, run.data["test"].x[:2]))
    assert [raw[name].shape[1:] for name in names] == [(64, 4), (64, 1), (64, 2)]
    kept = np.load(file.parent / f"{facts[-1].files[0].precision}.npy")
    assert kept.shape == (len(run.data["test"].y), 100, 6)
    assert facts[-1].notes["agreement"] > 0.9, "F1 of the boxes with those of the ONNX file"
    artifacts.deliver(run, tmp_path / "models", None, ownership.together([]))
    delivered = json.loads((tmp_path / "models" / "student.safetensors.json").read_text())
    assert delivered["decode"] == contract["decode"]
    _loads(tmp_path, Path(facts[3].files[0].path), float_, int8)


def _loads(folder: Path, file: Path, float_: float, int8: float) -> None:
    """A file of ours is known by its metadata, and any other by `decode:`."""
    import onnx

    shutil.copy(file, folder / "ours.onnx")
    model = onnx.load(file)
    contract = metadata.read_onnx(model)
    del model.metadata_props[:]
    onnx.save(model, folder / "theirs.onnx")
    for name, decode in (("ours.onnx", ""), ("theirs.onnx", f", decode: {json.dumps(contract['decode'])}")):
        (folder / "loading.yaml").write_text(LOADING.format(file=name, decode=decode))
        if decode:  # it normalizes inside, which nobody knows of a foreign file
            text = (folder / "loading.yaml").read_text().replace("detection}", "detection, normalize: raw}")
            (folder / "loading.yaml").write_text(text)
        facts = Engine(recipe.load(folder / "loading.yaml"), Cache(folder / "cache")).run(Quiet())
        assert facts[0].files[0].scores["test"]["map"] == pytest.approx(float_, abs=1e-3)
        assert facts[1].files[0].scores["test"]["map"] == pytest.approx(int8, abs=0.05)
    (folder / "loading.yaml").write_text(LOADING.format(file="theirs.onnx", decode=""))
    text = (folder / "loading.yaml").read_text().replace("detection}", "detection, normalize: raw}")
    (folder / "loading.yaml").write_text(text)
    with pytest.raises(UserError, match="does not say how its outputs become boxes of 2 classes"):
        Engine(recipe.load(folder / "loading.yaml"), Cache(folder / "cache")).run(Quiet())


@pytest.mark.parametrize(("stage", "words"), [
    ("{use: fuse.ensemble, name: more, models: [teacher, student]}", "outputs of detection have no mean"),
    ("{use: distill.dkd, name: more, teacher: teacher, student: timm/resnet18}", "is about classes"),
    ("{use: train, name: more, model: timm/resnet18, mixup: 0.2}", "mixup"),
    ("{use: train, name: more, model: edgepress/mlp}", "the outputs of detection are boxes"),
    ("{use: train, name: more, model: {arch: timm/resnet18, stride: 8}}", "the stride of a detector cannot be set"),
])  # fmt: skip
def test_what_is_not_for_boxes_is_refused_before_anything_runs(stage: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "my_data.py").write_text(DATA)
    (tmp_path / "my_model.py").write_text(MODEL)
    (tmp_path / "mine.yaml").write_text(RECIPE.replace("keep:", f"  - {stage}\nkeep:"))
    with pytest.raises(UserError, match=words):
        recipe.load(tmp_path / "mine.yaml")


AWARE = """\
name: aware
task:
  data: {from: ./my_data.py:load, task: detection}
stages:
  - {use: train, name: net, model: {arch: "./my_model.py:build", args: {width: 16}}, epochs: 6, batch: 16, lr: 0.01}
  - {use: export.onnx, name: float}
  - {use: quantize.aware, name: int8, samples: 8, improve: false, ranges: minmax, views: 1, epochs: 1, batch: 16}
  - {use: convert.tflite, name: tflite}
targets: []
"""


def test_int8_heads_are_trained_together(tmp_path: Path) -> None:
    (tmp_path / "my_data.py").write_text(DATA)
    (tmp_path / "my_model.py").write_text(MODEL)
    (tmp_path / "mine.yaml").write_text(AWARE)
    net, _, int8, tflite = Engine(recipe.load(tmp_path / "mine.yaml"), Cache(tmp_path / "cache")).run(Quiet())
    way = next(value for value in int8.notes.values() if isinstance(value, dict) and "trained" in value)
    assert way["kept"] == ("trained" if way["trained"] > way["static"] else "static")
    assert int8.files[0].scores["test"]["map"] == pytest.approx(net.files[0].scores["test"]["map"], abs=0.1)
    contract = metadata.read(Path(tflite.files[0].path))
    assert [entry["name"] for entry in contract["outputs"]] == ["boxes", "objectness", "scores"]
    assert tflite.notes["agreement"] > 0.9


def test_suppression_goes_into_the_file_when_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "my_data.py").write_text(DATA)
    (tmp_path / "my_model.py").write_text(MODEL)
    text = (
        AWARE[: AWARE.index("  - {use: quantize.aware")] + "  - {use: export.nms, name: whole, most: 20}\ntargets: []\n"
    )
    (tmp_path / "mine.yaml").write_text(text)
    _, float_, whole = Engine(recipe.load(tmp_path / "mine.yaml"), Cache(tmp_path / "cache")).run(Quiet())
    assert whole.files[0].scores["test"]["map"] == pytest.approx(float_.files[0].scores["test"]["map"], abs=1e-3)
    assert whole.notes["agreement"] > 0.99
    (output,) = metadata.read(Path(whole.files[0].path))["outputs"]
    assert (output["name"], output["shape"]) == ("detections", [1, 20, 6])
    more = text.replace("targets:", "  - {use: convert.tflite, name: lite}\ntargets:")
    (tmp_path / "mine.yaml").write_text(more)
    with pytest.raises(UserError, match="NonMaxSuppression"):
        Engine(recipe.load(tmp_path / "mine.yaml"), Cache(tmp_path / "cache")).run(Quiet())


def test_map_drop_is_of_boxes(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(RECIPE.replace("{from: ./my_data.py:load, task: detection}", "digits"))
    with pytest.raises(UserError, match="`map_drop` is of average precision, and this recipe's metric is accuracy"):
        recipe.load(tmp_path / "mine.yaml")


def test_skill_of_no_box_is_none() -> None:
    task = tasks.TASKS["detection"]
    y = np.array([[[0, 0, 10, 10, 0, 1]]], np.float32)
    right = np.array([[[0, 0, 10, 10, 0.9, 0]]], np.float32)
    assert task.skill(right, y).value == pytest.approx(1)
    right[..., 5] = -1
    assert task.skill(right, y).near_chance
