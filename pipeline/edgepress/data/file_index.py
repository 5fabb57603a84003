"""Examine image files once: their content's digest, their size in pixels, and whether they can be decoded.

What was found is remembered in the cache, in one file for each folder of images. It counts where a file's size, times
and inode are still the same; nothing of such a file is read. An index that is damaged is made anew.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..core import paths as of_paths
from ..core.system_errors import SystemFault
from . import images, memo
from .images import Header
from .rows import DIGEST, SEEN

RECORD = np.dtype(
    [("size", "i8"), ("mtime", "i8"), ("ctime", "i8"), ("inode", "u8"), ("height", "i4"), ("width", "i4"),
     ("grey", "?"), ("several", "?"), ("deep", "?"), ("digest", "u1", DIGEST), ("seen", "u1", SEEN)]
)  # fmt: skip
"""What is known of a file: its `stat` in bytes and nanoseconds, and what its header and bytes say."""
_VERSION = 2
"""Of what `Found` means, raised where the same file would be described in another way: old records do not count."""
_STAT = ["size", "mtime", "ctime", "inode"]
_64_BITS = 2**64 - 1
_SETTLED = 2 * 10**9
"""Nanoseconds after which a file's times tell a change: some file systems count in steps of two seconds."""
_AT_ONCE = 4096


class Found(NamedTuple):
    """What examining a file tells."""

    header: Header
    digest: bytes
    seen: bytes = bytes(SEEN)
    """Of a mask, which values its pixels have: a bit each."""


def photo(path: Path) -> Found:
    """Read a file's header and digest, and decode it. Raises the errors of Pillow's decoders for bad files."""
    header = images.header(path)
    upright = images.decoded(path, "L" if header.grey else "RGB", 8)  # of a JPEG every 8th pixel: all its data is read
    return Found(header.turned_as(upright), bytes.fromhex(of_paths.digest(path)))


def names_of(paths: Sequence[str], root: Path) -> np.ndarray:
    """Return paths below `root` from there, as bytes (n,): an array of them takes a tenth of the memory of paths."""
    cut = len(str(root / "x")) - 1
    return np.array(os.fsencode("\0".join([path[cut:] for path in paths])).split(b"\0"), np.bytes_)[: len(paths)]


def examine(
    paths: Sequence[str],
    root: Path,
    cache: Path | None = None,
    work: Callable[[Path], Found] = photo,
    how: str = "",
) -> tuple[np.ndarray, np.ndarray, list[str], np.ndarray]:
    """Return names (n,), records (n,), what is wrong with unreadable files in words, and which are readable (n,).

    `how` tells what `work` finds from what another would.
    """
    begun = time.time_ns()  # a file that changes from here on may keep its times
    records, names = _stated(paths), names_of(paths, root)
    key = os.fsencode(root.resolve()) + (b"\0" + how.encode() if how else b"")
    index = cache and cache / "files" / f"{hashlib.sha256(key).hexdigest()}.npz"
    old_names, old = _read(index)
    readable = _known(records, names, old, old_names)
    unknown = np.flatnonzero(~readable)
    if not len(unknown):
        return names, records, [], readable
    wrong = []
    try:
        for start in range(0, len(unknown), _AT_ONCE):
            block = unknown[start : start + _AT_ONCE]
            found, reasons = images.on_all(work, [paths[row] for row in block], root)
            wrong += reasons
            for row, each in zip(block.tolist(), found, strict=True):
                if each is not None:
                    digest, seen = (np.frombuffer(part, np.uint8) for part in (each.digest, each.seen))
                    records[row] = (*records[row].tolist()[: len(_STAT)], *each.header, digest, seen)
                    readable[row] = True
    finally:  # an interrupted run goes on from here
        if index:
            new = readable & (np.maximum(records["mtime"], records["ctime"]) < begun - _SETTLED)
            _write(index, root, names[new], records[new], old_names, old)
    return names, records, wrong, readable


def is_as_before(path: Path, record: np.void) -> bool:
    """Tell whether a file has the size and time of its record. Raises: OSError."""
    found = path.stat()
    return (found.st_size, found.st_mtime_ns & _64_BITS) == (record["size"], int(record["mtime"]) & _64_BITS)


def _stated(paths: Sequence[str]) -> np.ndarray:
    """Return records (n,) with what `stat` says; of a file that is gone zeros, which no file is like.

    Years before 1970 and behind 2262 are some number, too: of times it counts alone whether they are the same.
    """
    stated = []
    for path in paths:
        try:
            found = os.stat(path)
            stated.append((found.st_size, found.st_mtime_ns & _64_BITS, found.st_ctime_ns & _64_BITS, found.st_ino))
        except OSError:
            stated.append((0, 0, 0, 0))
    records = np.zeros(len(paths), RECORD)
    for name, column in zip(_STAT, np.array(stated, np.uint64).reshape(-1, len(_STAT)).T, strict=True):
        records[name] = column.astype(RECORD[name])
    return records


def _known(records: np.ndarray, names: np.ndarray, old: np.ndarray, old_names: np.ndarray) -> np.ndarray:
    """Fill in the records of files that are as they were; return which these are, (n,)."""
    if np.array_equal(names, old_names):
        rows = np.arange(len(names))
    else:
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


def _read(index: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Return names and records of an index; none of one that is not there, or is of another version."""
    stored = memo.read(index) or {}
    whole = set(stored) == {"names", "records", "version"}
    if whole and stored["version"] == _VERSION and stored["records"].dtype == RECORD:
        return stored["names"], stored["records"]
    return np.empty(0, np.bytes_), np.empty(0, RECORD)


def _write(
    index: Path, root: Path, names: np.ndarray, records: np.ndarray, old_names: np.ndarray, old: np.ndarray
) -> None:
    """Write the index, with what it knew of other files that are still there, such as those `--limit` left out."""
    others = np.flatnonzero(~np.isin(old_names, names))
    others = others[[os.path.lexists(root / os.fsdecode(name)) for name in old_names[others]]]
    arrays = {
        "names": np.concatenate([old_names[others], names]),
        "records": np.concatenate([old[others], records]),
        "version": np.array(_VERSION),
    }
    with suppress(SystemFault):  # a cache that cannot be written can be used; a run that has to write tells it
        memo.write(index, arrays)
