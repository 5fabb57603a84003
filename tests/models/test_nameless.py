"""Boxes of a detector whose classes have no names: by what the metadata says, or by the shape of the usual output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from edgepress.core.columns import joined
from edgepress.core.errors import UserError
from edgepress.models import decoder, nameless
from edgepress.models.decode import Decode, Level

SIZE, PLACES, CLASSES = (32, 64), 42, 3
"""Places of the maps of strides 8, 16 and 32."""


def contract(*outputs: tuple[str, tuple[int, ...]], **more: Any) -> dict[str, Any]:
    entries = [{"name": name, "shape": [1, *sides]} for name, sides in outputs]
    return {"labels": [], "inputs": [{"shape": [1, 3, *SIZE]}], "outputs": entries, **more}


@pytest.mark.parametrize(("decode", "sides"), [
    ({"coding": "centre"}, {"a": (4 + CLASSES, PLACES)}),
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
    of = nameless.decoder_of(contract(boxes=described.model_dump(mode="json")))
    assert of is not None
    named = decoder.detections(decoder.joined(outputs, described, CLASSES), described, SIZE)
    np.testing.assert_array_equal(of(outputs), named)


def test_numbers_that_leave_no_class_are_refused() -> None:
    wrong = Decode(coding="dfl", boxes=("a",), strides=(8, 16, 32))
    with pytest.raises(UserError, match=r"leaves -57 numbers of each place for the scores of classes"):
        nameless.classes(np.zeros((1, 7, PLACES), np.float32), wrong, SIZE)


@pytest.mark.parametrize(("sides", "coding"), [
    ((7, PLACES), "centre"), ((PLACES, 8), "yolox"), ((4, PLACES), None), ((PLACES, 5), None), ((7, 41), None),
    ((PLACES,), None), ((7, 6, 7), None),
])  # fmt: skip
def test_the_usual_output_is_known_by_its_shape(sides: tuple[int, ...], coding: str | None) -> None:
    found = nameless.described(contract(("output0", sides)))
    assert (found.coding if found else None) == coding


def test_other_files_have_no_boxes() -> None:
    assert nameless.decoder_of(contract(("a", (7, PLACES)), ("b", (7, PLACES)))) is None
    assert nameless.decoder_of(contract(("a", (7, PLACES)), labels=["cat"])) is None
    tokens = contract(("a", (7, PLACES)))
    assert nameless.decoder_of(tokens | {"inputs": [{"shape": [1, 128]}]}) is None
