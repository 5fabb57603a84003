"""Detectors in ONNX that others exported: recognized by the shape of their output, described, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgepress import Examples
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset
from edgepress.data.load import normalized
from edgepress.data.split import divide
from edgepress.models import metadata
from edgepress.models.decode import Decode
from edgepress.models.onnx.importer import adopt
from edgepress.models.predict import predict_raw
from onnx import TensorProto, helper, numpy_helper

SIDE, CLASSES, PLACES = 32, 2, 21
"""Places of the maps of strides 8, 16 and 32."""


def data() -> Dataset:
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (24, 3, SIDE, SIDE), np.uint8)
    boxes = [np.array([[2, 2, 20, 20, row % CLASSES]]) for row in range(len(x))]
    made = divide(Examples(x, boxes, ("cat", "dog"), task="detection").checked("mine"))
    return normalized(made, "none", "mine")


def yolo(
    path: Path,
    numbers: int = 4,
    rows: bool = False,
    activation: str = "Sigmoid",
    name: str = "output0",
    factor: float = 4,
) -> Path:
    """A file of one output (1, numbers + CLASSES, PLACES), or its axes the other way round where there are `rows`."""
    random, width = np.random.default_rng(1), numbers + CLASSES
    nodes, tensors, maps = [], [], []
    for stride in (8, 16, 32):
        kernel = random.normal(0, 0.2, (width, 3, stride, stride)).astype(np.float32)
        tensors += [numpy_helper.from_array(kernel, f"w{stride}"),
                    numpy_helper.from_array(np.array([1, width, -1]), f"s{stride}")]  # fmt: skip
        nodes += [helper.make_node("Conv", ["images", f"w{stride}"], [f"c{stride}"], strides=[stride, stride]),
                  helper.make_node("Reshape", [f"c{stride}", f"s{stride}"], [f"m{stride}"])]  # fmt: skip
        maps.append(f"m{stride}")
    tensors += [
        numpy_helper.from_array(np.array([4, width - 4]), "split"),
        numpy_helper.from_array(np.float32(factor), "factor"),
    ]
    nodes += [helper.make_node("Concat", maps, ["all"], axis=2),
              helper.make_node("Split", ["all", "split"], ["b", "s"], axis=1),
              helper.make_node("Mul", ["b", "factor"], ["boxes"]), helper.make_node(activation, ["s"], ["scores"]),
              helper.make_node("Concat", ["boxes", "scores"], ["joined"], axis=1)]  # fmt: skip
    nodes.append(helper.make_node("Transpose", ["joined"], [name], perm=[0, 2, 1] if rows else [0, 1, 2]))
    shape = [1, PLACES, width] if rows else [1, width, PLACES]
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    output = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    model = helper.make_model(helper.make_graph(nodes, "g", [image], [output], tensors),
                              opset_imports=[helper.make_opsetid("", 17)], ir_version=9)  # fmt: skip
    onnx.save(model, path)
    return path


FORMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "YOLOv8": ({}, {"coding": "centre", "boxes": ["output0"], "activation": "none"}),
    "YOLOX": (
        {"numbers": 5, "rows": True, "factor": 0.5},
        {"coding": "yolox", "boxes": ["output0"], "objectness": "behind", "strides": [8, 16, 32], "activation": "none"},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_usual_output_is_recognized_and_becomes_boxes(form: str, tmp_path: Path) -> None:
    made, wanted = FORMS[form]
    found = data()
    adopt(yolo(tmp_path / "theirs.onnx", **made), found, tmp_path / "ours.onnx")
    contract = metadata.read(tmp_path / "ours.onnx")
    assert contract["decode"] == wanted
    x = found["test"].x
    boxes = metadata.to_logits(predict_raw(tmp_path / "ours.onnx", found, x), contract, found)
    assert boxes.shape == (len(x), 100, 6)
    assert set(boxes[..., 5].ravel()) <= {-1, 0, 1}
    assert boxes[..., :4].max() <= SIDE


def test_what_nobody_knows_is_to_be_described(tmp_path: Path) -> None:
    file = yolo(tmp_path / "theirs.onnx", numbers=8, name="heads")
    with pytest.raises(UserError, match=r"does not say how its outputs become boxes of 2 classes: `heads` 1 × 10 × 21"):
        adopt(file, data(), tmp_path / "ours.onnx")
    wrong = Decode(coding="centre", boxes=("heads",), activation="none")
    with pytest.raises(UserError, match="the output `heads` is 10 × 21 for each example, and `decode` takes 6 numbers"):
        adopt(file, data(), tmp_path / "ours.onnx", decode=wrong)
    missing = Decode(coding="centre", boxes=("boxes",))
    with pytest.raises(UserError, match="has no output `boxes`, which `decode` names"):
        adopt(file, data(), tmp_path / "ours.onnx", decode=missing)
    assert not (tmp_path / "ours.onnx").exists()


@pytest.mark.parametrize(("decode", "words"), [
    ("boxes", "`decode`: "),
    ({"coding": "secret", "boxes": ["output0"]}, "`decode.coding`: input should be"),
    ({"coding": "distances", "boxes": ["output0"], "strides": [0]}, "`decode.strides.0`: input should be greater"),
    ({"coding": "anchors", "boxes": ["output0"], "levels": [{"cells": [999999, 999999], "sizes": [[8, 8]]}]},
     "more than 1,000,000 anchors"),
    ({"coding": "corners", "boxes": ["output0"], "most": 10**9}, "`decode.most`: input should be less"),
])  # fmt: skip
def test_metadata_that_decode_nothing_are_told(decode: Any, words: str, tmp_path: Path) -> None:
    """Anybody may write such a file: none is a traceback, or fills the memory."""
    found, file = data(), yolo(tmp_path / "theirs.onnx")
    model = onnx.load(file)
    metadata.embed(model, metadata.describe(found) | {"decode": decode})
    onnx.save(model, file)
    with pytest.raises(UserError) as caught:
        adopt(file, found, tmp_path / "ours.onnx")
    assert words in caught.value.problems[0].message
    described = Decode(coding="centre", boxes=("output0",), activation="none")
    adopt(file, found, tmp_path / "ours.onnx", decode=described)


def test_a_background_beyond_the_scores_is_told(tmp_path: Path) -> None:
    wrong = Decode(coding="centre", boxes=("output0",), activation="softmax", background=7)
    with pytest.raises(UserError, match="`background` is score 7, and there are 3 from 0"):
        adopt(yolo(tmp_path / "theirs.onnx", numbers=5), data(), tmp_path / "ours.onnx", decode=wrong)


def test_scores_beyond_1_and_places_of_other_maps_are_told(tmp_path: Path) -> None:
    file = yolo(tmp_path / "theirs.onnx", activation="Identity")
    ready = Decode(coding="centre", boxes=("output0",), activation="none")
    with pytest.raises(UserError, match=r"has scores from .*, and they are from 0 to 1"):
        adopt(file, data(), tmp_path / "ours.onnx", decode=ready)
    other = Decode(coding="distances", boxes=("output0",), strides=(8,))
    with pytest.raises(UserError, match="has 21 places, and `decode` has others for 32 × 32 pixels"):
        adopt(file, data(), tmp_path / "ours.onnx", decode=other)


def unlabelled() -> Dataset:
    x = np.random.default_rng(0).integers(0, 256, (24, 3, SIDE, SIDE), np.uint8)
    made = divide(Examples(x, np.zeros(len(x), np.int64), (), labelled=False).checked("mine"))
    return normalized(made, "none", "mine")


def test_without_labels_a_description_is_kept_and_checked(tmp_path: Path) -> None:
    """The number of classes follows from the outputs."""
    file, bare = yolo(tmp_path / "theirs.onnx"), unlabelled()
    described = Decode(coding="centre", boxes=("output0",), activation="none")
    adopt(file, bare, tmp_path / "ours.onnx", decode=described)
    contract = metadata.read(tmp_path / "ours.onnx")
    assert contract["boxes"] == {"coding": "centre", "boxes": ["output0"], "activation": "none"}
    adopt(tmp_path / "ours.onnx", bare, tmp_path / "again.onnx")
    assert metadata.read(tmp_path / "again.onnx")["boxes"] == contract["boxes"]
    wrong = Decode(coding="distances", boxes=("output0",), strides=(8, 16))
    with pytest.raises(UserError, match=r"`decode` leaves 2\.3 numbers of each place for the scores of classes"):
        adopt(file, bare, tmp_path / "wrong.onnx", decode=wrong)
    assert not (tmp_path / "wrong.onnx").exists()


def test_a_yolox_that_decodes_in_its_graph_is_told(tmp_path: Path) -> None:
    """Its sides in pixels are no logarithms: every box would be the whole picture."""
    file = yolo(tmp_path / "theirs.onnx", numbers=5, rows=True)
    with pytest.raises(UserError, match=r"has sides of up to .* where `coding: yolox` has their logarithms"):
        adopt(file, data(), tmp_path / "ours.onnx")


def test_maps_that_their_numbers_do_not_divide_are_refused(tmp_path: Path) -> None:
    """None is a traceback of numpy."""
    heads = Decode(coding="distances", boxes=("output0",), strides=(8, 16, 32))
    node = helper.make_node("Conv", ["images", "w"], ["output0"], strides=[8, 8])
    weight = numpy_helper.from_array(np.ones((13, 3, 8, 8), np.float32), "w")
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    output = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 13, 4, 4])
    model = helper.make_model(helper.make_graph([node], "g", [image], [output], [weight]),
                              opset_imports=[helper.make_opsetid("", 17)], ir_version=9)  # fmt: skip
    onnx.save(model, tmp_path / "theirs.onnx")
    for found in (data(), unlabelled()):
        with pytest.raises(UserError, match=r"`decode` (takes 6|leaves 5\.9)"):
            adopt(tmp_path / "theirs.onnx", found, tmp_path / "ours.onnx", decode=heads)
        assert not (tmp_path / "ours.onnx").exists()


def test_boxes_of_numbers_are_refused(tmp_path: Path) -> None:
    made = divide(
        Examples(
            np.random.default_rng(0).random((24, 5), np.float32), np.zeros(24, np.int64), (), labelled=False
        ).checked("mine")
    )
    node = helper.make_node("Gemm", ["x", "w"], ["output0"])
    value = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, sides)
        for name, sides in (("x", [1, 5]), ("output0", [1, 9]))
    ]
    graph = helper.make_graph(
        [node], "g", value[:1], value[1:], [numpy_helper.from_array(np.ones((5, 9), np.float32), "w")]
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "theirs.onnx"
    )
    described = Decode(coding="centre", boxes=("output0",), activation="none")
    with pytest.raises(UserError, match="`decode` is of boxes in one picture"):
        adopt(tmp_path / "theirs.onnx", normalized(made, "none", "mine"), tmp_path / "ours.onnx", decode=described)
