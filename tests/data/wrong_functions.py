"""Functions that return wrong targets, as code, and exactly what is said about them."""

from __future__ import annotations

HEAD = """
import numpy as np
from edgepress import Dataset, Examples, Input
from edgepress.core.columns import joined
from edgepress.data.dataset import Split

IMAGE = Input("input", "image", (1, 8, 8), 1 / 255, (0.0,), (1.0,))
X = np.zeros((4, 1, 8, 8), np.uint8)
MASKS = np.zeros((4, 8, 8), np.uint8)
MASKS[:, :4] = 1
POINTS = np.full((4, 2, 3), 0.5, np.float32)
POINTS[..., 2] = 1


def data(task, y, test=None, labels=("a", "b"), **more):
    splits = {name: Split(X, y) for name in ("train", "validation")}
    return Dataset("mine", labels, splits | {"test": Split(X, y if test is None else test)}, (IMAGE,), task, **more)


def load():
    return """
_CONVERT = "convert them, or return `edgepress.Examples`, which are converted"
_PAIRS = "pairs of points that change places in a mirror, each in one pair: `flip_pairs=((0, 1),)`"
_PIXELS = "`edgepress.Examples` takes points in pixels of images"


def _points(dtype: str) -> str:
    return (
        f"`train`: the points are {dtype} (4, 2, 3), and keypoints takes float32 (n, 2, 3): x and y as shares of the "
        "picture, from 0 to 1, and 1 or 0"
    )


WRONG: dict[str, tuple[str, str, str]] = {
    "no point to be seen in test": (
        "data('keypoints', POINTS, POINTS * (1, 1, 0))".replace("(1, 1, 0)", "np.array((1, 1, 0), np.float32)"),
        "the test split has no example in which `a` is to be seen",
        "add some, or take the point out",
    ),
    "every identity once in test": (
        "data('embedding', np.array([0, 0, 1, 1]), np.arange(4), ('a', 'b', 'c', 'd'))",
        "the test split has one example of each identity",
        "an embedding is learnt and judged by two or more of each",
    ),
    "void alone in test": (
        "data('segmentation', MASKS, MASKS * 0 + 255)",
        "the test split has masks in which every pixel is void (255)",
        "give some pixels a class, which counts from 0",
    ),
    "identities as text": (
        "data('embedding', np.array(['a', 'a', 'b', 'b']))",
        "`train`: the targets are <U1 (4,), and a Dataset of the task embedding takes int64 (4,)",
        _CONVERT,
    ),
    "masks of 64 bits": (
        "data('segmentation', MASKS.astype(np.int64))",
        "`train`: the targets are int64 (4, 8, 8), and a Dataset of the task segmentation takes uint8 (4, 8, 8)",
        _CONVERT,
    ),
    "masks without labels": (
        "data('segmentation', MASKS, labels=())",
        "`train`: there are 0 `labels`, and 2 are needed",
        "name each",
    ),
    "pictures without channels": (
        "data('image', MASKS, labels=('grey',))",
        "`train`: the targets are uint8 (4, 8, 8), and a Dataset of the task image takes uint8 (4, 1, 8, 8)",
        _CONVERT,
    ),
    "points that are no numbers": ("data('keypoints', POINTS * np.float32(np.nan))", _points("float32"), _PIXELS),
    "points of 64 bits": ("data('keypoints', POINTS.astype(float))", _points("float64"), _PIXELS),
    "a pair of no point": (
        "data('keypoints', POINTS, flip_pairs=((0, 2),))",
        "returned a Dataset with `flip_pairs=((0, 2),)`, and it has 2 points of keypoints, which count from 0",
        _PAIRS,
    ),
    "a point in two pairs": (
        "data('keypoints', POINTS, flip_pairs=((0, 1), (1, 0)))",
        "returned a Dataset with `flip_pairs=((0, 1), (1, 0))`, and it has 2 points of keypoints, which count from 0",
        _PAIRS,
    ),
}
