"""Wrong masks, points, identities and pictures: how they are made, and exactly what is said about them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .made import photo

COUNT, SIDE = 20, 16


def x() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (COUNT, 3, SIDE, SIDE), np.uint8)


def masks() -> np.ndarray:
    y = np.zeros((COUNT, SIDE, SIDE), np.uint8)
    y[:, 4:8] = 1
    return y


def points() -> np.ndarray:
    y = np.ones((COUNT, 2, 3), np.float32)
    y[:, :, :2] = np.random.default_rng(1).uniform(0, SIDE - 1, (COUNT, 2, 2))
    return y


def mask(path: Path, size: tuple[int, int] = (SIDE, SIDE), value: int = 1, mode: str = "L") -> None:
    """A mask of (width, height) whose upper half is of the class `value`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(size[::-1], np.uint8)
    pixels[: size[1] // 2] = value
    Image.fromarray(pixels).convert(mode).save(path)


def pairs(folder: Path, count: int = COUNT) -> None:
    """Good photos and their masks."""
    for number in range(count):
        photo(folder / "photos" / f"{number:02}.png", (SIDE, SIDE))
        mask(folder / "masks" / f"{number:02}.png")


def _spoilt(spoil: Callable[[Path], object], **changes: Any) -> Callable[[Path], dict[str, Any]]:
    """Good photos and masks, with something done to their folders."""

    def make(where: Path) -> dict[str, Any]:
        pairs(where)
        spoil(where)
        return {"from": "./photos", "masks": "./masks", **changes}

    return make


def _empty(where: Path) -> None:
    for file in (where / "masks").iterdir():
        file.unlink()


def _arrays(task: str | None, y: np.ndarray, x: np.ndarray = x(), **changes: Any) -> Callable[[Path], dict[str, Any]]:  # noqa: B008
    def make(where: Path) -> dict[str, Any]:
        labels = {"labels": changes.pop("names")} if "names" in changes else {}
        np.savez(where / "x.npz", x=x, y=y, **labels)
        return {"from": "./x.npz", **({"task": task} if task else {}), **changes}

    return make


def _points(**at: float) -> np.ndarray:
    y = points()
    y[3, 1] = at.get("across", 5), at.get("down", 5), 1
    return y


def _photos(**changes: Any) -> Callable[[Path], dict[str, Any]]:
    def make(where: Path) -> dict[str, Any]:
        for number in range(COUNT):
            photo(where / "photos" / f"{number % changes.get('people', 10)}" / f"{number}.png", (SIDE, SIDE))
        return {"from": "./photos", **{name: value for name, value in changes.items() if name != "people"}}

    return make


IDENTITIES = np.arange(COUNT) // 2

WRONG: dict[str, tuple[Callable[[Path], dict[str, Any]], str]] = {
    "a mask without its image": (
        _spoilt(lambda where: mask(where / "masks" / "more.png")),
        "error: `masks`: 1 of 21 files have no image in `photos`: `more.png`\n"
        "  = help: `1.jpg` goes with `1.png` in the folder of masks; move files without a partner elsewhere",
    ),
    "an image without its mask": (
        _spoilt(lambda where: [(where / "masks" / f"0{number}.png").unlink() for number in (1, 7)]),
        "error: `photos`: 2 of 20 files have no mask in `masks`: `01.png`, `07.png`\n"
        "  = help: `1.jpg` goes with `1.png` in the folder of masks; move files without a partner elsewhere",
    ),
    "an empty folder of masks": (
        _spoilt(_empty),
        "error: `masks`: no images in it\n  = help: images are .jpg .jpeg .png .bmp .webp .tif .tiff .gif",
    ),
    "no folder of masks": (
        _spoilt(lambda where: None, masks="./mask"),
        'mine.yaml:1:37: `masks`: there is no file or folder `./mask`, got `"./mask"`\n'
        '   1 | data: {"from": "./photos", "masks": "./mask"}\n'
        "     |                                     ^^^^^^^^\n"
        "     = help: did you mean `masks`?",
    ),
    "two images of one name": (
        _spoilt(lambda where: photo(where / "photos" / "03.jpg")),
        "error: `photos`: `03.jpg` and `03.png` have one name\n  = help: keep one of them; pairs go by names",
    ),
    "a mask of another size": (
        _spoilt(lambda where: mask(where / "masks" / "04.png", (SIDE, 12))),
        "error: `masks`: 1 of 20 masks are of another size than their image, in pixels: `04.png` 12 × 16, its image "
        "16 × 16\n  = help: a mask has a class for each pixel of its image",
    ),
    "a mask of colours": (
        _spoilt(lambda where: mask(where / "masks" / "05.png", mode="RGB")),
        "error: `masks`: 1 of 20 masks cannot be read: 05.png (its pixels are RGB, and those of a mask are one number "
        "of 8 bits)\n  = help: PNG files with a palette or in grey, whose values are the classes",
    ),
    "a value outside the classes, in a file": (
        _spoilt(lambda where: mask(where / "masks" / "06.png", value=9), labels=["ground", "car"]),
        "error: `masks`: 1 of 20 masks have a value outside of the 2 `labels`, which count from 0: `06.png` 9\n"
        "  = help: list a label for each class; 255 marks pixels that do not count",
    ),
    "a value outside the classes, in an array": (
        _arrays("segmentation", np.where(np.arange(COUNT)[:, None, None] == 8, 7, masks()), names=["ground", "car"]),
        "error: `x.npz`: masks have the value 7, and 2 `labels` count from 0; rows from 0: 8\n"
        "  = help: list a label for each class; 255 marks pixels that do not count",
    ),
    "masks of void alone": (
        _arrays("segmentation", np.full((COUNT, SIDE, SIDE), 255, np.uint8), names=["ground", "car"]),
        "error: the train split of `x.npz` has masks in which every pixel is void (255)\n"
        "  = help: give some pixels a class, which counts from 0",
    ),
    "masks of one class": (
        _arrays("segmentation", np.zeros((COUNT, SIDE, SIDE), np.uint8)),
        "error: the train split of `x.npz` has masks of one class only, `0`\n"
        "  = help: there is nothing to tell apart; void pixels have the value 255",
    ),
    "masks smaller than the images": (
        _arrays("segmentation", masks()[:, ::2, ::2]),
        "error: `x.npz`: the masks are of 8 × 8 pixels, and the images of 16 × 16\n"
        "  = help: a mask has a class for each pixel of its image",
    ),
    "masks of fractions": (
        _arrays("segmentation", masks().astype(np.float32)),
        "error: `x.npz`: the masks are float32 (20, 16, 16), and segmentation takes one whole number a pixel\n"
        "  = help: an array uint8 (n, height, width): the class of each pixel, 255 where it does not count",
    ),
    "masks of numbers": (
        _arrays("segmentation", masks(), x=np.random.default_rng(0).normal(size=(COUNT, 3)).astype(np.float32)),
        "error: `x.npz`: masks are for images, and `x` has none\n  = help: images are uint8 of 3 or 4 dimensions",
    ),
    "masks without their task": (
        _arrays(None, masks()),
        "error: `x.npz`: the labels are uint8 (20, 16, 16), and multi-label takes a column for each of the labels\n"
        "  = help: a class for each pixel is `task: segmentation`, a picture each `task: image`",
    ),
    "a point outside the picture": (
        _arrays("keypoints", _points(across=40), names=["nose", "tail"]),
        "error: `x.npz`: `tail` of row 3 is at (40, 5), outside of a picture of 16 × 16 pixels; rows from 0 with "
        "points outside: 3\n"
        "  = help: x counts pixels from the left, y from the top; points that are not to be seen have 0 "
        "behind x and y",
    ),
    "a point that is nowhere": (
        _arrays("keypoints", _points(down=np.nan)),
        "error: `x.npz`: `y` has values that are NaN, infinite or too large for float32, in 1 of 20 rows; rows from 0: "
        "3\n  = help: fill them in, or leave these rows out",
    ),
    "a point that is never to be seen": (
        _arrays("keypoints", points() * np.array([[1, 1, 1], [1, 1, 0]], np.float32), names=["nose", "tail"]),
        "error: the train split of `x.npz` has no example in which `tail` is to be seen\n"
        "  = help: add some, or take the point out",
    ),
    "a mirror with an unknown point": (
        _arrays("keypoints", points(), names=["nose", "tail"], flip_pairs=[["nose", "tial"]]),
        "error: `x.npz`: `flip_pairs` names `tial`\n  = help: did you mean `tail`?",
    ),
    "a point in two pairs": (
        _arrays("keypoints", points(), names=["nose", "tail"], flip_pairs=[["nose", "tail"], ["tail", "nose"]]),
        "error: `x.npz`: `flip_pairs` names `nose` twice\n  = help: a point has one that it changes places with",
    ),
    "another number of points than names": (
        _arrays("keypoints", points(), names=["nose", "tail", "ear"]),
        "error: `x.npz`: there are 2 points an example, and 3 `labels`\n  = help: one name a point",
    ),
    "one identity": (
        _arrays("embedding", np.zeros(COUNT, np.int64)),
        "error: `x.npz`: there is one identity only, `0`\n  = help: an embedding tells several apart",
    ),
    "five identities": (
        _photos(task="embedding", people=5),
        "error: `photos` has 5 groups, and 3 splits need 2 each\n"
        "  = help: is `group` what you mean? its examples are kept together",
    ),
    "one example of each identity": (
        _arrays("embedding", np.arange(COUNT)),
        "error: the train split of `x.npz` has one example of each identity\n"
        "  = help: an embedding is learnt and judged by two or more of each",
    ),
    "a vector without direction": (
        _arrays("embedding", np.eye(COUNT, 4, dtype=np.float32)),
        "error: `x.npz`: the vector of row 4 is zero, and has no direction\n  = help: leave the row out",
    ),
    "pictures of another shape": (
        _arrays("image", np.zeros((COUNT, 3, SIDE * 2, SIDE), np.uint8)),
        "error: `x.npz`: the target pictures are of 32 × 16 pixels, and the images of 16 × 16\n"
        "  = help: as large, or larger by one whole factor on both sides",
    ),
    "masks and pictures": (
        _spoilt(lambda where: None, pictures="./masks"),
        "mine.yaml:1:7: `data`: `masks` and `pictures` are targets of two tasks\n"
        '   1 | data: {"from": "./photos", "masks": "./masks", "pictures": "./masks"}\n'
        "     |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "     = help: take one of them out",
    ),
    "masks of a task without": (
        _spoilt(lambda where: None, task="embedding"),
        "mine.yaml:1:7: `data`: `masks` is for `task: segmentation`, and this is `embedding`\n"
        '   1 | data: {"from": "./photos", "masks": "./masks", "task": "embedding"}\n'
        "     |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "     = help: take one of them out",
    ),
    "no second folder": (
        _photos(task="segmentation"),
        "mine.yaml:1:7: `data`: `task: segmentation` needs a second folder\n"
        '   1 | data: {"from": "./photos", "task": "segmentation"}\n'
        "     |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "     = help: `masks: ./masks`, with files of the same names",
    ),
}
