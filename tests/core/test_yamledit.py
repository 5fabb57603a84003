"""Edits change one value and not one character beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from edgepress.core.document import Document, Loc
from edgepress.core.yamledit import edited
from edgepress.core.yamlio import inline, parse
from hypothesis import example, given
from hypothesis import strategies as st


def document(text: str) -> Document:
    return parse(Document(Path("a.yaml"), text))


@pytest.mark.parametrize(
    ("text", "loc", "data", "expected"),
    [
        ("name: a # why\nb: 1\n", ("name",), "c", "name: c # why\nb: 1\n"),
        ("t: {data: a, seed: 0} # x\n", ("t", "data"), "./p, q", "t: {data: './p, q', seed: 0} # x\n"),
        ("t: {data: a}\n", ("t", "data"), {"from": "./p", "size": 96}, "t: {data: {from: ./p, size: 96}}\n"),
        ("s: [a, b] # x\nk: 1\n", ("s",), ["c"], "s: [c] # x\nk: 1\n"),
        ("s:\n  - a\n  - b # x\n\n# about k\nk: 1\n", ("s",), ["c"], "s: [c] # x\n\n# about k\nk: 1\n"),
        ("s:\n- a\n- {b: [1,\n   2]}\nk: 1\n", ("s",), ["c"], "s: [c]\nk: 1\n"),
        ("s:\n  - a\n  - b\n", ("s", 1), "c", "s:\n  - a\n  - c\n"),
        ("b: # why\n  size: 1\n  x: {l: 2}\n", ("b", "x", "l"), 3, "b: # why\n  size: 1\n  x: {l: 3}\n"),
        ("name:\nb: 1\n", ("name",), "c", "name: c\nb: 1\n"),
        ("a: 1", ("b",), ["x"], "a: 1\nb: [x]\n"),
        ("a: 1\r\n", ("b",), "x", "a: 1\r\nb: x\r\n"),
        ("b: {size: 1 MB}\n", ("b", "latency"), "2 ms", "b: {size: 1 MB, latency: 2 ms}\n"),
        ("a: 1\n", ("b", "c"), "x", "a: 1\nb: {c: x}\n"),
        ("a: |\n  one\n  two\nb: 1\n", ("a",), "x", "a: x\nb: 1\n"),
        ("é: 'ü' # ß\nb: 1\n", ("é",), "no", "é: 'no' # ß\nb: 1\n"),
    ],
)
def test_one_value_is_changed_and_all_else_stays(text: str, loc: Loc, data: Any, expected: str) -> None:
    assert edited(document(text), {loc: data}) == expected
    assert document(expected).value(loc) == data


TEXT = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
scalars = st.text(TEXT, max_size=12) | st.integers(-99, 99) | st.booleans() | st.none()


@example("\n")
@example(["a\r\nb"])
@given(scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text("ab: ", max_size=3), scalars, max_size=3))
def test_what_is_put_in_is_what_is_read(data: Any) -> None:
    text = "a: {b: 1, c: [x, y]} # x\nd:\n  - e: f # g\n"
    for loc in (("a", "b"), ("a", "c", 0), ("d", 0, "e"), ("d",)):
        assert "\n" not in inline(data)
        assert document(edited(document(text), {loc: data})).value(loc) == data
