"""A YOLO from elsewhere, with boxes in its graph and with raw heads: recognized or described, int8, TFLite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from edgepress.config import recipe
from edgepress.core.columns import split
from edgepress.engine.cache import Cache
from edgepress.engine.engine import Engine
from edgepress.models import decoder, metadata
from edgepress.models.predict import predict_raw

from tests.engine.test_engine import Quiet
from tests.tasks.tiny_yolo import TinyYolo, exported, scenes, trained

SIDE = 96
DATA = """\
from pathlib import Path

import numpy as np
from edgepress import Examples

def load():
    kept = np.load(Path(__file__).with_name("pictures.npz"))
    boxes = [each[each[:, 4] >= 0] for each in kept["y"]]
    return Examples(kept["x"], boxes, ("circle", "square"), task="detection")
"""
RECIPE = """\
name: yolo
task:
  data: {{from: ./my_data.py:load, task: detection, normalize: none}}
stages:
  - {{use: load, name: came, from: ./{file}{decode}}}
  - {{use: quantize.static, name: int8, samples: 32}}
  - {{use: convert.tflite, name: tflite}}
keep: {{map_drop: 2 points}}
targets: []
"""
RAW = ", decode: {coding: dfl, boxes: [box3, box4, box5], scores: [cls3, cls4, cls5], strides: [8, 16, 32]}"


def written(net: TinyYolo, folder: Path, count: int) -> None:
    """Write the pictures, and the network with one output of boxes and with six raw heads."""
    x, boxes = scenes(count, SIDE, 1)
    y = np.full((count, max(map(len, boxes)), 5), -1.0)
    for row, each in zip(y, boxes, strict=True):
        row[: len(each)] = each
    np.savez(folder / "pictures.npz", x=x, y=y)
    (folder / "my_data.py").write_text(DATA)
    for name, raw in (("yolo.onnx", False), ("yolo-raw.onnx", True)):
        exported(net, folder / name, raw=raw, size=SIDE)


def ran(folder: Path, file: str, decode: str = "") -> Engine:
    (folder / "yolo.yaml").write_text(RECIPE.format(file=file, decode=decode))
    engine = Engine(recipe.load(folder / "yolo.yaml"), Cache(folder / "cache"))
    engine.run(Quiet())
    return engine


@pytest.mark.slow
def test_raw_heads_are_the_boxes_that_the_graph_decodes(tmp_path: Path) -> None:
    """Before suppression: an untrained network's scores are nearly tied, and rounding decides which of them stay."""
    torch.manual_seed(0)
    net = TinyYolo(size=SIDE)
    for head in net.cls:
        torch.nn.init.normal_(head[-1].weight, std=0.5)
        torch.nn.init.zeros_(head[-1].bias)
    written(net, tmp_path, 24)
    found = []
    for file, decode in (("yolo.onnx", ""), ("yolo-raw.onnx", RAW)):
        engine = ran(tmp_path, file, decode)
        came = Path(engine.results["came"].facts.files[0].path)
        how = decoder.read(metadata.read(came))
        heads = decoder.joined(predict_raw(came, engine.data, engine.data["test"].x), how, 2)
        found.append((decoder.corners(heads, how, (SIDE, SIDE)), decoder.scores(heads, how)))
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-3)
    assert (found[0][1] > 0.5).sum() > 20
    tflite = Path(engine.results["tflite"].facts.files[0].path)
    outputs = split(predict_raw(tflite, engine.data, engine.data["test"].x[:1]))
    assert sorted(outputs) == ["box3", "box4", "box5", "cls3", "cls4", "cls5"], "every head is kept"


@pytest.mark.slow
def test_a_trained_one_keeps_its_boxes_in_int8(tmp_path: Path) -> None:
    net = trained(SIDE)
    written(net, tmp_path, 900)  # of 300, the mAP of one model and another differ by more than int8 costs
    for file, decode in (("yolo.onnx", ""), ("yolo-raw.onnx", RAW)):
        scores = [each.facts.files[0].scores["test"]["map"] for each in ran(tmp_path, file, decode).results.values()]
        assert scores[0] > 0.3, scores
        assert scores[1:] == pytest.approx([scores[0]] * 2, abs=0.02), (file, scores)
