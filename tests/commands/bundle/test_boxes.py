"""The archive's numpy finds the boxes that the pipeline evaluates, in every coding, and places them on the picture."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import numpy as np
import pytest
from edgepress.commands.bundle.command import TEMPLATES
from edgepress.core.boxes import CLASS
from edgepress.core.columns import joined as columns
from edgepress.data import images
from edgepress.models import decoder
from edgepress.models.decode import Decode, Level

SIZE = (32, 64)
CLASSES = 3
CELLS = {8: (4, 8), 16: (2, 4)}
LEVELS = (Level(cells=CELLS[8], sizes=((10, 20), (6, 6))), Level(cells=CELLS[16], sizes=((20, 10), (16, 30))))
SCORED = {"scores": ("s8", "s16")}
BOXES = ("b8", "b16")

CASES = {
    "anchors": Decode(
        coding="anchors", boxes=BOXES, **SCORED, levels=LEVELS, activation="softmax", background=0, score=0.3
    ),
    "distances": Decode(
        coding="distances", boxes=BOXES, **SCORED, objectness=("o8", "o16"), strides=(8, 16), root=True, score=0.3
    ),
    "dfl": Decode(coding="dfl", boxes=BOXES, **SCORED, strides=(8, 16), bins=4, score=0.3, most=7),
    "yolox": Decode(coding="yolox", boxes=("all",), objectness="behind", strides=(8, 16), offset=0.5),
    "corners": Decode(coding="corners", boxes=("all",), scale="shares", background=3, iou=0.3),
    "detections": Decode(coding="detections", boxes=("all",), scale="shares", score=0.1, most=20),
    "centre": Decode(coding="centre", boxes=("all",), activation="none"),
}


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bundled_boxes", TEMPLATES / "boxes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BUNDLED = _loaded()


def outputs(decode: Decode, form: str) -> dict[str, np.ndarray]:
    """Return random heads of two maps by name, without a batch: maps, tables, or tables with the places last."""
    random = np.random.default_rng(1)
    of_each = len(LEVELS[0].sizes) if decode.levels else 1
    widths = {"b": decode.numbers, "o": 1, "s": CLASSES + (decode.background is not None)}
    if decode.boxes == ("all",):
        places = sum(high * wide for high, wide in CELLS.values())
        table = random.normal(size=(places, decode.columns(CLASSES))).astype(np.float32)
        if decode.coding == "detections":
            table = np.column_stack([np.abs(table[:, :5]), np.arange(places) % (CLASSES + 1) - 1])
        if decode.coding == "centre":
            table = np.abs(table) * [20, 10, 10, 10, *[0.2] * CLASSES]
        if decode.coding == "corners":
            table[:, 2:4] = table[:, :2] + np.abs(table[:, 2:4])
        return {"all": (table.T if form == "places last" else table).astype(np.float32)}
    made = {}
    for name in decode.names():
        high, wide = CELLS[int(name[1:])]
        values = random.normal(0, 2, (of_each * widths[name[0]], high, wide)).astype(np.float32)
        rows = np.moveaxis(values, 0, 2).reshape(-1, widths[name[0]])
        made[name] = {"maps": values, "tables": rows, "places last": rows.T}[form]
    return made


@pytest.mark.parametrize("form", ["maps", "tables", "places last"])
@pytest.mark.parametrize("name", CASES)
def test_boxes_are_those_that_the_pipeline_evaluates(name: str, form: str) -> None:
    decode = CASES[name]
    arrays = outputs(decode, form)
    heads = decoder.joined(columns({key: values[None] for key, values in arrays.items()}), decode, CLASSES)
    (expected,) = decoder.detections(heads, decode, SIZE)
    expected = expected[expected[:, CLASS] >= 0]
    found = BUNDLED.detections(arrays, decode.model_dump(mode="json"), CLASSES, [*SIZE])
    assert 1 < len(expected) <= decode.most, "the case has boxes to tell apart"
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_outputs_without_a_box_and_without_a_number_are_no_box() -> None:
    decode = CASES["corners"]
    arrays = {"all": np.full((4, 8), -20, np.float32)}
    assert BUNDLED.detections(arrays, decode.model_dump(mode="json"), CLASSES, [*SIZE]).shape == (0, 6)
    arrays["all"][:] = [0, 0, 0.5, 0.5, 5, 5, 5, 5]
    arrays["all"][0, 0] = np.nan
    assert len(BUNDLED.detections(arrays, decode.model_dump(mode="json"), CLASSES, [*SIZE])) == CLASSES


@pytest.mark.parametrize("how", ["crop", "squash", "pad"])
@pytest.mark.parametrize("picture", [(480, 640), (640, 480), (32, 64), (99, 31)])
def test_boxes_are_placed_on_the_picture(how: str, picture: tuple[int, int]) -> None:
    """Pictures are resized to whole pixels, so a corner may be off by one of the input."""
    box = np.float32([20.0, 10.0, 40.0, 30.0])
    scale, shift = images.placed(picture, SIZE, how)
    exact = (box - np.tile(shift[::-1], 2)) / np.tile(scale[::-1], 2)
    exact = np.clip(exact, 0, np.tile(picture[::-1], 2))
    found = BUNDLED.on_picture(box, SIZE, picture, how)
    assert np.abs(found - exact).max() <= 1 / scale.min() + 1e-3


def test_finished_boxes_of_a_class_without_a_label_are_left_out() -> None:
    rows = np.array([[0, 0, 9, 9, 0.9, CLASSES], [0, 0, 8, 8, 0.8, CLASSES - 1], [0, 0, 7, 7, 0.7, -1]], np.float32)
    how = Decode(coding="detections", boxes=("all",)).model_dump(mode="json")
    np.testing.assert_array_equal(BUNDLED.detections({"all": rows}, how, CLASSES, [*SIZE]), rows[1:2])


@pytest.mark.parametrize(("cells", "channels_last"), [((4, 4), True), ((4, 4), False), ((4, 8), False)])
def test_which_side_of_a_map_has_the_numbers(cells: tuple[int, int], channels_last: bool) -> None:
    """Rows and channels both are multiples of four, the numbers of a box; the map that is square tells them apart."""
    level = Level(cells=cells, sizes=((10, 20), (6, 6)))
    decode = Decode(coding="anchors", boxes=("b",), scores=("s",), levels=(level,), background=0, score=0.3)
    random = np.random.default_rng(2)
    tables = {name: random.normal(0, 2, (cells[0] * cells[1] * 2, 4)).astype(np.float32) for name in "bs"}
    maps = {name: rows.reshape(*cells, -1) for name, rows in tables.items()}
    if not channels_last:
        maps = {name: np.moveaxis(values, 2, 0) for name, values in maps.items()}
    how, size = decode.model_dump(mode="json"), (8 * cells[0], 8 * cells[1])
    found = BUNDLED.detections(maps, how, CLASSES, [*size])
    assert len(found) > 1
    np.testing.assert_array_equal(found, BUNDLED.detections(tables, how, CLASSES, [*size]))
    heads = decoder.joined(columns({name: values[None] for name, values in maps.items()}), decode, CLASSES)
    (expected,) = decoder.detections(heads, decode, size)
    np.testing.assert_allclose(found, expected[expected[:, CLASS] >= 0], rtol=1e-5, atol=1e-4)
