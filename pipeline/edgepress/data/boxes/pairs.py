"""Read the boxes of examples that come one at a time: those of torchvision, COCO and Hugging Face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...core.errors import UserError
from .. import images
from ..targets.boxes import CLASS, COUNTS, none, within

CORNERS, SIDES = ("boxes",), ("bbox", "bboxes")
"""Names of x0, y0, x1, y1, as torchvision has them, and of x, y, width, height, as COCO does."""
CLASSES = ("labels", "label", "category", "category_id", "categories")
_HELP = (
    "a mapping with `boxes` (x0, y0, x1, y1) or `bbox` (x, y, width, height) in pixels of the image, and `labels` or "
    "`category`, whole numbers from 0"
)


def boxes(raw: Any, about: str, sides: tuple[int, int] | None, size: tuple[int, int] | None, resize: str) -> np.ndarray:
    """Return boxes (k, 6) of a mapping, or of a list of mappings with one box each, in pixels of the resized image.

    `sides` are height and width of the image before it was resized to `size`; None where it was not. `about` names the
    example in messages. Raises: UserError.
    """
    if isinstance(raw, list | tuple) and all(isinstance(each, Mapping) for each in raw):
        raw = {name: [each.get(name) for each in raw] for name in (raw[0] if raw else (*CORNERS, CLASSES[0]))}
    if not isinstance(raw, Mapping):
        raise UserError(f"{about} has no boxes, but a {type(raw).__name__}", _HELP)
    corners = next((name for name in (*CORNERS, *SIDES) if name in raw), None)
    classes = next((name for name in CLASSES if name in raw), None)
    if corners is None or classes is None:
        raise UserError(f"{about} has only {', '.join(f'`{name}`' for name in raw)}", _HELP)
    try:
        numbers = np.array(_plain(raw[corners]), np.float64).reshape(-1, 4)
        labels = np.array(_plain(raw[classes]), np.float64).reshape(-1)
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{about} has boxes or classes that are no numbers", _HELP) from error
    if not np.isfinite(labels).all():
        raise UserError(f"{about} has a class that is no number", _HELP)
    if len(labels) != len(numbers):
        raise UserError(f"{about} has {len(numbers)} boxes and {len(labels)} classes", _HELP)
    if corners in SIDES:
        numbers[:, 2:] += numbers[:, :2]
    found = none((len(numbers), 6)).astype(np.float64)
    found[:, :4], found[:, CLASS], found[:, COUNTS] = numbers, labels, 1
    if "iscrowd" in raw and len(crowd := np.array(_plain(raw["iscrowd"])).reshape(-1)) == len(found):
        found[:, COUNTS] = crowd == 0
    if sides is None or size is None:
        return found
    low, high = numbers[:, :2], numbers[:, 2:]
    if not ((low < high) & (low < sides[::-1]) & (high > 0)).all():
        words = f"a box outside of its picture of {sides[0]} × {sides[1]} pixels, inverted, or of no width or height"
        raise UserError(f"{about} has {words}", _HELP)
    scale, shift = images.placed(sides, size, resize)
    found[:, :4] = numbers * np.tile(scale[::-1], 2) + np.tile(shift[::-1], 2)
    moved = within(found, size)
    return moved[moved[:, CLASS] >= 0]


def _plain(values: Any) -> Any:
    return values.tolist() if hasattr(values, "tolist") else values


def names(feature: Any) -> tuple[str, ...]:
    """Return the names of classes in a feature of Hugging Face that has boxes: of the first that has any."""
    inner = getattr(feature, "feature", feature)
    for each in (inner.get(name) for name in CLASSES) if isinstance(inner, Mapping) else ():
        if found := getattr(getattr(each, "feature", each), "names", None):
            return tuple(found)
    return ()
