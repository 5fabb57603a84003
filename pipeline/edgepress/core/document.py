"""Keep the data of a YAML file with the place of every key and value, to read and change parts of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from .errors import Place

Loc = tuple[str | int, ...]
"""The path of a value from the root: keys and indices."""


@dataclass
class Document:
    """The data of one YAML file, with the place of every key and value by its path from the root.

    `spans` are the first character of each value in `text` and the one after its last; `changes` are the `--set`
    arguments that `data` already has in it. With `loose` the user's files that it names need not be there.
    """

    path: Path
    text: str
    data: Any = None
    keys: dict[Loc, Place] = field(default_factory=dict)
    values: dict[Loc, Place] = field(default_factory=dict)
    spans: dict[Loc, tuple[int, int]] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    loose: bool = False

    @cached_property
    def lines(self) -> list[str]:
        return re.split(r"\r\n|[\r\n\x85\u2028\u2029]", self.text)

    def place(self, loc: Loc, *, key: bool = False) -> Place:
        """Return the place of `loc`, or of its nearest parent that has one (what is missing has none)."""
        loc = self.nearest(loc)
        return (self.keys.get(loc) if key else None) or self.values.get(loc) or self.at(0, 0)

    def nearest(self, loc: Loc) -> Loc:
        """Return `loc`, or its nearest parent that the file has."""
        while loc and loc not in self.values:
            loc = loc[:-1]
        return loc

    def value(self, loc: Loc) -> Any:
        """Return the value at `loc`. Raises: KeyError, IndexError."""
        data = self.data
        for part in loc:
            data = data[part]
        return data

    def scalars(self, loc: Loc = ()) -> Iterator[tuple[Loc, Any]]:
        """Yield every value within `loc` that is neither a list nor a mapping, with its path from the root."""
        data = self.value(loc)
        if isinstance(data, (dict, list)):
            for part in data if isinstance(data, dict) else range(len(data)):
                yield from self.scalars((*loc, part))
        else:
            yield loc, data

    def part(self, loc: Loc) -> Document:
        """Return the value at `loc`, with its places, as a document of its own."""
        depth, paths = len(loc), list(_paths(self.value(loc), loc))
        keys = {path[depth:]: self.keys[path] for path in paths if path in self.keys}
        values = {path[depth:]: self.values[path] for path in paths if path in self.values}
        return Document(self.path, self.text, self.value(loc), keys, values)

    def put(self, loc: Loc, document: Document, keys: Sequence[Place]) -> None:
        """Put the whole of `other` at `loc`, whose parts stand at `keys`; mappings missing on the way are made."""
        for places in (self.keys, self.values):
            for path in [path for path in places if path[: len(loc)] == loc]:
                del places[path]
        parent = self.data
        for depth, part in enumerate(loc[:-1], start=1):
            if isinstance(parent, dict) and parent.get(part) is None:
                parent[part] = {}
                self.keys[loc[:depth]] = self.values[loc[:depth]] = keys[depth - 1]
            parent = parent[part]
        parent[loc[-1]] = document.data
        self.keys[loc] = keys[-1]
        self.keys |= {(*loc, *path): place for path, place in document.keys.items()}
        self.values |= {(*loc, *path): place for path, place in document.values.items()}

    def at(self, line: int, column: int, width: int = 1) -> Place:
        """Return the place of a mark of PyYAML, which counts from 0."""
        source = self.lines[line] if line < len(self.lines) else ""
        return Place(self.path, line + 1, column + 1, width, source)


def _paths(data: Any, loc: Loc) -> Iterator[Loc]:
    """Yield the path of `data`, which stands at `loc`, and of everything in it."""
    yield loc
    if isinstance(data, (dict, list)):
        for part in data if isinstance(data, dict) else range(len(data)):
            yield from _paths(data[part], (*loc, part))
