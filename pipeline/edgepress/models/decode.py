"""Describe how the raw outputs of a detector become boxes, scores and classes; its metadata has the description.

A box is coded as one of these, and `models.decoder` does the rest in numpy:

    anchors    (dx, dy, dw, dh) of an anchor box: SSD, RetinaNet (Girshick et al., 2014, R-CNN's coding)
    distances  to left, top, right and bottom from a centre point, in strides: FCOS
    dfl        the same four, each the mean of a softmax over `bins` (Li et al., 2020): YOLOv8, YOLO11, PicoDet
    yolox      offset from a grid cell and logarithm of the sides, in strides: YOLOX
    corners    x0, y0, x1, y1, already decoded
    centre     x, y, width, height, already decoded
    detections x0, y0, x1, y1, score and class of the boxes that are left, with suppression in the graph or without need
               of it: `export.nms`, YOLOv10
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..core.errors import Mistake

GRID = ("distances", "dfl", "yolox")
COLUMNS = 6
"""Of `detections`: corners, score and class."""
PLACES = 1_000_000
"""Anchors of all maps at most: RetinaNet has 77 thousand at 640 × 640, and a file's metadata may state any number."""
_Side = Annotated[float, Field(gt=0, le=1e5)]
_Cells = Annotated[int, Field(ge=1, le=PLACES)]


class Level(BaseModel):
    """Anchors of one feature map, in pixels: each cell has one of every size, centred on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells: tuple[_Cells, _Cells] = Field(description="height and width of the feature map")
    sizes: tuple[tuple[_Side, _Side], ...] = Field(min_length=1, description="width and height of each anchor")


class Decode(BaseModel):
    """How the outputs of a detector become boxes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    coding: Literal["anchors", "distances", "dfl", "yolox", "corners", "centre", "detections"] = Field(
        description="what the numbers of a box are: offsets of `anchors` (SSD), `distances` from centre points (FCOS), "
        "`dfl` (YOLOv8, YOLO11), `yolox`, or decoded: `corners` x0, y0, x1, y1, or `centre` x, y, width, height; "
        "`detections` are corners, score and class of boxes that nothing is to be suppressed of (YOLOv10)"
    )
    boxes: tuple[str, ...] = Field(min_length=1, description="outputs with the numbers of the boxes, finest first")
    scores: tuple[str, ...] = Field(
        default=(), description="outputs with the scores of the classes; by default behind the boxes in the same ones"
    )
    objectness: tuple[str, ...] | Literal["behind"] = Field(
        default=(), description="outputs with one score for any object; `behind` the boxes, before those of the classes"
    )
    levels: tuple[Level, ...] = Field(default=(), description="of `anchors`: those of each feature map, finest first")
    strides: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        default=(), description="of `distances`, `dfl` and `yolox`: pixels per cell of each feature map, finest first"
    )
    offset: float | None = Field(
        default=None, ge=0, le=1, description="where in its cell a centre is; 0.5, the middle, but 0 for `yolox`"
    )
    weights: tuple[_Side, _Side, _Side, _Side] = Field(
        default=(10, 10, 5, 5), description="of `anchors`: what dx, dy, dw, dh are divided by"
    )
    bins: int = Field(default=16, ge=2, le=1024, description="of `dfl`: numbers of the softmax for each side")
    scale: Literal["pixels", "shares"] = Field(
        default="pixels", description="unit of decoded boxes: `pixels` of the input, or `shares` of it"
    )
    activation: Literal["softmax", "sigmoid", "none"] = Field(
        default="sigmoid", description="what makes the scores; `none` where the graph has it"
    )
    background: int | None = Field(default=None, ge=0, description="index of the score that stands for no object")
    root: bool = Field(default=False, description="take the square root of score times objectness, as FCOS does")
    score: float = Field(default=0.02, ge=0, lt=1, description="least score of a box")
    iou: float = Field(default=0.55, gt=0, le=1, description="IoU above which the worse box of a class is suppressed")
    most: int = Field(default=100, ge=1, le=1000, description="boxes of a picture at most")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.coding == "anchors") != bool(self.levels):
            raise Mistake("`coding: anchors` and `levels` belong together", "the anchors of each feature map")
        if (self.coding in GRID) != bool(self.strides):
            raise Mistake(f"`strides` are of {', '.join(GRID)}", "such as [8, 16, 32], one for each feature map")
        if self.coding == "detections" and (self.scores or self.objectness):
            raise Mistake("`coding: detections` has scores in the rows of its boxes", "leave `scores` out")
        if sum(math.prod(level.cells) * len(level.sizes) for level in self.levels) > PLACES:
            raise Mistake(f"`levels` have more than {PLACES:,} anchors", "`cells` are height and width of a map")
        return self

    @property
    def shift(self) -> float:
        """Return where in its cell a centre is."""
        return (0.0 if self.coding == "yolox" else 0.5) if self.offset is None else self.offset

    @property
    def numbers(self) -> int:
        """Return how many numbers a box has."""
        return 4 * self.bins if self.coding == "dfl" else 4

    def columns(self, classes: int) -> int:
        """Return how many numbers all heads have for a place."""
        if self.coding == "detections":
            return COLUMNS
        return self.numbers + bool(self.objectness) + classes + (self.background is not None)

    def names(self) -> list[str]:
        """Return the outputs that are read, each once."""
        objectness = () if self.objectness == "behind" else self.objectness
        return list(dict.fromkeys((*self.boxes, *objectness, *self.scores)))
