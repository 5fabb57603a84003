"""Copy what a user's function gives one example at a time into the cache, once; its rows are read from there.

The copy goes by the function's file, its `args` and the options of reading, and by what tells Hugging Face's data sets
apart. It is published whole, or not at all.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache as once
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from ..core import file_lock
from ..core.errors import UserError
from ..core.paths import replacing
from ..core.system_errors import naming
from ..core.units import show_bytes
from . import images, memo
from .dataset import Kind
from .examples import Examples, kind_of, values
from .pairs import Converter, Origin, each, labels_of, length
from .rows import DIGEST, Stored
from .source import Source
from .split import SPLITS
from .targets import of
from .words import by, several

RESERVE = 2**30
"""Bytes of the disk that a copy leaves free."""
_BLOCK = 64
"""Examples that are written at once."""
Item = TypeVar("Item")


def examples(splits: dict[str, Any], source: Source, origin: Origin, limit: int | None, cache: Path | None) -> Examples:
    """Return the examples of data sets by split, as `by_part` has them, from their copy. Raises: UserError."""
    labels = _labels(splits, source)
    folder = (cache or _passing()) / "copies"
    rows = folder / _key(splits, source, origin, limit)
    about = rows.with_suffix(".npz")
    stored = _read(about, rows) or _made(splits, source, origin, limit, rows, about)
    kind: Any = stored["kind"].item()
    part = None if "" in splits else np.repeat(list(splits), stored["counts"])
    x = Stored(rows, tuple(stored["shape"].tolist()), np.dtype(stored["dtype"].item()), stored["digests"])
    pairs = source.flip_pairs or ()
    return Examples(x, stored["y"], labels, kinds={"input": kind}, part=part, flip_pairs=pairs)


def _labels(splits: dict[str, Any], source: Source) -> tuple[str, ...]:
    """Return the names of the classes, if the data sets know them. Raises: UserError where they differ by split."""
    named = {part: labels_of(pairs, source) for part, pairs in splits.items()}
    (first, labels), *rest = named.items()
    for part, other in rest:
        if other != labels:
            raise UserError(
                f"`{source.source}`: the classes of `{first}` are {several(labels)}, and of `{part}` {several(other)}",
                "give both the same classes in the same order, by number: `cast_column` of Hugging Face's `datasets`",
            )
    return labels


def _made(
    splits: dict[str, Any], source: Source, origin: Origin, limit: int | None, rows: Path, about: Path
) -> dict[str, Any]:
    """Make a copy and return what belongs to it; of several runs that want it, one makes it and the others wait."""
    folder, help = rows.parent, "choose another folder: `--cache`"
    with naming(folder, help):
        folder.mkdir(parents=True, exist_ok=True)
        with file_lock.hold(rows.with_suffix(".lock"), f"the copy of `{source.source}`"):
            if (stored := _read(about, rows)) is not None:
                return stored
            with replacing(rows, help) as temporary, temporary.open("wb") as file:
                stored = _copied(splits, source, origin, limit, file, folder)
            memo.write(about, stored)
            return stored


def _key(splits: dict[str, Any], source: Source, origin: Origin, limit: int | None) -> str:
    parts = [
        [part, type(each).__name__, length(each), getattr(each, "_fingerprint", None)] for part, each in splits.items()
    ]
    kept = {"args", "size", "color", "resize", "image", "label"} | ({"task"} if source.task == "detection" else set())
    options = source.model_dump(mode="json", include=kept)
    material = json.dumps([1, *origin.key, options, limit, parts], sort_keys=True, default=repr)
    return hashlib.sha256(material.encode()).hexdigest()


def _read(about: Path, rows: Path) -> dict[str, Any] | None:
    """Return what belongs to a copy; None of one that is not there, or not whole."""
    if (stored := memo.read(about)) is None:
        return None
    size = int(np.prod(stored["shape"])) * np.dtype(str(stored["dtype"])).itemsize
    if not rows.is_file() or rows.stat().st_size != size:
        return None
    with suppress(OSError):  # a cache that cannot be written can be used
        for file in (rows, about):
            os.utime(file)  # used now, for whoever clears the cache
    return stored


def _copied(
    splits: dict[str, Any], source: Source, origin: Origin, limit: int | None, file: BinaryIO, folder: Path
) -> dict[str, Any]:
    """Write the rows of all data sets to `file`; return what belongs to them, as arrays."""
    converter, name = Converter(source), f"`{source.source}`"
    enough = None if limit is None else -(-10 * limit // 3)  # a third for each split, as of files
    lengths = [length(pairs) for pairs in splits.values()]
    expected = None if enough is not None or None in lengths else sum(filter(None, lengths))
    labels: list[Any] = []
    digests = bytearray()
    counts, row = [], np.empty(0)
    kind: Kind | None = None
    for part, pairs in splits.items():
        most = limit if part in SPLITS[1:] else enough
        before = len(labels)
        for block in _blocks(each(pairs, source, origin, most)):
            start = len(labels)
            raw = np.stack([converter.value(image, start + place) for place, (image, _) in enumerate(block)])
            labels += [converter.target(label, start + place) for place, (_, label) in enumerate(block)]
            if converter.map is not None:
                needed, shape = len(labels) * converter.map.nbytes, by(converter.map.shape)
                images.bounded(needed, f"{len(labels)} labels of {shape}, which stay in memory,", source.source)
            try:
                kind = kind or kind_of("x", raw)
                array = np.ascontiguousarray(values("x", raw, kind))
            except UserError as error:
                problem = error.problems[0]
                raise UserError(f"{name}, from example {start}: {problem.message}", problem.help) from error
            row = array[0]
            _fits(file.tell() + array.nbytes, len(labels), row.nbytes, expected, name, folder)
            file.write(array.tobytes())
            for each_row in array:
                digests += hashlib.sha256(each_row.tobytes()).digest()
        counts.append(len(labels) - before)
    if not all(counts):
        empty = list(splits)[counts.index(0)]
        raise UserError(
            f"{name} gives no examples{f' for {empty}' if empty else ''}", "give one at least of each class"
        )
    try:
        y = of(source.task).array(labels) if source.task == "detection" else np.array(labels)
    except ValueError as error:
        raise UserError(f"{name}: the labels have different lengths", "give as many values for each example") from error
    if y.dtype.hasobject:
        raise UserError(f"{name}: the labels are no plain values, such as `{labels[0]}`", "give numbers, or text")
    return {
        "shape": np.array((len(labels), *row.shape)), "dtype": np.array(row.dtype.str), "kind": np.array(kind), "y": y,
        "digests": np.frombuffer(bytes(digests), np.uint8).reshape(-1, DIGEST), "counts": np.array(counts),
    }  # fmt: skip


def _fits(written: int, count: int, row: int, expected: int | None, name: str, folder: Path) -> None:
    """Raise UserError where the disk would be full before the end, as far as that is known."""
    left = shutil.disk_usage(folder).free - RESERVE
    more = row * max(expected - count, 0) if expected is not None else 0
    if more <= left:
        return
    if expected is None:
        raise UserError(
            f"{name} gave {count} examples, {show_bytes(written)}, and does not end before the disk is full",
            "let it end, for example by `itertools.islice(…, 100_000)`; or choose a larger disk: `--cache`",
        )
    raise UserError(
        f"{name}: the copy of {expected} examples takes {show_bytes(written + more)}, and the disk of `{folder}` has "
        f"{show_bytes(max(left + written, 0))} to spare",
        "free some space, choose another folder: `--cache`, or write a smaller `size`",
    )


def _blocks(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while block := list(islice(iterator, _BLOCK)):
        yield block


@once
def _passing() -> Path:
    """Return a folder for whoever has no cache, which is deleted when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="edgepress-copies-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
