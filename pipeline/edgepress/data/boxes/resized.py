"""Make targets of annotated boxes: checked, counted in the order of the labels, and resized as their pictures are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...core.errors import UserError, suggest
from .. import images
from ..ragged import Ragged
from ..targets.boxes import CLASS, COUNTS, MOST, none, within
from ..words import by, several
from .annotated import OUTSIDE, Annotations


def listed(annotations: Annotations, labels: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the classes (boxes,) counted in the order of the recipe's `labels`, if there are any, and their names.

    Raises: UserError.
    """
    classes, own = np.array(annotations.classes, np.int64), annotations.labels
    if labels and own:
        used = [own[place] for place in np.unique(classes)]
        if unknown := [name for name in used if name not in labels]:
            raise UserError(
                f"`{annotations.name}` has boxes of {several([f'`{name}`' for name in unknown])}, which is none of the "
                f"{len(labels)} `labels`",
                suggest(unknown[0], labels),
            )
        return np.array([labels.index(name) if name in labels else -1 for name in own], np.int64)[classes], labels
    names = labels or own or tuple(map(str, range(int(classes.max(initial=0)) + 1)))
    if outside := sorted({each for each in annotations.classes if not 0 <= each < len(names)}):
        raise UserError(
            f"`{annotations.name}` has boxes of the class {several(outside)}, and {len(names)} `labels` count from 0",
            "list a label for each class, in the order of their numbers",
        )
    return classes, names


def targets(
    annotations: Annotations,
    shown: Callable[[int], str],
    rows: np.ndarray,
    sides: np.ndarray,
    size: tuple[int, int],
    resize: str,
    labels: tuple[str, ...],
) -> tuple[Ragged, tuple[str, ...], tuple[str, ...]]:
    """Return the boxes of `rows` of the pictures, the names of the classes, and notes on what was left out.

    `sides` (rows, 2) are height and width of these pictures' files, `size` what they are resized to, and `shown(i)`
    names picture i. Raises: UserError.
    """
    name = annotations.name
    classes, names = listed(annotations, labels)
    place = np.full(len(annotations.images), -1)
    place[rows] = np.arange(len(rows))
    owners = place[np.array(annotations.owners, np.int64)]
    order = np.flatnonzero(owners >= 0)
    order = order[np.argsort(owners[order], kind="stable")]
    owners, classes = owners[order], classes[order]
    corners = np.array(annotations.corners, np.float64).reshape(-1, 4)[order]
    counts = np.array(annotations.counts, bool)[order]
    _sizes(annotations, shown, rows, sides)

    def refuse(wrong: np.ndarray, what: str, help: str) -> None:
        if wrong.any():
            where = several([f"`{shown(int(rows[owner]))}`" for owner in dict.fromkeys(owners[wrong].tolist())])
            raise UserError(f"`{name}`: {int(wrong.sum())} of {len(wrong)} boxes {what}: {where}", help)

    per_picture = np.bincount(owners, minlength=len(rows))
    refuse(per_picture[owners] > MOST, f"are in pictures with more than {MOST:,}", "divide these pictures into tiles")
    refuse(~np.isfinite(corners).all(1), "have a coordinate that is no finite number", "correct them, or take them out")
    whole = np.array([1, 1, 1, 1]) if annotations.shares else sides[owners][:, [1, 0, 1, 0]]
    x0, y0, x1, y1 = (corners / whole).T
    refuse((x1 < x0) | (y1 < y0), "have their right or lower side before the left or upper one",
           "is it x, y, width and height where two corners are meant, or the other way round?")  # fmt: skip
    refuse((x1 < 0) | (y1 < 0) | (x0 > 1) | (y0 > 1), "are outside of their picture",
           "are they in pixels of this very file, and not of a larger or smaller one?")  # fmt: skip
    flat = (x1 == x0) | (y1 == y0)
    over = ~flat & ((np.minimum(x0, y0) < -OUTSIDE) | (np.maximum(x1, y1) > 1 + OUTSIDE))
    notes = [f"{flat.sum()} boxes of no width or height are left out"] if flat.any() else []
    notes += [f"{over.sum()} boxes leave their picture, and are cut at its edge"] if over.any() else []
    crowds = int((~counts & ~flat).sum())
    notes += [f"{crowds} boxes of crowds or difficult ones do not count"] if crowds else []
    empty = int((per_picture == 0).sum())
    notes += [f"{empty} of {len(rows)} pictures have no box"] if empty else []
    if flat.all():
        raise UserError(f"`{name}` has no box", "are these the annotations of the pictures?")
    kept = ~flat
    values = none((int(kept.sum()), 6)).astype(np.float64)
    values[:, :4] = (np.stack([x0, y0, x1, y1], 1) * sides[owners][:, [1, 0, 1, 0]])[kept]
    values[:, CLASS], values[:, COUNTS], owners = classes[kept], counts[kept], owners[kept]
    values = _resized(values, owners, sides, size, resize)
    there = values[:, CLASS] >= 0
    notes += [f"{(~there).sum()} boxes are cut off with the margin, by `resize: {resize}`"] if not there.all() else []
    starts = np.concatenate([[0], np.bincount(owners[there], minlength=len(rows)).cumsum()])
    return Ragged(values[there], starts, none((6,))), names, tuple(f"`{name}`: {note}" for note in notes)


def _resized(
    values: np.ndarray, owners: np.ndarray, sides: np.ndarray, size: tuple[int, int], resize: str
) -> np.ndarray:
    """Return boxes in pixels of the pictures as they are resized to `size`, float32 (boxes, 6)."""
    moved = values.copy()
    kinds, of = np.unique(sides, axis=0, return_inverse=True)
    for number, (high, wide) in enumerate(kinds.tolist()):
        scale, shift = images.placed((high, wide), size, resize)
        mine = of.reshape(-1)[owners] == number
        moved[mine, :4] = values[mine, :4] * np.tile(scale[::-1], 2) + np.tile(shift[::-1], 2)
    return within(moved, size)


def _sizes(annotations: Annotations, shown: Callable[[int], str], rows: np.ndarray, sides: np.ndarray) -> None:
    """Raise UserError where annotations have another size of their picture than its file."""
    if not annotations.sizes:
        return
    stated = np.array(annotations.sizes)[rows]
    if wrong := np.flatnonzero((stated > 0).all(1) & (stated != sides).any(1)).tolist():
        words = [f"`{shown(int(rows[i]))}` {by(stated[i].tolist())}, its file {by(sides[i].tolist())}" for i in wrong]
        raise UserError(
            f"`{annotations.name}`: {len(wrong)} of {len(rows)} pictures are of another size in the annotations, in "
            f"pixels: {several(words)}",
            "boxes are in pixels of the picture: annotate the file that is here, or take the other one",
        )
