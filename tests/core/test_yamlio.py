from __future__ import annotations

import math
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from edgepress.core import yamlio
from edgepress.core.document import Document
from edgepress.core.errors import UserError
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("mine.yaml")


def read(path: Path, text: str | bytes) -> Document:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return yamlio.read(path)


def error(path: Path, text: str | bytes) -> str:
    with pytest.raises(UserError) as caught:
        read(path, text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-3", -3),
        ("+3", 3),
        ("010", 10),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("True", True),
        ("false", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("2020-01-01", "2020-01-01"),
        ("=", "="),
        (".inf", math.inf),
        ("30%", "30%"),
        ("'10'", "10"),
        ("9" * 5000, math.inf),  # int() would refuse it with a ValueError
    ],
)
def test_scalars_are_those_of_yaml_1_2(here: Path, written: str, value: Any) -> None:
    found = read(here, f"a: {written}\n").data["a"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_text(here: Path) -> None:
    assert read(here, "1: a\nno: b\n~: c\n<<: {d: e}\n").data == {"1": "a", "no": "b", "~": "c", "<<": {"d": "e"}}


@pytest.mark.parametrize("text", ["\ufeffa: 1\n", "a: 1\r\n", "%YAML 1.1\n---\na: 1\n"])
def test_byte_order_marks_line_ends_and_directives(here: Path, text: str) -> None:
    assert read(here, text).data == {"a": 1}


def test_every_key_and_value_has_its_place(here: Path) -> None:
    document = read(here, "a: {b: [1, two]}\nc:\n  d: 3\n")
    spans = {loc: (p.line, p.column, p.width) for loc, p in document.values.items()}
    assert spans[("a", "b", 1)] == (1, 12, 3)
    assert spans[("c", "d")] == (3, 6, 1)
    assert str(document.place(("c", "d"), key=True)) == "mine.yaml:3:3"
    assert str(document.place(("c", "missing"))) == "mine.yaml:3:3"
    assert document.place(("a", "b", 1)).text == "two"
    assert dict(document.scalars(("a",))) == {("a", "b", 0): 1, ("a", "b", 1): "two"}


MALFORMED = {
    "a: 1\n\tb: 2\n": """\
mine.yaml:2:1: a tab stands where YAML wants spaces
   2 | \tb: 2
     | ^
     = help: indent with spaces""",
    "a: 1\nb: {c: 1, c: 2}\na: 3\n": """\
mine.yaml:2:11: `c` is given twice
   2 | b: {c: 1, c: 2}
     |           ^
     = help: it is already on line 2

mine.yaml:3:1: `a` is given twice
   3 | a: 3
     | ^
     = help: it is already on line 1""",
    "a: b: c\n": """\
mine.yaml:1:5: this `:` comes too early
   1 | a: b: c
     |     ^
     = help: look at the indentation, and put quotes around a text that has `: ` in it""",
    "a:\n  b: 1\n c: 2\n": """\
mine.yaml:3:2: this line does not fit the ones above
   3 |  c: 2
     |  ^
     = help: indent it like the lines it belongs to""",
    "a: 'b\n": """\
mine.yaml:2:1: a quote is left open
   2 |
     | ^
     = help: close it""",
    "a: 1\n---\nb: 2\n": """\
mine.yaml:2:1: a second document starts here
   2 | ---
     | ^
     = help: one file holds one recipe or target""",
    "a: &x 1\nb: *x\n": """\
mine.yaml:2:4: the alias `*x` is not allowed
   2 | b: *x
     |    ^
     = help: write the value out""",
    "a: !!python/object/apply:os.system [id]\n": """\
mine.yaml:1:4: the tag `!!python/object/apply:os.system` is not allowed
   1 | a: !!python/object/apply:os.system [id]
     |    ^
     = help: write plain data""",
    "a: !!int ten\n": """\
mine.yaml:1:4: the tag `!!int` is not allowed
   1 | a: !!int ten
     |    ^
     = help: write plain data""",
    "? [a, b]\n: 1\n": """\
mine.yaml:1:3: a key must be plain text
   1 | ? [a, b]
     |   ^^^^^^""",
    "a: `b`\n": """\
mine.yaml:1:4: this is not YAML: found character '`' that cannot start any token
   1 | a: `b`
     |    ^""",
}


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_yaml_is_told_with_its_place(here: Path, text: str) -> None:
    assert error(here, text) == MALFORMED[text]


def test_a_control_character_does_not_reach_the_terminal(here: Path) -> None:
    told = error(here, "a: 1\nb: x\x1b[31m\n")
    assert told.startswith("mine.yaml:2:5: the character U+001B is not allowed in YAML")
    assert "\x1b" not in told


def test_a_file_that_is_not_utf_8(here: Path) -> None:
    assert error(here, b"a: caf\xe9\n") == (
        "error: `mine.yaml` is not UTF-8 text: byte 6 is 0xe9\n  = help: save it as UTF-8"
    )


def test_a_missing_file_and_a_folder(here: Path) -> None:
    with pytest.raises(UserError, match=r"there is no file `mine\.yaml`"):
        yamlio.read(here)
    here.mkdir()
    with pytest.raises(UserError, match=r"`mine\.yaml` is a folder, not a file"):
        yamlio.read(here)


def test_nested_aliases_do_not_explode(here: Path) -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert error(here, "\n".join(rows)).startswith("mine.yaml:2:10: the alias `*a0` is not allowed\n")


@pytest.mark.parametrize("level", ["[", "{a: ", "- "])
def test_ten_thousand_levels_are_refused(here: Path, level: str) -> None:
    told = error(here, level * 10_000)
    assert re.match(r"mine\.yaml:1:\d+: more than 40 levels of nesting\n", told)
    assert max(map(len, told.splitlines())) < 200


def test_the_deepest_that_is_allowed(here: Path) -> None:
    read(here, "[" * yamlio.DEEPEST + "]" * yamlio.DEEPEST)


TEXT = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
scalars = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(allow_nan=False) | st.text(TEXT)
tricky = st.sampled_from(
    ["\x85", "no", "1e-4", "010", "1:30", "~", "", "null", "True", "=", "<<", ".5", "1.", "&a", "*a", "!!int"]
)


@given(
    st.recursive(
        scalars | tricky,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(TEXT, max_size=8) | tricky, inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_what_is_dumped_is_read_back(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "round.yaml"
    text = yamlio.dump({"data": data})
    assert yamlio.dump({"data": data}) == text
    assert read(path, text).data == {"data": data}


@given(st.text(alphabet="ab:-[]{}&*!'\" \n\t#|>%@`,?01.~\x07é", max_size=60))
def test_any_text_is_read_or_told(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    with suppress(UserError):
        document = read(path, text)
        assert all(place.column >= 1 for place in document.values.values())
