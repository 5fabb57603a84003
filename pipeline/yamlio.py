"""Read YAML safely, remember where every key and value stands, and write it sorted.

PyYAML reads YAML 1.1, where `1e-4` is a string, `no` is a boolean, `010` is eight, and the second of two
equal keys silently wins. The loader here follows the YAML 1.2 core schema instead and refuses repeated keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .errors import Place, Problem, UserError

Loc = tuple[str | int, ...]


@dataclass
class Document:
    """The data of one YAML file, with the place of every key and value by its path from the root."""

    path: Path
    text: str
    data: Any = None
    keys: dict[Loc, Place] = field(default_factory=dict)
    values: dict[Loc, Place] = field(default_factory=dict)

    def place(self, loc: Loc, *, key: bool = False) -> Place:
        """Where `loc` stands, or its nearest parent that does (what is missing has no place of its own)."""
        table = self.keys if key else self.values
        while loc and loc not in table:
            loc = loc[:-1]
        return table.get(loc) or self.values.get(loc) or Place(self.path, 1, 1)


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of the YAML 1.2 core schema."""


_REPLACED = {f"tag:yaml.org,2002:{t}" for t in ("float", "int", "bool", "timestamp")}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag not in _REPLACED]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))


def read(path: Path) -> Document:
    """Read `path`; a file that is missing, not text, or not YAML is a `UserError` that names the place."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"there is no file `{path}`") from None
    except IsADirectoryError:
        raise UserError(f"`{path}` is a folder, not a YAML file") from None
    except UnicodeDecodeError:
        raise UserError(f"`{path}` is not a text file", "recipes and targets are YAML in UTF-8") from None
    document = Document(path, text)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            problems: list[Problem] = []
            _mark(document, node, (), problems)
            if problems:
                raise UserError(problems)
            document.data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        raise UserError(_from_yaml(document, error)) from None
    except yaml.reader.ReaderError as error:
        raise UserError(f"`{path}` has a character that YAML does not allow: {error.reason}") from None
    except RecursionError:
        raise UserError(f"`{path}` is nested too deeply") from None
    return document


def dump(data: Any) -> str:
    """YAML with sorted keys and no anchors, the same bytes for the same data."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=110)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _mark(document: Document, node: yaml.Node, loc: Loc, problems: list[Problem]) -> None:
    document.values[loc] = _place(document, node)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*loc, key.value)
            if here in document.keys:
                first = document.keys[here].line
                problems.append(
                    Problem(f"`{key.value}` is given twice", f"it is already on line {first}", _place(document, key))
                )
            document.keys.setdefault(here, _place(document, key))
            _mark(document, value, here, problems)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _mark(document, value, (*loc, index), problems)


def _place(document: Document, node: yaml.Node) -> Place:
    start, end = node.start_mark, node.end_mark
    source = _line(document, start.line)
    width = end.column - start.column if end.line == start.line else len(source.rstrip()) - start.column
    return Place(document.path, start.line + 1, start.column + 1, max(width, 1), source)


def _from_yaml(document: Document, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    source = _line(document, line)
    advice = "indent with spaces; YAML does not allow tabs" if "\\t" in str(error.problem) else ""
    return Problem(f"this is not YAML: {error.problem}", advice, Place(document.path, line + 1, column + 1, 1, source))


def _line(document: Document, number: int) -> str:
    lines = document.text.splitlines()
    return lines[number] if number < len(lines) else ""
