"""Load a data set by its name, or a user's own, in its splits."""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..core import distributed, foreign
from ..core.errors import UserError, suggest
from ..core.printable import say, word
from .dataset import NAMES, Dataset
from .kinds import DECODED, MODULES, WHAT
from .normalize import normalized
from .rows import Lazy
from .source import Shares, Source

if TYPE_CHECKING:
    from .examples import Examples

_LARGEST = 10_000_000
"""Bytes of a file of class names."""
_EVEN = Shares.model_construct(validation=1 / 3, test=1 / 3)
_UNLABELLED = Shares.model_validate({"validation": "30%", "test": "60%"})


def load_dataset(
    name: str | Source, limit: int | None = None, *, base: Path = Path(), seed: int = 0, cache: Path | None = None
) -> Dataset:
    """Read a shipped data set, or a user's own; `UserError` when it is unknown, not on this machine, or unfit.

    `base` is what a user's paths count from: the recipe's folder. The splits are the same for the same `seed` and
    `limit`. With a `limit`, only about as many image files are examined as give each split so many. What was found out
    about files, and copies of what functions give, are kept in `cache`.
    """
    data = _own(name, base, seed, limit, cache) if isinstance(name, Source) else _shipped(name)
    _print(data, data.source)
    return data if limit is None else data.limited(limit)


def load_unlabelled(
    source: Source, base: Path, data: Dataset, limit: int | None = None, cache: Path | None = None
) -> Examples:
    """Read examples without labels that go with `data`, with `x` as in its splits. Raises: UserError.

    A folder's images need no class folders, and become as large as those of `data`; an .npz needs `x` alone.
    """
    path = source.path(base)
    if source.kind == "folder":
        channels, height, width = data.input.shape
        alike = {"size": (height, width), "color": "grey" if channels == 1 else "rgb"}
        source = source.model_copy(update={name: getattr(source, name) or default for name, default in alike.items()})
        if data.task == "detection" and "resize" not in source.model_fields_set:
            source = source.model_copy(update={"resize": data.input.resize or "crop"})
        source = source.model_copy(update={"labels": "imagenet"})  # class folders, if any, mean nothing
        from .folder import read

        third = None if limit is None else -(-3 * limit // 10)  # no splits of `limit` each are made of these
        examples = read(source, path, third, cache).checked(path.name)
    elif source.kind == "arrays":
        from .arrays import values

        examples = values(path)
    else:
        raise UserError(f"`unlabelled` names {WHAT[source.kind]}", "a folder of images, or an .npz with `x`")
    _print(examples, str(path))
    return examples


def _print(data: Dataset | Examples, path: str) -> None:
    """Print what the reader left out, or read doubtfully; once, whatever number of recipes reads it."""
    for head, lines in (("note", data.notes), ("warning", data.warnings)):
        for line in lines:
            _print_once(f"{head}: {line}", path)


@cache
def _print_once(line: str, path: str) -> None:
    if distributed.first():
        say(word(line), error=True)


def _shipped(name: str) -> Dataset:
    if name not in NAMES:
        raise UserError(f"unknown data set `{name}`", suggest(name, NAMES))
    data: Dataset = importlib.import_module(f".{name.replace('-', '_')}", __package__).read()
    return replace(data, inputs=tuple(replace(input, normalized_by="data") for input in data.inputs))


def _own(source: Source, base: Path, seed: int, limit: int | None, cache: Path | None) -> Dataset:
    if source.kind == "shipped":
        return _prepared(source, _shipped(source.source), source.source)
    path, source = source.path(base), _with_labels(source.based(base), base)
    module = MODULES[source.kind]
    if source.masks or source.pictures:
        module = ".paired"
    elif source.has_boxes:
        module = ".boxes"
    read = importlib.import_module(module, __package__).read
    examples = read(source, path) if source.kind == "arrays" else read(source, path, limit, cache)
    if isinstance(examples, Dataset):
        if source.split is not None:
            raise UserError(f"`{source.source}` gives its splits, and `split` would change them", "take `split` out")
        return _prepared(source, examples, path.name)
    from .split import SPLITS, divide  # with numpy, which a recipe is validated without

    chosen = source.split or (None if examples.labelled or examples.part is not None else _UNLABELLED)
    open_splits = examples.part is None or len(set(examples.part.tolist())) < len(SPLITS)
    if limit is not None and isinstance(examples.x, Lazy) and len(examples.x) >= 3 * limit and open_splits:
        chosen = _EVEN  # no more was read than each split is to have
    where = source.source if source.kind == "hub" else str(path)
    data = divide(examples.checked(path.name, source.task), chosen, seed, path.stem, where, cache)
    return _prepared(source, data, path.name)


def _with_labels(source: Source, base: Path) -> Source:
    """Return the same with the names of a file of labels. Raises: UserError."""
    if not isinstance(source.labels, str) or source.labels in ("imagenet", "none"):
        return source
    path = base / source.labels
    try:
        lines = foreign.read(path, _LARGEST, "a list of labels").decode("utf-8-sig").rstrip().splitlines()
    except (UserError, UnicodeDecodeError) as error:
        reason = error.problems[0].message if isinstance(error, UserError) else error
        raise UserError(
            f"`labels` names no text file `{source.labels}`: {reason}",
            suggest(source.labels, ["imagenet"], "one name a line, in UTF-8; the path counts from the recipe's folder"),
        ) from error
    names = [line.strip() for line in lines]
    seen: set[str] = set()
    for number, name in enumerate(names, start=1):
        if not name or name in seen:
            wrong = f"`{name}` again" if name else "empty"
            raise UserError(f"`{source.labels}`: line {number} is {wrong}", "one name a line, each once")
        seen.add(name)
    return source.model_copy(update={"labels": tuple(names)})


def _prepared(source: Source, data: Dataset, name: str) -> Dataset:
    """Add how the recipe resizes images and normalizes inputs, and a note where mirroring may mix points up."""
    if data.task == "keypoints" and len(data.labels) > 1 and not data.flip_pairs:
        note = (
            f"`{name}`: without `flip_pairs`, a left point is learnt as a right one where pictures are mirrored: name "
            "such pairs, or train with `flip: false`"
        )
        data = replace(data, notes=(*data.notes, note))
    if source.kind in DECODED or source.size is not None:
        inputs = (replace(input, resize=source.resizing) if input.kind == "image" else input for input in data.inputs)
        data = replace(data, inputs=tuple(inputs))
    return data if source.normalize is None else normalized(data, source.normalize, name)
