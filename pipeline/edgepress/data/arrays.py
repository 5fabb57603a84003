"""Read an .npz with `x` and `y`, or `train_x`, `train_y`, ….

`labels` and `groups` are optional; with `labels: none` in the recipe no `y` is read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.errors import UserError, suggest
from . import npz
from .examples import Examples
from .source import Source
from .split import SPLITS
from .targets.boxes import CLASS

_UNSPLIT = ("x", "y")
_PER_SPLIT = tuple(f"{split}_{name}" for split in SPLITS for name in _UNSPLIT)


def read(source: Source, path: Path) -> Examples:
    """Read the arrays of an .npz. Raises: UserError, for pickled objects too, which are never loaded."""
    arrays = npz.arrays(path)
    known = {*_UNSPLIT, *_PER_SPLIT, "labels", "groups"}
    for name in arrays:
        if name not in known:
            raise UserError(f"`{path.name}` has an array `{name}`", suggest(name, known))
    unsplit = any(name in arrays for name in _UNSPLIT)
    wanted = (
        _UNSPLIT if unsplit else [name for name in _PER_SPLIT if f"{name[:-2]}_x" in arrays or name.startswith("train")]
    )
    if extra := [name for name in _PER_SPLIT if name in arrays and name not in wanted]:
        raise UserError(
            f"`{path.name}` has `{extra[0]}` too" if unsplit else f"`{path.name}` has `{extra[0]}` without x"
        )
    labelled = source.labels != "none"
    if not labelled:
        wanted = [name for name in wanted if name.endswith("x")]
    if lacking := [name for name in wanted if name not in arrays]:
        raise UserError(
            f"`{path.name}` has no array `{lacking[0]}`, only {', '.join(sorted(arrays))}",
            "examples without labels: `labels: none`" if lacking[0].endswith("y") else "",
        )
    listed = source.listed
    if listed and "labels" in arrays:
        raise UserError(f"`{path.name}` has its own `labels`", "take `labels` out of the recipe, or out of the file")
    labels = tuple(map(str, arrays["labels"].tolist())) if "labels" in arrays else listed
    pairs = source.flip_pairs or ()
    if not labelled:
        arrays |= {f"{name[:-1]}y": np.zeros(len(arrays[name]), np.int64) for name in wanted}
    if unsplit:
        return Examples(
            arrays["x"],
            arrays["y"],
            labels,
            groups=arrays.get("groups"),
            labels_listed=bool(listed),
            flip_pairs=pairs,
            labelled=labelled,
        )
    splits = [name[:-2] for name in wanted if name.endswith("_x")]
    for split in splits:
        x, y = arrays[f"{split}_x"], arrays[f"{split}_y"]
        first, goal = arrays[f"{splits[0]}_x"], arrays[f"{splits[0]}_y"]
        if len(x) != len(y):
            raise UserError(f"`{path.name}`: `{split}_x` has {len(x)} examples, and `{split}_y` has {len(y)}")
        if (x.shape[1:], x.dtype) != (first.shape[1:], first.dtype):
            raise UserError(
                f"`{path.name}`: `{split}_x` is {x.dtype} {x.shape}, and `{splits[0]}_x` is {first.dtype} {first.shape}"
            )
        boxes = source.task == "detection" and y.ndim == goal.ndim == 3
        if y.shape[1 + boxes :] != goal.shape[1 + boxes :]:
            raise UserError(f"`{path.name}`: `{split}_y` is {y.shape}, and `{splits[0]}_y` is {goal.shape}")
    targets = [arrays[f"{split}_y"] for split in splits]
    return Examples(
        np.concatenate([arrays[f"{split}_x"] for split in splits]),
        np.concatenate(_as_full(targets) if source.task == "detection" else targets),
        labels,
        groups=arrays.get("groups"),
        part=np.repeat(splits, [len(arrays[f"{split}_x"]) for split in splits]),
        labels_listed=bool(listed),
        flip_pairs=pairs,
        labelled=labelled,
    )


def _as_full(targets: list[np.ndarray]) -> list[np.ndarray]:
    """Return boxes (n, most, 5) with as many rows for each picture, those that are none of the class −1."""
    if any(y.ndim != 3 for y in targets):
        return targets
    most, full = max(y.shape[1] for y in targets), []
    for y in targets:
        none = np.zeros((len(y), most - y.shape[1], y.shape[2]), y.dtype)
        none[..., CLASS : CLASS + 1] = -1
        full.append(np.concatenate([y, none], 1))
    return full


def values(path: Path) -> Examples:
    """Read `x` alone, for examples without labels. Raises: UserError."""
    arrays = npz.arrays(path)
    if "x" not in arrays:
        raise UserError(f"`{path.name}` has no array `x`, only {', '.join(sorted(arrays))}")
    rest = [f"`{name}`" for name in arrays if name != "x"]
    notes = (f"`{path.name}`: `x` alone is read, and not {', '.join(rest)}",) if rest else ()
    y = np.zeros(len(arrays["x"]), np.int64)
    return Examples(arrays["x"], y, ("",), notes=notes).checked(path.name)
