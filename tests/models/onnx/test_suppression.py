"""Boxes out of the graph itself: those of the decoder in numpy, for every coding, and rows of detections of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from edgepress.core.errors import UserError
from edgepress.models import metadata
from edgepress.models.decode import Decode
from edgepress.models.decoder import CANDIDATES, anchors, centres, detections, joined
from edgepress.models.onnx.importer import adopt
from edgepress.models.onnx.suppression import with_suppression
from onnx import TensorProto, helper

from tests.models.onnx.test_heads import data

SIZE, CLASSES = (64, 96), 3
LEVELS = [{"cells": (8, 12), "sizes": ((16, 16), (24, 12))}, {"cells": (4, 6), "sizes": ((32, 32), (48, 24))}]
APART: dict[str, Any] = {"boxes": ["boxes"], "scores": ["scores"]}
CODINGS: dict[str, dict[str, Any]] = {
    "SSD": {**APART, "coding": "anchors", "levels": LEVELS, "activation": "softmax", "background": 0},
    "FCOS": {**APART, "coding": "distances", "objectness": ["objectness"], "strides": [8, 16], "root": True},
    "DFL": {**APART, "coding": "dfl", "bins": 8, "strides": [8, 16]},
    "YOLOX": {"coding": "yolox", "boxes": ["boxes"], "objectness": "behind", "strides": [8, 16]},
    "shares": {**APART, "coding": "centre", "scale": "shares", "activation": "none"},
    "corners": {"coding": "corners", "boxes": ["boxes"], "activation": "none"},
}


def outputs(decode: Decode, seed: int) -> dict[str, np.ndarray]:
    """Heads (1, places, numbers) of one picture, by name."""
    random = np.random.default_rng(seed)
    grid = anchors(decode, SIZE) if decode.levels else centres(decode, SIZE) if decode.strides else np.zeros((120, 4))
    places = len(grid)
    raw = random.normal(0, 2, (1, places, decode.numbers))
    raw = np.abs(raw) if decode.coding == "distances" else raw
    if decode.coding in ("centre", "corners"):
        middle, side = random.uniform(0.2, 0.8, (1, places, 2)), random.uniform(0.1, 0.3, (1, places, 2))
        raw = np.concatenate([middle, side], 2)
        raw = np.concatenate([middle - side, middle + side], 2) * 64 if decode.coding == "corners" else raw
    scores = random.normal(-1, 2, (1, places, CLASSES + (decode.background is not None)))
    scores = random.uniform(0, 1, scores.shape) if decode.activation == "none" else scores
    own = {"boxes": raw, "objectness": random.normal(0, 2, (1, places, 1)), "scores": scores}
    if decode.objectness == "behind" or not decode.scores:
        kept = [own["boxes"], *([own["objectness"]] if decode.objectness else []), own["scores"]]
        own = {"boxes": np.concatenate(kept, 2)}
    return {name: own[name].astype(np.float32) for name in decode.names()}


def passing(heads: dict[str, np.ndarray]) -> onnx.ModelProto:
    """A graph whose outputs are its inputs."""
    nodes = [helper.make_node("Identity", [f"in {name}"], [name]) for name in heads]
    ins, outs = (
        [
            helper.make_tensor_value_info(f"{prefix}{name}", TensorProto.FLOAT, value.shape)
            for name, value in heads.items()
        ]
        for prefix in ("in ", "")
    )
    graph = helper.make_graph(nodes, "g", ins, outs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.mark.parametrize("coding", CODINGS)
def test_the_graph_finds_the_boxes_of_the_decoder(coding: str) -> None:
    decode = Decode(**CODINGS[coding], score=0.3, most=20)
    for seed in range(4):
        heads = outputs(decode, seed)
        model, how = with_suppression(passing(heads), decode, CLASSES, SIZE)
        onnx.checker.check_model(model, full_check=True)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {f"in {name}": value for name, value in heads.items()})
        assert found.shape == (1, 20, 6)
        expected = detections(joined(heads, decode, CLASSES), decode, SIZE)
        assert (expected[..., 5] >= 0).sum() > 5
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
        again = detections(joined({"detections": found}, how, CLASSES), how, SIZE)
        np.testing.assert_array_equal(again, found)


def test_the_graph_looks_at_as_many_candidates_as_the_decoder() -> None:
    """The boxes of one place after another lie apart, so that none of them is suppressed."""
    decode = Decode(coding="corners", boxes=("boxes",), activation="none", score=0.1, most=1000)
    at = np.stack(np.meshgrid(np.arange(0, 96, 3), np.arange(0, 64, 3)), -1).reshape(-1, 2).astype(np.float32)
    score = np.random.default_rng(0).permutation(np.linspace(0.11, 0.99, len(at) * CLASSES, dtype=np.float32))
    heads = {"boxes": np.concatenate([at, at + 2, score.reshape(-1, CLASSES)], 1)[None].astype(np.float32)}
    expected = detections(joined(heads, decode, CLASSES), decode, SIZE)
    assert (expected[..., 5] >= 0).sum() == CANDIDATES
    model, _ = with_suppression(passing(heads), decode, CLASSES, SIZE)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"in boxes": heads["boxes"]})
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def rows_of(path: Path, last: float) -> Path:
    """A file with one output of ten rows of six numbers, as a YOLOv10 has, that depends little on its picture."""
    rows = np.zeros((1, 10, 6), np.float32)
    rows[0, :3] = [[2, 2, 20, 20, 0.9, 1], [4, 4, 30, 30, 0.6, 0], [1, 1, 5, 5, 0.01, last]]
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
        helper.make_node("Add", ["rows", "zero"], ["output0"]),
    ]
    tensors = [
        onnx.numpy_helper.from_array(rows, "rows"),
        onnx.numpy_helper.from_array(np.float32([0])[0:1], "nothing"),
    ]
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 32])
    output = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 10, 6])
    graph = helper.make_graph(nodes, "g", [image], [output], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def test_rows_of_detections_are_recognized(tmp_path: Path) -> None:
    found = data()
    adopt(rows_of(tmp_path / "theirs.onnx", 1), found, tmp_path / "ours.onnx")
    contract = metadata.read(tmp_path / "ours.onnx")
    assert contract["decode"] == {"coding": "detections", "boxes": ["output0"]}
    raw = np.zeros((1, 10, 6), np.float32)
    raw[0, :3] = [[4, 4, 30, 30, 0.6, 0], [2, 2, 20, 20, 0.9, 1], [1, 1, 5, 5, 0.01, 1]]
    boxes = metadata.to_logits(raw, contract, found)
    assert boxes[0, :2, 4].tolist() == pytest.approx([0.9, 0.6]), "best first"
    assert boxes[0, 2:, 5].tolist() == [-1] * 98, "below the least score"
    with pytest.raises(UserError, match="whose last one is no class from 0 to 1"):
        adopt(rows_of(tmp_path / "other.onnx", 0.5), found, tmp_path / "ours.onnx")
