"""Wrong boxes: how they are made, and exactly what is said about them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .boxes_made import BOX, COUNT, SIDE, coco, line, voc, xml, yolo
from .made import photo


def _coco(change: Callable[[dict[str, Any]], object], **options: Any) -> Callable[[Path], dict[str, Any]]:
    return lambda where: coco(where, change) | options


def _box(**changes: Any) -> Callable[[Path], dict[str, Any]]:
    """COCO's annotation 3 with changes."""
    return _coco(lambda content: content["annotations"][3].update(changes))


def _voc(spoil: Callable[[Path], object], **options: Any) -> Callable[[Path], dict[str, Any]]:
    return lambda where: voc(where, spoil) | options


def _xml(text: str) -> Callable[[Path], dict[str, Any]]:
    return _voc(lambda where: (where / "Annotations" / "03.xml").write_text(text))


def _yolo(text: str, **options: Any) -> Callable[[Path], dict[str, Any]]:
    return lambda where: yolo(where, lambda at: (at / "labels/train/03.txt").write_text(text)) | options


def _list(y: Any, **options: Any) -> Callable[[Path], dict[str, Any]]:
    def make(where: Path) -> dict[str, Any]:
        x = np.random.default_rng(0).integers(0, 256, (COUNT, 3, SIDE, SIDE), np.uint8)
        np.savez(where / "x.npz", x=x, y=y)
        return {"from": "./x.npz", "task": "detection", **options}

    return make


def _y(*box: float) -> np.ndarray:
    y = np.tile(np.array([[[*BOX, 0], [0, 0, 8, 8, 1]]], np.float32), (COUNT, 1, 1))
    y[4, 1] = box
    return y


_MANY = f"{line(0)}\n" * 1001
_BOMB = '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;&b;">]><annotation><object>&d;</object></annotation>'

WRONG: dict[str, tuple[Callable[[Path], dict[str, Any]], str]] = {
    "a box outside of its picture": (
        _box(bbox=[40, 3, 5, 5]),
        "error: `photos`: 1 of 30 boxes are outside of their picture: `02.png`\n"
        "  = help: are they in pixels of this very file, and not of a larger or smaller one?",
    ),
    "an inverted box": (
        _box(bbox=[9, 3, -5, 5]),
        "error: `photos`: 1 of 30 boxes have their right or lower side before the left or upper one: "
        "`02.png`\n"
        "  = help: is it x, y, width and height where two corners are meant, or the other way round?",
    ),
    "a box that is no four numbers": (
        _box(bbox=[9, 3, "5", 5]),
        "error: `annotations.json`: annotation 3, from 0, has the `bbox` [9, 3, '5', 5], and it is [x, "
        "y, width, height]\n"
        "  = help: correct it, or take it out",
    ),
    "a box of no number": (
        _box(bbox=[9, 3, float("nan"), 5]),
        "error: `photos`: 1 of 30 boxes have a coordinate that is no finite number: `02.png`\n"
        "  = help: correct them, or take them out",
    ),
    "a box of an unknown category": (
        _box(category_id=4),
        "error: `annotations.json`: annotation 3, from 0, has the category 4, which `categories` does "
        "not have\n"
        "  = help: correct it, or take it out",
    ),
    "a box of an unknown image": (
        _box(image_id=1),
        "error: `annotations.json`: annotation 3, from 0, is of the image 1, which `images` does not "
        "have\n"
        "  = help: correct it, or take it out",
    ),
    "duplicate ids of images": (
        _coco(lambda content: content["images"][3].update(id=100)),
        "error: `annotations.json` has ids of two or more of its `images`: 100\n"
        "  = help: were two files joined? number them anew",
    ),
    "duplicate ids of boxes": (
        _box(id=0),
        "error: `annotations.json` has ids of two or more of its `annotations`: 0\n"
        "  = help: were two files joined? number them anew",
    ),
    "a picture twice": (
        _coco(lambda content: content["images"][3].update(file_name="00.png")),
        "error: `annotations.json` has `00.png` twice among its `images`\n  = help: leave one of them",
    ),
    "two categories of one name": (
        _coco(lambda content: content["categories"][0].update(name="cat")),
        "error: `annotations.json` has two categories `cat`\n  = help: give each a name of its own",
    ),
    "two categories of one number": (
        _coco(lambda content: content["categories"][0].update(id=3)),
        "error: `annotations.json` has ids of two or more of its `categories`: 3\n"
        "  = help: were two files joined? number them anew",
    ),
    "a picture's number that is a list": (
        _box(image_id=[1]),
        "error: `annotations.json`: annotation 3, from 0, is of the image [1], which `images` does not have\n"
        "  = help: correct it, or take it out",
    ),
    "a side that no float holds": (
        _box(bbox=[10**400, 3, 5, 5]),
        f"error: `annotations.json`: annotation 3, from 0, has the `bbox` [1{'0' * 57}…, and it is [x, y, width, "
        "height]\n  = help: correct it, or take it out",
    ),
    "two pictures of one name": (
        lambda where: yolo(where, lambda at: photo(at / "images/train/03.jpg", (SIDE, SIDE))),
        "error: `images`: `train/03.jpg` and `train/03.png` are both of `train/03`\n"
        "  = help: rename or remove one of them",
    ),
    "an annotation without its picture": (
        _coco(lambda content: content["images"][3].update(file_name="no.png")),
        "error: `annotations.json`: 1 of 20 images are not in `photos`: `no.png`\n"
        "  = help: `from` names the folder that `file_name` counts from",
    ),
    "a path that leads elsewhere": (
        _coco(lambda content: content["images"][3].update(file_name="../../a.png")),
        "error: `annotations.json` has an image with the `file_name` '../../a.png'\n  = help: a path below `photos`",
    ),
    "a picture of another size": (
        _coco(lambda content: content["images"][3].update(height=32)),
        "error: `photos`: 1 of 20 pictures are of another size in the annotations, in pixels: `03.png` "
        "32 × 16, its file 16 × 16\n"
        "  = help: boxes are in pixels of the picture: annotate the file that is here, or take the "
        "other one",
    ),
    "no boxes at all": (
        _coco(lambda content: content.update(annotations=[])),
        "error: `photos` has no box\n  = help: are these the annotations of the pictures?",
    ),
    "a file of captions": (
        _coco(lambda content: content.pop("categories")),
        "error: `annotations.json` has no list `categories`, as COCO's annotations of boxes do\n"
        "  = help: is it a file of instances, not of captions or results?",
    ),
    "a class that is not listed": (
        _coco(len, labels=["cat", "bird"]),
        "error: `photos` has boxes of `dog`, which is none of the 2 `labels`\n  = help: one of: bird, cat",
    ),
    "no JSON": (
        lambda where: coco(where) | {"boxes": "./photos/00.png"},
        "mine.yaml:1:37: `boxes`: `./photos/00.png` is no annotation of boxes that is read, got "
        '`"./photos/00.png"`\n'
        '   1 | data: {"from": "./photos", "boxes": "./photos/00.png"}\n'
        "     |                                     ^^^^^^^^^^^^^^^^^\n"
        "     = help: COCO's .json, or a folder of .xml or of .txt files",
    ),
    "a file that is cut off": (
        lambda where: [coco(where), (where / "annotations.json").write_text('{"images": [')][0],  # type: ignore[return-value]
        "error: `annotations.json` is no JSON: expecting value: line 1 column 13 (char 12)\n"
        "  = help: is it a whole file?",
    ),
    "no file of annotations": (
        lambda where: coco(where) | {"boxes": "./annotation.json"},
        "mine.yaml:1:37: `boxes`: there is no file or folder `./annotation.json`, got "
        '`"./annotation.json"`\n'
        '   1 | data: {"from": "./photos", "boxes": "./annotation.json"}\n'
        "     |                                     ^^^^^^^^^^^^^^^^^^^\n"
        "     = help: did you mean `annotations.json`?",
    ),
    "boxes and masks": (
        lambda where: coco(where) | {"masks": "./photos"},
        "mine.yaml:1:7: `data`: `masks` and `boxes` are targets of two tasks\n"
        '   1 | data: {"from": "./photos", "boxes": "./annotations.json", "masks": "./photos"}\n'
        "     |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "     = help: take one of them out",
    ),
    "entities in XML": (
        _xml(_BOMB),
        "error: `03.xml` has a DOCTYPE, which annotations do not need\n  = help: take it out: it may define entities",
    ),
    "no XML": (
        _xml("<annotation><object>"),
        "error: `03.xml` is no XML: no element found: line 1, column 20\n  = help: is it a whole file?",
    ),
    "XML of another kind": (
        _xml("<svg></svg>"),
        "error: `03.xml` is of `svg`, and Pascal VOC has an `annotation`\n  = help: is it another format?",
    ),
    "a box without a side": (
        _xml("<annotation><object><name>cat</name></object></annotation>"),
        "error: `03.xml`: object 0, from 0, has no `xmin`\n  = help: correct it, or take it out",
    ),
    "an object without a name": (
        _xml("<annotation><object><bndbox/></object></annotation>"),
        "error: `03.xml`: object 0, from 0, has no `name`\n  = help: correct it, or take it out",
    ),
    "an inverted box in XML": (
        _voc(lambda at: xml(at / "Annotations/03.xml", [("cat", 9, 3, 4, 8)])),
        "error: `Annotations`: 1 of 29 boxes have their right or lower side before the left or upper "
        "one: `JPEGImages/03.jpg`\n"
        "  = help: is it x, y, width and height where two corners are meant, or the other way round?",
    ),
    "an annotation of no picture": (
        _voc(lambda at: xml(at / "Annotations/99.xml", [("cat", *BOX)])),
        "error: `Annotations`: 1 of 21 annotations have no image in `JPEGImages`: `99.xml`\n"
        "  = help: `1.jpg` goes with `1.xml` or `1.txt`; move the others elsewhere",
    ),
    "a list that names no picture": (
        _voc(lambda at: (at / "ImageSets/Main/test.txt").write_text("16\n17\n18\n77\n")),
        "error: `ImageSets` has names without an image in `JPEGImages`: `77`\n"
        "  = help: add them, or take them out of the lists",
    ),
    "a picture in two lists": (
        _voc(lambda at: (at / "ImageSets/Main/test.txt").write_text("03\n16\n17\n")),
        "error: `03` is in the lists of two splits, train and test\n  = help: see `voc/ImageSets/Main`",
    ),
    "annotations of two kinds": (
        _voc(lambda at: (at / "labels").mkdir()),
        "error: `voc` has annotations of several kinds: `Annotations` and `labels`\n"
        "  = help: name them: `boxes: ./annotations.json` (COCO), or a folder of .xml (Pascal VOC) or "
        ".txt files (YOLO)",
    ),
    "XML and text in one folder": (
        _voc(lambda at: (at / "Annotations/03.txt").write_text(line(0))),
        "error: `Annotations` has files of several kinds, .xml and .txt\n"
        "  = help: name them: `boxes: ./annotations.json` (COCO), or a folder of .xml (Pascal VOC) or "
        ".txt files (YOLO)",
    ),
    "numbers that are no shares": (
        _yolo("0 40 30 10 10"),
        "error: `03.txt`, line 1, has numbers that are no shares from 0 to 1: 0 40 30 10 10\n"
        "  = help: `class x y width height`, the centre and the sides as shares of the picture, not "
        "pixels",
    ),
    "a class beyond the names": (
        _yolo(f"{line(0)}\n{line(5)}\n"),
        "error: `labels` has boxes of the class 5, and 2 `labels` count from 0\n"
        "  = help: list a label for each class, in the order of their numbers",
    ),
    "a class that is no number": (
        _yolo("cat 0.5 0.5 0.1 0.1"),
        "error: `03.txt`, line 1, has the class 'cat'\n"
        "  = help: `class x y width height`, the centre and the sides as shares of the picture; classes "
        "count from 0",
    ),
    "a line that is too short": (
        _yolo("0 0.5 0.5"),
        "error: `03.txt`, line 1, has 3 words, and a box has 5\n"
        "  = help: `class x y width height`, the centre and the sides as shares of the picture",
    ),
    "a word that is no number": (
        _yolo("0 0.5 0.5 x 0.1"),
        "error: `03.txt`, line 1, has a word that is no number: 0 0.5 0.5 x 0.1\n"
        "  = help: `class x y width height`, the centre and the sides as shares of the picture",
    ),
    "a side that is negative": (
        _yolo("0 0.5 0.5 -0.001 0.1"),
        "error: `labels`: 1 of 29 boxes have their right or lower side before the left or upper one: "
        "`images/train/03.png`\n"
        "  = help: is it x, y, width and height where two corners are meant, or the other way round?",
    ),
    "a thousand boxes and more": (
        _yolo(_MANY),
        "error: `labels`: 1001 of 1029 boxes are in pictures with more than 1,000: "
        "`images/train/03.png`\n"
        "  = help: divide these pictures into tiles",
    ),
    "text that is none": (
        lambda where: yolo(where, lambda at: (at / "labels/train/03.txt").write_bytes(b"\xff\xfe\x00")),
        "error: `03.txt` is no text\n  = help: it has a line for each box",
    ),
    "names with a gap": (
        lambda where: yolo(where, lambda at: (at / "data.yaml").write_text("names: {0: cat, 2: dog}\n")),
        "error: `data.yaml`: the keys of `names` do not count from 0\n  = help: one name for each number",
    ),
    "a picture beside the splits": (
        lambda where: yolo(where, lambda at: photo(at / "images" / "99.png")),
        "error: `images` has folders of splits beside other images: `99`\n  = help: move them into a split",
    ),
    "no annotations": (
        lambda where: [photo(where / "some" / "1.png"), {"from": "./some", "task": "detection"}][1],
        "error: `some` has no annotations, .xml or .txt files\n"
        "  = help: name them: `boxes: ./annotations.json` (COCO), or a folder of .xml (Pascal VOC) or "
        ".txt files (YOLO)",
    ),  # type: ignore[return-value]
    "arrays of another shape": (
        _list(np.zeros((COUNT, 4), np.float32)),
        "error: `x.npz`: the boxes are float32 (20, 4), and detection takes x0, y0, x1, y1 and class of "
        "each, in pixels\n"
        "  = help: a list with an array (boxes, 5) for each picture, or an array (n, most, 5) with "
        "class −1 for no box",
    ),
    "a box of no width": (
        _list(_y(4, 4, 4, 8, 1)),
        "error: `x.npz`: 1 of 20 pictures have a box of no width or height, or with its corners in "
        "another order; rows from 0: 4\n"
        "  = help: x0, y0 is the upper left corner and x1, y1 the lower right one",
    ),
    "an inverted box in an array": (
        _list(_y(8, 4, 4, 8, 1)),
        "error: `x.npz`: 1 of 20 pictures have a box of no width or height, or with its corners in "
        "another order; rows from 0: 4\n"
        "  = help: x0, y0 is the upper left corner and x1, y1 the lower right one",
    ),
    "a box outside in an array": (
        _list(_y(20, 20, 24, 24, 1)),
        "error: `x.npz`: 1 of 20 pictures have a box outside of the picture of 16 × 16 pixels; rows "
        "from 0: 4\n"
        "  = help: boxes are in pixels of `x`",
    ),
    "half a class": (
        _list(_y(4, 4, 8, 8, 0.5)),
        "error: `x.npz`: 1 of 20 pictures have a class that is no whole number; rows from 0: 4\n"
        "  = help: classes count from 0",
    ),
    "a class that nobody has": (
        _list(_y(4, 4, 8, 8, 3)),
        "error: `x.npz`: boxes have the classes 0, 1, 3, and none has 2\n"
        "  = help: classes count from 0, and `labels` names each, also one without boxes; else change "
        "the values",
    ),
    "boxes of no number": (
        _list(_y(4, 4, np.nan, 8, 1)),
        "error: `x.npz`: `y` has values that are NaN, infinite or too large for float32, in 1 of 20 "
        "rows; rows from 0: 4\n"
        "  = help: fill them in, or leave these rows out",
    ),
    "no box in any picture": (
        _list(np.full((COUNT, 1, 5), -1, np.float32)),
        "error: `x.npz`: no picture has a box\n  = help: a class of −1 is no box",
    ),
    "boxes of numbers in place of pictures": (
        lambda where: [
            np.savez(where / "x.npz", x=np.zeros((COUNT, 3), np.float32), y=_y(4, 4, 8, 8, 1)),
            {"from": "./x.npz", "task": "detection"},
        ][1],  # type: ignore[return-value]
        "error: `x.npz`: boxes are of images, and there is no input that alone is one\n  = help: give one image input",
    ),
}
