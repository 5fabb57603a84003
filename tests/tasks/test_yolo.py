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
from tests.tasks.tiny_yolo import TinyYolo, loss, scenes

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
    heads = [f"{kind}{level}" for kind in ("box", "cls") for level in (3, 4, 5)]
    for name, raw, outputs in (("yolo.onnx", False, ["output0"]), ("yolo-raw.onnx", True, heads)):
        net.raw = raw
        torch.onnx.export(
            net.eval(), (torch.zeros(1, 3, SIDE, SIDE),), folder / name, input_names=["images"], output_names=outputs,
            dynamo=True, external_data=False, verbose=False,
        )  # fmt: skip


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
    torch.manual_seed(0)
    net = TinyYolo(size=SIDE)
    x, boxes = scenes(240, SIDE, 0)
    steps, batch = 360, 20
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
    random = np.random.default_rng(0)
    for _ in range(steps):
        rows = random.choice(len(x), batch, replace=False)
        value = loss(net, net(torch.from_numpy(x[rows]).float() / 255), [boxes[row] for row in rows])
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10)
        optimizer.step()
        schedule.step()
    written(net, tmp_path, 900)  # of 300, the mAP of one model and another differ by more than int8 costs
    for file, decode in (("yolo.onnx", ""), ("yolo-raw.onnx", RAW)):
        scores = [each.facts.files[0].scores["test"]["map"] for each in ran(tmp_path, file, decode).results.values()]
        assert scores[0] > 0.3, scores
        assert scores[1:] == pytest.approx([scores[0]] * 2, abs=0.02), (file, scores)
