"""Read image files as examples: each is decoded when its row is taken."""

from __future__ import annotations

import math
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from ..core.capacity import cores
from ..core.errors import UserError
from . import file_index, images
from .listing import Skipped, kind
from .rows import Lazy
from .source import Source
from .words import by, several


class Files(Lazy):
    """Images uint8 (n, *shape), which `decode` makes of the files that `names` (n,) leads to from `root`.

    `records` (n,) is what was known of each file when it was examined: one that has changed since is refused.
    """

    def __init__(
        self, root: Path, names: np.ndarray, records: np.ndarray, decode: Callable[[Path], np.ndarray],
        shape: tuple[int, ...], made_by: str, *, masks: bool = False,
    ) -> None:  # fmt: skip
        seen = records["seen"] if masks else None
        super().__init__((len(names), *shape), np.dtype(np.uint8), records["digest"], made_by, seen)
        self.root, self.names, self.records, self.decode = root, names, records, decode

    def take(self, rows: np.ndarray) -> np.ndarray:
        taken = np.empty((len(rows), *self.shape[1:]), np.uint8)

        def fill(place: int) -> None:
            taken[place] = self._pixels(int(rows[place]))

        with images.quiet():
            # Processes that load batches are as many as there are cores.
            if len(rows) == 1 or multiprocessing.parent_process() is not None:
                for place in range(len(rows)):
                    fill(place)
            else:
                with ThreadPoolExecutor(cores()) as pool:
                    list(pool.map(fill, range(len(rows))))
        return taken

    def _pixels(self, row: int) -> np.ndarray:
        """Decode one file. Raises: UserError where it is not the file that was examined."""
        name, record = os.fsdecode(self.names[row]), self.records[row]
        path, reason = self.root / name, "has changed"
        try:
            if file_index.is_as_before(path, record):
                pixels = self.decode(path)
                if file_index.is_as_before(path, record):  # nor did it change while it was read
                    return pixels
        except images.BROKEN as error:
            gone = isinstance(error, FileNotFoundError)
            reason = "is gone" if gone else f"cannot be read any more: {images.reason(error, path)}"
        raise UserError(
            f"`{self.root.name}`: `{name}` {reason}; it was there, and readable, when this run began",
            "run again: files that changed are examined anew",
        )


def read(
    paths: Sequence[str],
    root: Path,
    source: Source,
    skipped: Skipped | None = None,
    *,
    times: int = 1,
    cache: Path | None = None,
) -> tuple[Files, np.ndarray]:
    """Return the images of files, which are examined but not kept, and which of `paths` they are, (n,).

    EXIF orientation is followed, transparency is laid on white, 16-bit grey is divided by 257, and of an animation the
    first picture counts. Targets that are so many `times` as large as their image, and of so many times its `size`, are
    cropped and resized to the same part. Only what `unreadable: skip` allows is left out, and counted in `skipped`.
    What was examined is remembered in `cache`.

    Raises: UserError for files that cannot be read, and for sizes that differ while no `size` is given.
    """
    with images.quiet():
        names, records, wrong, readable = file_index.examine(paths, root, cache)
    rows = np.flatnonzero(readable)
    _verify(len(paths), len(rows), wrong, root, source)
    found = records[rows]
    grey = source.color == "grey" or (source.color is None and bool(found["grey"].all()))
    size = _size(found, root, source)
    if skipped is not None:
        for row in np.flatnonzero(~readable).tolist():
            skipped.add("cannot be read, and `unreadable: skip`", kind(Path(paths[row]).name))
        skipped.several = Counter(kind(Path(paths[row]).name) for row in rows[found["several"]])
    decode = partial(images.pixels, grey=grey, size=size, resize=source.resizing, times=times)
    made_by = repr(("files", source.resizing, times))  # colour and size are in the shape
    return Files(root, names[rows], found, decode, (1 if grey else 3, *size), made_by), rows


def whole(found: Files) -> np.ndarray:
    """Decode all images at once. Raises: UserError for more than half of the free memory."""
    content = f"{len(found)} images of {by(found.shape[2:])}"
    images.bounded(math.prod(found.shape), content, found.root.name)
    return found[:]


def _verify(count: int, readable: int, wrong: Sequence[str], root: Path, source: Source) -> None:
    """Raise UserError for unreadable files, unless they may be left out and others are left."""
    if wrong and source.unreadable == "refuse":
        message = f"{len(wrong)} of {count} image files cannot be read"
        raise UserError(
            f"`{root.name}`: {message}: {several(wrong)}", "mend them, or leave them out: `unreadable: skip`"
        )
    if not readable:
        raise UserError(
            f"`{root.name}`: none of {count} image files can be read: {several(wrong)}",
            "mend them, or name another folder",
        )


def _size(records: np.ndarray, root: Path, source: Source) -> tuple[int, int]:
    if source.size is not None:
        return (source.size, source.size) if isinstance(source.size, int) else source.size
    sizes = Counter(zip(records["height"].tolist(), records["width"].tolist(), strict=True))
    (most, count), *rest = sizes.most_common()
    if rest:
        shown = several([f"{height} × {width} ({number})" for (height, width), number in sizes.most_common()])
        shorter = sorted(min(size) for size in sizes.elements())[len(records) // 2]
        raise UserError(
            f"`{root.name}`: the images are of {len(sizes)} sizes: {shown}",
            f"write `size: {min(max(shorter, 8), 224)}`, or another number of pixels",
        )
    if min(most) < 8:
        every = "the image is" if count == 1 else f"all {count} images are"
        raise UserError(
            f"`{root.name}`: {every} {most[0]} × {most[1]} pixels",
            "8 is the least; `size: 32` would enlarge them",
        )
    return most
