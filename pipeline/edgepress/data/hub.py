"""Read a data set of Hugging Face: `hf://owner/name@revision`, or one that `save_to_disk` wrote.

Its splits are called train, validation and test, or as those of folders are. Images are copied into the cache once.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core import system_errors
from ..core.errors import UserError, first_line
from . import copied
from .examples import Examples
from .folder import PARTS
from .kinds import HUB
from .pairs import Origin, columns_of
from .source import Source
from .words import several


def read(source: Source, path: Path, limit: int | None = None, cache: Path | None = None) -> Examples:
    """Load it with `args`, and copy its examples into `cache`, or `limit` or so for each split. Raises: UserError."""
    loaded = _loaded(source, path)
    splits, unread = _by_part(loaded, source) if isinstance(loaded, dict) else ({"": loaded}, [])

    def failed(error: Exception, number: int) -> UserError:
        return UserError(
            f"`{source.source}`: example {number} cannot be read: {first_line(error)}", "mend the data set"
        )

    encoded = {name: _encoded(part, source) for name, part in splits.items()}
    examples = copied.examples(encoded, source, Origin((HUB, source.source), failed), limit, cache)
    notes = (f"`{source.source}`: the splits {several(unread)} are not read",) if unread else ()
    return replace(examples, notes=(*examples.notes, *notes))


def _loaded(source: Source, path: Path) -> Any:
    """Return a data set, or several by the names of their splits."""
    try:
        import datasets
    except ImportError as error:
        raise UserError(
            f"`{source.source}` is read by the package `datasets`: {first_line(error)}",
            "`pip install 'edgepress[hf]'`",
        ) from error
    if not source.source.startswith(HUB):
        if source.args:
            raise UserError(f"`args` are of a data set that is downloaded, and `{source.source}` is a file")
        try:
            return datasets.load_from_disk(str(path.parent))
        except Exception as error:  # of any kind: files of other versions and damaged ones raise what they like
            system_errors.pass_on(error)
            message = f"`{source.source}` cannot be loaded: {first_line(error)}"
            raise UserError(message, "save it again: `save_to_disk`") from error
    name, _, revision = source.source.removeprefix(HUB).partition("@")
    try:
        return datasets.load_dataset(name, revision=revision or None, **source.args)
    except Exception as error:  # of the connection, the repository, its files or `args`
        system_errors.pass_on(error)
        short = name.rpartition("/")[2]
        raise UserError(
            f"`{source.source}` cannot be loaded: {first_line(error)}",
            f"without a connection, call `datasets.load_dataset('{name}').save_to_disk('{short}')` elsewhere, copy the "
            f"folder, and write `from: ./{short}/dataset_dict.json`; a subset is named by `args: {{name: …}}`",
        ) from error


def _by_part(loaded: dict[str, Any], source: Source) -> tuple[dict[str, Any], list[str]]:
    """Return data sets by split, '' for one that is to be split, and the names of others."""
    if len(loaded) == 1:
        return {"": next(iter(loaded.values()))}, []
    splits: dict[str, Any] = {}
    for name, part in loaded.items():
        if (split := PARTS.get(name.lower())) and split not in splits:
            splits[split] = part
    if "train" not in splits:
        raise UserError(
            f"`{source.source}` has no split `train`, only {several([f'`{name}`' for name in loaded])}",
            "`args: {split: NAME}` reads one of them, which is then split",
        )
    return splits, [f"`{name}`" for name, part in loaded.items() if not any(part is each for each in splits.values())]


def _encoded(part: Any, source: Source) -> Any:
    """Return a data set that gives the bytes of images, which are decoded as those of a folder are."""
    import datasets

    column = columns_of(source)[0]
    known = isinstance(part, datasets.Dataset) and isinstance(part.features.get(column), datasets.Image)
    return part.cast_column(column, datasets.Image(decode=False)) if known else part
