"""Small sets of pictures with boxes, as the usual tools write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .made import photo

COUNT, SIDE = 20, 16
BOX = (2, 3, 10, 11)
"""x0, y0, x1, y1 in pixels."""
Boxes = Sequence[tuple[Any, ...]]


def labels_of(number: int) -> Boxes:
    """A cat in every picture, and a dog in every second one."""
    return [("cat", *BOX)] + [("dog", 0, 0, 8, 8)] * (number % 2)


def coco(
    folder: Path, change: Callable[[dict[str, Any]], object] = len, name: str = "annotations.json"
) -> dict[str, Any]:
    """`photos` and a file of annotations, with a `change`; the options of a recipe that names them."""
    images = [{"id": 100 + row, "file_name": f"{row:02}.png", "height": SIDE, "width": SIDE} for row in range(COUNT)]
    categories = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]
    ids = {each["name"]: each["id"] for each in categories}
    found: list[dict[str, Any]] = []
    for row in range(COUNT):
        photo(folder / "photos" / f"{row:02}.png", (SIDE, SIDE))
        for label, x0, y0, x1, y1 in labels_of(row):
            box = {"image_id": 100 + row, "category_id": ids[label], "bbox": [x0, y0, x1 - x0, y1 - y0], "iscrowd": 0}
            found.append({"id": len(found), **box})
    content = {"images": images, "annotations": found, "categories": categories}
    change(content)
    (folder / name).write_text(json.dumps(content))
    return {"from": "./photos", "boxes": f"./{name}"}


def xml(path: Path, boxes: Boxes, size: tuple[int, int] = (SIDE, SIDE), more: str = "") -> None:
    """An annotation of Pascal VOC; pixels count from 1 in it."""
    objects = "".join(
        f"<object><name>{label}</name>{more}<bndbox><xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin><xmax>{x1}</xmax>"
        f"<ymax>{y1}</ymax></bndbox></object>"
        for label, x0, y0, x1, y1 in boxes
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = size
    path.write_text(f"<annotation><size><width>{width}</width><height>{height}</height></size>{objects}</annotation>")


def voc(folder: Path, spoil: Callable[[Path], object] = str, lists: bool = True) -> dict[str, Any]:
    """`Annotations`, `JPEGImages` and lists of the splits in `ImageSets`."""
    for row in range(COUNT):
        photo(folder / "voc" / "JPEGImages" / f"{row:02}.jpg", (SIDE, SIDE))
        xml(folder / "voc" / "Annotations" / f"{row:02}.xml", labels_of(row))
    if lists:
        main = folder / "voc" / "ImageSets" / "Main"
        main.mkdir(parents=True)
        for name, rows in (("train", range(12)), ("val", range(12, 16)), ("test", range(16, COUNT))):
            (main / f"{name}.txt").write_text("".join(f"{row:02}\n" for row in rows))
    spoil(folder / "voc")
    return {"from": "./voc", "task": "detection"}


def line(label: int, box: Sequence[float] = BOX) -> str:
    x0, y0, x1, y1 = (side / SIDE for side in box)
    return f"{label} {(x0 + x1) / 2} {(y0 + y1) / 2} {x1 - x0} {y1 - y0}"


def yolo(folder: Path, spoil: Callable[[Path], object] = str, names: bool = True) -> dict[str, Any]:
    """`images` and `labels`, each with `train`, `val` and `test`, and data.yaml."""
    for row in range(COUNT):
        part = "train" if row < 12 else "val" if row < 16 else "test"
        photo(folder / "yolo" / "images" / part / f"{row:02}.png", (SIDE, SIDE))
        file = folder / "yolo" / "labels" / part / f"{row:02}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line(('cat', 'dog').index(label), box)}\n" for label, *box in labels_of(row)))
    if names:
        (folder / "yolo" / "data.yaml").write_text("train: images/train\nnames: {0: cat, 1: dog}\n")
    spoil(folder / "yolo")
    return {"from": "./yolo", "task": "detection"}
