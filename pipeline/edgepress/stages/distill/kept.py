"""Keep outputs that are too large for memory: on the disk, or not at all."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core.errors import UserError
from ...core.paths import replacing
from ...core.units import show_bytes

Numbers = type[np.floating]


class Rowed:
    """Outputs (n, …) of which only the rows that are indexed, (b,), come into memory.

    `how` is the type that the disk has them as, or `live` where they are computed anew.
    """

    def __init__(self, read: Callable[[Tensor], Tensor], count: int, how: str) -> None:
        self._read, self._count, self.how = read, count, how

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, rows: Tensor) -> Tensor:
        return self._read(rows)


Outputs = Tensor | Rowed


class NoRoomError(UserError):
    """The disk has too little space for a teacher's outputs."""


def mapped(file: Path) -> Tensor:
    """Return an array that was `stored`, of which rows are read when they are indexed."""
    return torch.from_numpy(np.load(file, mmap_mode="c"))


def rowed(file: Path, count: int) -> Rowed | None:
    """Return the outputs of `count` examples that were `stored`; None without them, or where the file is damaged."""
    try:
        array = mapped(file)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return Rowed(array.__getitem__, count, str(array.dtype).rpartition(".")[2]) if len(array) == count else None


def live(run: Callable[[Tensor], Iterable[np.ndarray]], count: int) -> Rowed:
    """Return outputs that `run(rows)` computes when they are indexed."""
    return Rowed(lambda rows: torch.from_numpy(np.concatenate(list(run(rows)))), count, "live")


def stored(file: Path, count: int, parts: Iterator[np.ndarray], numbers: Sequence[Numbers], left: int) -> None:
    """Write outputs, (b, …) at a time, as one array (count, …) of the first of `numbers` that the disk has room for.

    `left` views, with this one, are to come. The file is written, not mapped: a page of a mapped file that a full disk
    has no room for ends the process. Raises: NoRoomError.
    """
    first = next(parts)
    shape = (count, *first.shape[1:])
    sizes = {each: math.prod(shape) * np.dtype(each).itemsize for each in numbers}
    free = shutil.disk_usage(file.parent).free
    fitting = next((each for each, size in sizes.items() if free >= size * left), None)
    if fitting is None:
        raise NoRoomError(
            f"a teacher's outputs on the training examples take {show_bytes(min(sizes.values()))} a view, {left} are "
            f"to be written, and the disk of `{file.parent.parent}` has {show_bytes(free)}",
            "fewer `views`, or a cache on another disk: `--cache` or the variable EDGEPRESS_CACHE",
        )
    header: dict[str, Any] = {"descr": np.dtype(fitting).str, "fortran_order": False, "shape": shape}
    with replacing(file) as temporary, temporary.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, header)
        for part in chain([first], parts):
            out.write(part.astype(fitting).tobytes())


LESS = {
    "float16": "kept its teacher's outputs as float16, for want of room on the disk",
    "live": "ran its teacher in every step, for want of room on the disk for its outputs",
}


def notes(outputs: Iterable[Iterable[Outputs]]) -> dict[str, Any]:
    """Return how outputs by teacher and view are held, with `warnings`, where that is less than float32."""
    found = {each.how for views in outputs for each in views if isinstance(each, Rowed)}
    less = [how for how in LESS if how in found]
    return {"teacher_outputs": less, "warnings": [LESS[how] for how in less]} if less else {}
