"""Examine image files once: their content's digest, their size in pixels, and whether they can be decoded.

What was found is remembered in the cache, in one file for each folder of images. It counts where a file's size, times
and inode are still the same; nothing of such a file is read. An index that is damaged is made anew.
"""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..core import paths as of_paths
from ..core.paths import replacing
from ..core.system_errors import SystemFault
from . import images
from .images import Header
from .rows import DIGEST

RECORD = np.dtype(
    [("size", "i8"), ("mtime", "i8"), ("ctime", "i8"), ("inode", "u8"), ("height", "i4"), ("width", "i4"),
     ("grey", "?"), ("several", "?"), ("digest", "u1", DIGEST)]
)  # fmt: skip
"""What is known of a file: its `stat` in bytes and nanoseconds, and what its header and bytes say."""
_STAT = ["size", "mtime", "ctime", "inode"]
_SETTLED = 2 * 10**9
"""Nanoseconds after which a file's times tell a change: some file systems count in steps of two seconds."""
_AT_ONCE = 4096
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def names_of(paths: Sequence[Path], root: Path) -> np.ndarray:
    """Return paths below `root` from there, as bytes (n,): an array of them takes a tenth of the memory of paths."""
    cut = len(str(root / "x")) - 1
    return np.array([os.fsencode(str(path)[cut:]) for path in paths], np.bytes_)


def examine(paths: Sequence[Path], root: Path, cache: Path | None = None) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return records (n,), what is wrong with unreadable files in words, and which are readable (n,)."""
    records, names = _stated(paths), names_of(paths, root)
    index = cache and cache / "files" / f"{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()}.npz"
    old_names, old = _read(index)
    readable = _known(records, names, old, old_names)
    unknown = np.flatnonzero(~readable)
    if not len(unknown):
        return records, [], readable
    wrong = []
    for start in range(0, len(unknown), _AT_ONCE):
        block = unknown[start : start + _AT_ONCE]
        found, reasons = images.on_all(_examined, [paths[row] for row in block], root)
        wrong += reasons
        for row, each in zip(block.tolist(), found, strict=True):
            if each is not None:
                header, digest = each
                records[row] = (*records[row].tolist()[:4], *header, np.frombuffer(digest, np.uint8))
                readable[row] = True
    if index:
        new = readable & (records["mtime"] < time.time_ns() - _SETTLED)
        new &= records["ctime"] < time.time_ns() - _SETTLED
        _write(index, names[new], records[new], old_names, old)
    return records, wrong, readable


def _stated(paths: Sequence[Path]) -> np.ndarray:
    """Return records (n,) with what `stat` says; of a file that is gone zeros, which no file is like."""
    stated = []
    for path in paths:
        try:
            found = os.stat(path)
            stated.append((found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino))
        except OSError:
            stated.append((0, 0, 0, 0))
    records = np.zeros(len(paths), RECORD)
    for name, column in zip(_STAT, np.array(stated, np.uint64).reshape(-1, 4).T, strict=True):
        records[name] = column
    return records


def _known(records: np.ndarray, names: np.ndarray, old: np.ndarray, old_names: np.ndarray) -> np.ndarray:
    """Fill in the records of files that are as they were; return which these are, (n,)."""
    place = {name: row for row, name in enumerate(old_names.tolist())}
    rows = np.array([place.get(name, -1) for name in names.tolist()], np.int64)
    there = np.flatnonzero(rows >= 0)
    same = np.ones(len(there), bool)
    for name in _STAT:
        same &= records[name][there] == old[name][rows[there]]
    there = there[same]
    records[there] = old[rows[there]]
    known = np.zeros(len(records), bool)
    known[there] = True
    return known


def _examined(path: Path) -> tuple[Header, bytes]:
    """Read a file's header and digest, and decode it. Raises the errors of Pillow's decoders for bad files."""
    header = images.header(path)
    images.decoded(path, "L" if header.grey else "RGB", 8)  # of a JPEG every 8th pixel: all its data is read
    return header, bytes.fromhex(of_paths.digest(path))


def _read(index: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Return names and records of an index; none of one that is not there, or is damaged."""
    with suppress(*_DAMAGED):
        if index is not None and index.is_file():
            with np.load(index) as stored:
                names, records = stored["names"], stored["records"]
            if records.dtype == RECORD and records.shape == names.shape == (len(names),) and names.dtype.kind == "S":
                return names, records
    return np.empty(0, np.bytes_), np.empty(0, RECORD)


def _write(index: Path, names: np.ndarray, records: np.ndarray, old_names: np.ndarray, old: np.ndarray) -> None:
    """Write the index, with what it knew of other files, such as those that `--limit` left out."""
    others = ~np.isin(old_names, names)
    # A cache that cannot be written can be used; a run that has to write tells it.
    with suppress(SystemFault), replacing(index) as temporary, temporary.open("wb") as file:
        np.savez(file, names=np.concatenate([old_names[others], names]), records=np.concatenate([old[others], records]))
