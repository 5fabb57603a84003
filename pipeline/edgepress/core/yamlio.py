"""Read YAML safely with the place of every key and value; write it sorted.

PyYAML reads YAML 1.1, where `1e-4` is a string, `no` is a boolean, `010` is eight, `1:30` is ninety, and the second of
two equal keys silently wins. The loader here follows the YAML 1.2 core schema instead and refuses repeated keys. It
also refuses aliases and tags: a recipe is plain data, and a few nested aliases can stand for gigabytes.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from . import foreign
from .document import Document, Loc
from .errors import Place, Problem, UserError

DEEPEST = 40
"""Nesting beyond this is a mistake, and would exhaust Python's stack some hundreds of levels later."""
LARGEST, MOST = 2_000_000, 30_000
"""Bytes, and keys and values, of a file that people write; the longest list of classes, ImageNet-21k's, fits."""
_NEVER = re.compile("[\x00\ud800-\udfff]")
"""Characters that an escape such as `"\\0"` can stand for, and that no path, name or UTF-8 text contains."""

_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of the YAML 1.2 core schema, without aliases and tags."""

    depth = count = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        self.depth += 1
        self.count += 1
        if self.count > MOST:
            message = f"more than {MOST:,} keys and values"
            raise _Refused(message, "data and long lists belong in a file that the recipe names", event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(f"the alias `*{event.anchor}` is not allowed", "write the value out", event.start_mark)
        if getattr(event, "tag", None):
            tag = event.tag.replace(_TAG, "!!")
            raise _Refused(f"the tag `{tag}` is not allowed", "write plain data", event.start_mark)
        if self.depth > DEEPEST:
            raise _Refused(f"more than {DEEPEST} levels of nesting", "is a bracket left open?", event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Refused(yaml.MarkedYAMLError):
    def __init__(self, message: str, help: str, mark: Any) -> None:
        super().__init__(problem=message, problem_mark=mark)
        self.help = help


_Loader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]{1,18}", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), _first)
_Loader.add_constructor(_TAG + "int", lambda loader, node: int(node.value))


def read(path: Path) -> Document:
    """Read `path`; a file that is missing, not text, or not YAML is a `UserError` that names the place."""
    try:
        text = foreign.read(path, LARGEST, "a recipe or target").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"`{path}` is not UTF-8 text: byte {error.start} is 0x{error.object[error.start]:02x}",
            "save it as UTF-8",
        ) from None
    return parse(Document(path, text))


def parse(document: Document, skip: int = 0) -> Document:
    """Parse the text of `document`; its first `skip` characters, all on one line, are not YAML.

    Raises: UserError for what is not YAML, or more than plain data.
    """
    text = " " * skip + document.text[skip:]
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            document.values[()] = document.at(0, skip)
        else:
            problems: list[Problem] = []
            _mark(document, node, (), problems)
            if problems:
                raise UserError(problems)
            document.data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        raise UserError(_from_yaml(document, error)) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = document.at(before.count("\n"), len(before) - (before.rfind("\n") + 1))
        # The line is not shown: what is wrong with it would reach the terminal.
        place = Place(document.path, place.line, place.column)
        raise UserError(Problem(f"the character U+{error.character:04X} is not allowed in YAML", "", place)) from None
    return document


def dump(data: Any) -> str:
    """Write YAML with sorted keys and no anchors, the same bytes for the same data."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=110)


def inline(data: Any) -> str:
    """Write one line of YAML that may stand anywhere, within `{…}` too: `{size: 5 MB}`, `[a, b]`, `'10'`."""
    text: str = yaml.dump(
        [data], Dumper=_Dumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=math.inf
    )
    return text.strip()[1:-1]


class _Dumper(yaml.SafeDumper):
    """Dumper that quotes what either YAML would misread: `no` for 1.1's readers, `1e-4` for ours."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # PyYAML writes line breaks as they are, over several lines, and reads the last three of these as a space.
    return dumper.represent_scalar(_TAG + "str", text, style='"' if re.search("[\n\r\x85\u2028\u2029]", text) else None)


_Dumper.add_representer(str, _text)
_Dumper.yaml_implicit_resolvers = {
    first: list(pairs) for first, pairs in yaml.SafeDumper.yaml_implicit_resolvers.items()
}
for _first, _pairs in _Loader.yaml_implicit_resolvers.items():
    _Dumper.yaml_implicit_resolvers.setdefault(_first, []).extend(_pairs)


def _mark(document: Document, node: yaml.Node, loc: Loc, problems: list[Problem]) -> None:
    document.values[loc], document.spans[loc] = _place(document, node), (node.start_mark.index, _end(node))
    if isinstance(node, yaml.ScalarNode):
        _require_text(document, node, problems)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                problems.append(Problem("a key must be plain text", "", _place(document, key)))
                continue
            _require_text(document, key, problems)
            key.tag = _TAG + "str"
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


def _require_text(document: Document, node: yaml.ScalarNode, problems: list[Problem]) -> None:
    """Add a problem for a scalar with a character that no text has."""
    if wrong := _NEVER.search(node.value):
        message = f"the character U+{ord(wrong[0]):04X} is not allowed"
        problems.append(Problem(message, "take the escape out", _place(document, node)))


def _end(node: yaml.Node) -> int:
    """Return the index after a node's last character; PyYAML's own mark of a block is where the next thing begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _place(document: Document, node: yaml.Node) -> Place:
    """Return the place of a node; of one that goes over several lines, the rest of its first line."""
    start, end = node.start_mark, node.end_mark
    place = document.at(start.line, start.column)
    width = end.column - start.column if end.line == start.line else len(place.source.rstrip()) - start.column
    return document.at(start.line, start.column, max(width, 1))


_ADVICE = {
    "found character '\\t'": ("a tab stands where YAML wants spaces", "indent with spaces"),
    "mapping values are not allowed": (
        "this `:` comes too early",
        "look at the indentation, and put quotes around a text that has `: ` in it",
    ),
    "could not find expected ':'": ("a `:` is missing after a key", "write `key: value`, with a space"),
    "expected <block end>": ("this line does not fit the ones above", "indent it like the lines it belongs to"),
    "but found another document": ("a second document starts here", "one file holds one recipe or target"),
    "expected ',' or": ("a `,` or a closing bracket is missing", "close every `[` and `{`"),
    "found unexpected end of stream": ("a quote is left open", "close it"),
}
"""What PyYAML says → what is wrong, and the next act."""


def _from_yaml(document: Document, error: yaml.MarkedYAMLError) -> Problem:
    problem = str(error.problem)
    if isinstance(error, _Refused):
        message, help = problem, error.help
    else:
        advice = (pair for fragment, pair in _ADVICE.items() if fragment in problem)
        message, help = next(advice, (f"this is not YAML: {problem}", ""))
    mark = error.problem_mark or error.context_mark
    return Problem(message, help, document.at(mark.line, mark.column) if mark else document.at(0, 0))
