"""Boxes of a detector whose classes have no names: by what the metadata says, or by the shape of the usual output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from edgepress.core.columns import joined
from edgepress.core.errors import UserError
from edgepress.models import decoder, nameless
from edgepress.models.decode import Decode, Level
from edgepress.models.usual_yolo import by_outputs

SIZE, PLACES, CLASSES = (32, 64), 42, 3
"""Places of the maps of strides 8, 16 and 32."""


def contract(*outputs: str, **more: Any) -> dict[str, Any]:
    image = {"shape": [1, 3, *SIZE], "kind": "image", "size": SIZE}
    return {"labels": [], "inputs": [image], "outputs": [{"name": name} for name in outputs], **more}


@pytest.mark.parametrize(("decode", "sides"), [
    ({"coding": "centre"}, {"a": (4 + CLASSES, PLACES)}),
    ({"coding": "centre", "boxes": ("a", "b")}, {"a": (4 + CLASSES, 32), "b": (4 + CLASSES, 8)}),
    ({"coding": "corners"}, {"a": (4 + CLASSES, 4, 8)}),
    ({"coding": "yolox", "objectness": "behind", "strides": (8, 16, 32)}, {"a": (PLACES, 5 + CLASSES)}),
    ({"coding": "dfl", "boxes": ("a", "b"), "scores": ("c", "d"), "strides": (8, 16), "bins": 8},
     {"a": (32, 4, 8), "b": (32, 2, 4), "c": (CLASSES, 4, 8), "d": (CLASSES, 2, 4)}),
    ({"coding": "anchors", "levels": (Level(cells=(2, 4), sizes=((9, 9), (5, 5))),), "background": 0},
     {"a": (16, 4 + 1 + CLASSES)}),
    ({"coding": "corners", "scores": ("s",), "objectness": ("o",)},
     {"a": (PLACES, 4), "o": (PLACES,), "s": (CLASSES, PLACES)}),
])  # fmt: skip
def test_the_number_of_classes_is_what_is_left_of_a_place(decode: dict[str, Any], sides: dict[str, Any]) -> None:
    described = Decode(**{"boxes": ("a",), **decode})
    outputs = joined({name: np.random.default_rng(0).random((2, *each), np.float32) for name, each in sides.items()})
    assert nameless.classes(outputs, described, SIZE) == CLASSES
    of = nameless.decoder_of(contract("a", boxes=described.model_dump(mode="json")), outputs)
    assert of is not None
    named = decoder.detections(decoder.joined(outputs, described, CLASSES), described, SIZE)
    np.testing.assert_array_equal(of(outputs), named)


def test_many_classes_of_few_places_are_no_places() -> None:
    described = Decode(coding="centre", boxes=("a",))
    assert nameless.classes(np.zeros((1, 84, PLACES), np.float32), described, SIZE) == 80


def test_numbers_that_leave_no_class_are_refused() -> None:
    wrong = Decode(coding="dfl", boxes=("a",), strides=(8, 16, 32))
    with pytest.raises(UserError, match=r"leaves -57 numbers of each place for the scores of classes"):
        nameless.classes(np.zeros((1, 7, PLACES), np.float32), wrong, SIZE)


def table(sides: float = 20.0, scores: float = 1.0, columns: int = 7) -> np.ndarray:
    """Rows of x, y, width, height and others from 0 to `scores`, (3, PLACES, columns)."""
    random = np.random.default_rng(0)
    boxes = random.uniform(0, 30, (3, PLACES, 2)), random.uniform(0, sides, (3, PLACES, 2))
    return np.concatenate([*boxes, random.uniform(0, scores, (3, PLACES, columns - 4))], 2).astype(np.float32)


@pytest.mark.parametrize(("outputs", "coding", "objectness"), [
    (table().swapaxes(1, 2), "centre", ()),
    (table(3.0), "yolox", "behind"),
    (table(), "centre", "behind"),
], ids=["YOLOv8", "YOLOX", "YOLOX that decodes"])  # fmt: skip
def test_the_usual_output_is_known(outputs: np.ndarray, coding: str, objectness: Any) -> None:
    found = by_outputs(outputs, "output0", SIZE)
    assert found is not None
    assert (found.coding, found.objectness, found.boxes) == (coding, objectness, ("output0",))


@pytest.mark.parametrize("outputs", [
    table(scores=60.0, columns=56).swapaxes(1, 2), table(columns=4).swapaxes(1, 2), table(columns=5), table()[..., 0],
    table()[:, 1:], np.full((3, 7, PLACES), np.nan, np.float32),
], ids=["keypoints", "no scores", "objects alone", "one number", "other places", "no numbers"])  # fmt: skip
def test_what_boxes_do_not_explain_is_left_alone(outputs: np.ndarray) -> None:
    assert by_outputs(outputs, "output0", SIZE) is None


def test_other_files_have_no_boxes() -> None:
    outputs = table().swapaxes(1, 2)
    assert nameless.decoder_of(contract("a"), outputs) is not None
    assert nameless.decoder_of(contract("a", "b"), joined({"a": outputs, "b": outputs})) is None
    assert nameless.decoder_of(contract("a", labels=["cat"]), outputs) is None
    assert nameless.decoder_of(contract("a") | {"inputs": [{"shape": [1, 128], "kind": "tokens"}]}, outputs) is None
    twice = contract("a")["inputs"] * 2
    assert nameless.decoder_of(contract("a") | {"inputs": twice}, outputs) is None
