"""Boxes of pictures: read from what the usual tools write, resized, and moved with the picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edgepress import Examples
from edgepress.core.errors import UserError
from edgepress.data import images
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.data.rows import Lazy
from edgepress.data.source import Source
from edgepress.data.targets.boxes import CLASS, COUNTS, Boxes
from edgepress.training import Examples as Training
from edgepress.training import Rows
from PIL import Image

from .boxes_made import BOX, COUNT, SIDE, coco, line, voc, xml, yolo
from .made import photo
from .test_wrong import said
from .wrong_boxes import WRONG


@pytest.mark.parametrize("name", WRONG)
def test_wrong_boxes_are_told(name: str, tmp_path: Path) -> None:
    make, words = WRONG[name]
    assert said(make, tmp_path) == words


def load(options: dict[str, Any], folder: Path, **more: Any) -> Dataset:
    return load_dataset(Source.model_validate(options | more), base=folder, cache=folder / "cache")


def all_boxes(data: Dataset) -> set[tuple[float, ...]]:
    rows = np.concatenate([split.y[:].reshape(-1, 6) for split in data.splits.values()])
    return {tuple(row.round(3).tolist()) for row in rows if row[CLASS] >= 0}


@pytest.mark.parametrize("make", [coco, voc, yolo])
def test_the_same_boxes_are_read_from_each_format(make: Any, tmp_path: Path) -> None:
    data = load(make(tmp_path), tmp_path)
    assert (data.task, data.input.resize) == ("detection", "pad")
    assert set(data.labels) == {"cat", "dog"}
    cat, dog = data.labels.index("cat"), data.labels.index("dog")
    assert all_boxes(data) == {(*map(float, BOX), cat, 1), (0, 0, 8, 8, dog, 1)}
    assert isinstance(data["train"].y, Lazy)
    assert sum(len(split.y) for split in data.splits.values()) == COUNT
    if make is not coco:
        assert [len(data[name].y) for name in ("train", "validation", "test")] == [12, 4, 4]
    assert load(make(tmp_path) if make is coco else {"from": f"./{make.__name__}", "task": "detection"}, tmp_path
                ).digest == data.digest  # fmt: skip


def test_the_classes_of_coco_are_in_the_order_of_their_ids(tmp_path: Path) -> None:
    assert load(coco(tmp_path), tmp_path).labels == ("cat", "dog")
    assert load(coco(tmp_path), tmp_path, labels=["dog", "cat"]).labels == ("dog", "cat")


def test_usual_folders_of_coco_and_roboflow_are_found(tmp_path: Path) -> None:
    for part, ids in (("train2017", range(12)), ("val2017", range(12, COUNT))):
        coco(tmp_path / "made", lambda content, ids=ids: _keep(content, ids))
        for row in ids:
            photo(tmp_path / "coco" / part / f"{row:02}.png", (SIDE, SIDE))
        (tmp_path / "coco" / "annotations").mkdir(exist_ok=True)
        made = tmp_path / "made" / "annotations.json"
        made.rename(tmp_path / "coco" / "annotations" / f"instances_{part}.json")
    data = load({"from": "./coco", "task": "detection"}, tmp_path)
    assert len(data["validation"].y) == 8
    assert len(data["train"].y) + len(data["test"].y) == 12
    for part in ("train", "valid", "test"):
        coco(tmp_path / "made")
        (tmp_path / "made" / "photos").rename(tmp_path / "made" / part)
        (tmp_path / "made" / "annotations.json").rename(tmp_path / "made" / part / "_annotations.coco.json")
    assert len(load({"from": "./made", "task": "detection"}, tmp_path)["test"].y) == COUNT


@pytest.mark.parametrize("name", ["instances_val2017.json", "instances_train2017.json", "instances_test.json"])
def test_a_coco_file_that_is_named_is_all_there_is_and_is_divided(name: str, tmp_path: Path) -> None:
    data = load(coco(tmp_path, name=name), tmp_path)
    assert {part: len(split.y) for part, split in data.splits.items()} == {"train": 14, "validation": 2, "test": 4}
    assert data.digest == load(coco(tmp_path), tmp_path).digest


def _keep(content: dict[str, Any], ids: range) -> None:
    content["images"] = [content["images"][row] for row in ids]
    known = {each["id"] for each in content["images"]}
    content["annotations"] = [each for each in content["annotations"] if each["image_id"] in known]


def test_yolo_is_read_from_folders_of_splits_from_flat_ones_and_beside_the_pictures(tmp_path: Path) -> None:
    yolo(tmp_path)
    root = tmp_path / "yolo"
    for part, name in (("train", "train"), ("val", "valid"), ("test", "test")):
        for kind in ("images", "labels"):
            (tmp_path / "robo" / name).mkdir(parents=True, exist_ok=True)
            (root / kind / part).rename(tmp_path / "robo" / name / kind)
    (root / "data.yaml").rename(tmp_path / "robo" / "data.yaml")
    data = load({"from": "./robo", "task": "detection"}, tmp_path)
    assert (len(data["train"].y), data.labels) == (12, ("cat", "dog"))
    for row in range(COUNT):
        photo(tmp_path / "flat" / f"{row}.png", (SIDE, SIDE))
        (tmp_path / "flat" / f"{row}.txt").write_text(line(row % 2))
    (tmp_path / "flat" / "classes.txt").write_text("cat\ndog\n")
    assert load({"from": "./flat", "task": "detection"}, tmp_path).labels == ("cat", "dog")
    assert load({"from": "./flat", "boxes": "./flat"}, tmp_path).task == "detection"


def test_what_is_left_out_or_does_not_count_is_said(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        first, second, third = content["annotations"][:3]
        first["iscrowd"] = 1
        second["bbox"] = [4, 4, 0, 5]
        third["bbox"] = [-4, 4, 8, 30]
        content["annotations"] = [each for each in content["annotations"] if each["image_id"] != 105]

    options = coco(tmp_path, change)
    photo(tmp_path / "photos" / "more.png", (SIDE, SIDE))
    notes = load(options, tmp_path).notes
    assert [note.partition(": ")[2] for note in notes] == [
        "1 is not read: 1 image (not in the annotations)",
        "1 boxes of no width or height are left out",
        "1 boxes leave their picture, and are cut at its edge",
        "1 boxes of crowds or difficult ones do not count",
        "1 of 20 pictures have no box",
    ]


def test_an_outline_of_yolo_becomes_its_box(tmp_path: Path) -> None:
    options = yolo(tmp_path, lambda at: (at / "labels/train/00.txt").write_text("0 0.25 0.25 0.5 0.25 0.375 0.75\n"))
    data = load(options, tmp_path)
    assert (4.0, 4.0, 8.0, 12.0, 0.0, 1.0) in all_boxes(data)
    assert "the boxes around 1 outlines are taken" in " ".join(data.notes)


@pytest.mark.parametrize("resize", ["crop", "squash", "pad"])
@pytest.mark.parametrize("sides", [(30, 20), (20, 30), (80, 16), (16, 16)])
def test_a_box_is_around_its_object_after_resizing(resize: str, sides: tuple[int, int], tmp_path: Path) -> None:
    wide, high = sides
    pixels = np.zeros((high, wide, 3), np.uint8)
    x0, y0, x1, y1 = wide // 2 - 4, high // 2 - 3, wide // 2 + 4, high // 2 + 5
    pixels[y0:y1, x0:x1] = 255
    Image.fromarray(pixels).save(tmp_path / "one.png")
    found = images.pixels(tmp_path / "one.png", grey=True, size=(32, 32), resize=resize)[0]
    scale, shift = images.placed((high, wide), (32, 32), resize)
    box = np.array([x0, y0, x1, y1]) * np.tile(scale[::-1], 2) + np.tile(shift[::-1], 2)
    down, across = np.nonzero(found > found.max() / 2)
    wanted = [across.min(), down.min(), across.max() + 1, down.max() + 1]
    assert np.clip(box, 0, 32) == pytest.approx(wanted, abs=1.01)


def _drawn() -> Dataset:
    """Pictures that are black but for what their boxes are around."""
    random = np.random.default_rng(0)
    x, y = np.zeros((40, 3, 32, 32), np.uint8), []
    for picture in x:
        left, top = random.integers(4, 18, 2)
        wide, high = random.integers(5, 10, 2)
        picture[:, top : top + high, left : left + wide] = 255
        y.append(np.array([[left, top, left + wide, top + high, 0]], float))
    return _divided(Examples(x, y, ("thing",), task="detection"))


def _divided(examples: Examples) -> Dataset:
    from edgepress.data.split import divide

    return divide(examples.checked("drawn"))


HOW: list[dict[str, Any]] = [
    {"flip": True, "shift": 5},
    {"augment": ("crop",)},
    {"augment": ("rotate",)},
    {"flip": True, "shift": 3, "augment": ("rotate", "crop", "jitter", "erase")},
]


@pytest.mark.parametrize("how", HOW)
def test_boxes_move_with_the_picture(how: dict[str, Any]) -> None:
    data = _drawn()
    examples = Training(data, "train", 0, **how)
    exact = "augment" not in how
    for view in range(4):
        (pixels,), y = examples.pair(Rows(torch.arange(len(examples)), view))
        bright = data.input.raw(pixels.numpy())[:, 0] > (128 if exact else 60)
        for picture, box in zip(bright, y[:, 0], strict=True):
            if box[CLASS] < 0 or box[COUNTS] == 0 or not picture.any():
                continue
            down, across = np.nonzero(picture)
            around = [across.min(), down.min(), across.max() + 1, down.max() + 1]
            if exact:
                assert box[:4].tolist() == around
            else:  # a rotated box is the box around the rotated corners, and erasing hides a part
                x0, y0, x1, y1 = box[:4].tolist()
                assert x0 - 1.5 <= around[0]
                assert y0 - 1.5 <= around[1]
                assert around[2] <= x1 + 1.5
                assert around[3] <= y1 + 1.5
        assert y[..., :4].min() >= 0
        assert y[..., :4].max() <= 32


def test_a_box_of_which_little_is_left_does_not_count_and_one_that_is_gone_is_none() -> None:
    boxes = torch.tensor([[[0, 0, 10, 10, 1, 1], [0, 0, 4, 4, 0, 1], [20, 20, 30, 30, 0, 1], [0, 0, 0, 0, -1, 0]]])
    moved = Boxes().moved(boxes.float(), torch.tensor([False]), torch.tensor([[8, 0]]), (32, 32))
    assert moved[0, 0].tolist() == [0, 0, 10, 2, 1, 0]
    assert moved[0, 1].tolist() == [0, 0, 0, 0, -1, 0]
    assert moved[0, 2].tolist() == [20, 12, 30, 22, 0, 1]
    assert moved[0, 3].tolist() == [0, 0, 0, 0, -1, 0]


def test_a_function_gives_a_list_of_boxes_or_one_array() -> None:
    x = np.random.default_rng(0).integers(0, 256, (4, 3, 8, 8), np.uint8)
    ragged = [np.array([[0, 0, 4, 4, 0], [1, 1, 9, 5, 1]]), np.zeros((0, 5)), np.array([[0, 0, 4, 4, 0, 0]]), []]
    y = Examples(x, ragged, task="detection").checked("mine").y
    assert y.shape == (4, 2, 6)
    assert y[0].tolist() == [[0, 0, 4, 4, 0, 1], [1, 1, 8, 5, 1, 1]]
    assert y[2, 0].tolist() == [0, 0, 4, 4, 0, 0]
    assert (y[1:2, :, CLASS] == -1).all()
    assert np.array_equal(Examples(x, y, task="detection").checked("mine").y, y)
    with pytest.raises(UserError, match="the boxes of picture 0 are <U1"):
        Examples(x, [["a"]] * 4, task="detection").checked("mine")


def test_a_box_of_every_class_is_in_training(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["categories"].append({"id": 9, "name": "owl"})

    assert said(lambda where: coco(where, change), tmp_path) == (
        "error: `photos` has no training examples of `owl`\n  = help: add some, or take the label out"
    )


def test_pixels_of_voc_count_from_one(tmp_path: Path) -> None:
    options = voc(tmp_path, lambda at: xml(at / "Annotations" / "00.xml", [("cat", 0, 0, SIDE, SIDE)]))
    assert (0.0, 0.0, float(SIDE), float(SIDE), 0.0, 1.0) in all_boxes(load(options, tmp_path))


def test_a_turned_photo_is_refused_where_its_annotation_has_the_other_size(tmp_path: Path) -> None:
    options = coco(tmp_path, lambda content: [each.update(width=SIDE, height=12) for each in content["images"]])
    for row in range(COUNT):
        image = Image.fromarray(np.random.default_rng(row).integers(0, 256, (12, SIDE, 3), np.uint8))
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(tmp_path / "photos" / f"{row:02}.png", exif=exif)
    content = json.loads((tmp_path / "annotations.json").read_text())
    content["annotations"] = [each | {"bbox": [0, 0, 4, 4]} for each in content["annotations"]]
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="20 of 20 pictures are of another size in the annotations"):
        load(options, tmp_path, size=8)


ITEMS = """
import numpy as np
import torch
from PIL import Image

class Data:
    def __len__(self):
        return 20

    def __getitem__(self, row):
        if row >= 20:
            raise IndexError
        image = Image.fromarray(np.random.default_rng(row).integers(0, 256, (24, 32, 3), np.uint8))
        return image, TARGET

def load():
    return Data()
"""
TARGETS = {
    "torchvision": "{'boxes': torch.tensor([[4.0, 8, 20, 16]]), 'labels': torch.tensor([row % 2])}",
    "coco": "[{'bbox': [4, 8, 16, 8], 'category_id': row % 2, 'iscrowd': 0}]",
    "hugging face": "{'bbox': [[4.0, 8.0, 16.0, 8.0]], 'category': [row % 2]}",
}


@pytest.mark.parametrize("form", TARGETS)
def test_examples_that_come_one_at_a_time_have_boxes_in_their_own_forms(form: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(ITEMS.replace("TARGET", TARGETS[form]))
    data = load({"from": "./mine.py:load", "task": "detection", "size": 16}, tmp_path)
    assert data.input.resize == "pad"
    assert {row[:4] for row in all_boxes(data)} == {(2.0, 6.0, 10.0, 10.0)}, "halved, below two pixels of black"
    assert load({"from": "./mine.py:load", "task": "detection", "size": 16}, tmp_path).digest == data.digest


@pytest.mark.parametrize(("target", "words"), [
    ("3", "example 0 has no boxes, but a int"),
    ("{'box': []}", "example 0 has only `box`"),
    ("{'boxes': [[1, 2, 3, 4]], 'labels': [0, 1]}", "example 0 has 1 boxes and 2 classes"),
    ("{'boxes': [['a', 2, 3, 4]], 'labels': [0]}", "example 0 has boxes or classes that are no numbers"),
    ("{'boxes': [[40, 2, 50, 4]], 'labels': [0]}", "example 0 has a box outside of its picture of 24 × 32 pixels"),
])  # fmt: skip
def test_wrong_boxes_of_single_examples_are_told(target: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(ITEMS.replace("TARGET", target))
    with pytest.raises(UserError, match=words):
        load({"from": "./mine.py:load", "task": "detection", "size": 16}, tmp_path)
