"""Hold the boxes of pictures as files have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

OUTSIDE = 0.02
"""Share of a side by which a box may leave its picture without a word: tools round."""


@dataclass
class Annotations:
    """Boxes, one after the other, and the pictures that they are in.

    Attributes:
        images: paths of the pictures, also of those without boxes.
        parts: the split of each picture, empty where none is named.
        labels: names of the classes; empty where files have numbers alone.
        shares: whether boxes are shares of the picture, and not in its pixels.
        owners: of each box its picture; `corners` x0, y0, x1, y1; `classes` from 0; `counts` whether it counts.
        sizes: height and width of each picture as the annotation has it; 0, 0 where it has none.
    """

    name: str
    images: list[str]
    parts: list[str]
    labels: tuple[str, ...] = ()
    shares: bool = False
    owners: list[int] = field(default_factory=list)
    corners: list[Sequence[float]] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    counts: list[bool] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    def add(self, owner: int, corners: Sequence[float], label: int, counts: bool = True) -> None:
        self.owners.append(owner)
        self.corners.append(corners)
        self.classes.append(label)
        self.counts.append(counts)
