"""Foreign text is shown and never obeyed: by a terminal, a reader of bidirectional text, or a CI that reads the log."""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import edgepress
import pytest
from edgepress.core import printable
from edgepress.core.errors import Place, Problem, UserError
from edgepress.core.progress import Lines
from edgepress.core.results import Machine
from hypothesis import given
from hypothesis import strategies as st

EVIL = "\x1b]0;pwn\a\x1b[31mX\n::error file=a.py::i\r\n\u2028::warning::\u202e\ud800\ufffe\x85\x7f\u200b##vso[t.x]"
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
TEXTS = st.text(st.characters(exclude_categories=()), max_size=80) | st.just(EVIL)
"""Any characters at all, lone surrogates among them."""


def obeyed(text: str) -> list[str]:
    """What a terminal or a CI would take for a command, and what a reader cannot see."""
    found = [hex(ord(one)) for one in text if one not in "\n\t" and unicodedata.category(one) in HIDDEN]
    found += [line for line in text.split("\n") if line.lstrip().startswith("::")]
    return found + re.findall(r"##\w*\[", text)


@given(TEXTS)
def test_a_word_is_one_line_that_nobody_obeys_and_showing_it_twice_is_showing_it_once(text: str) -> None:
    shown = printable.word(text)
    assert not obeyed(printable.lines(shown))
    assert "\n" not in shown
    assert printable.word(shown) == shown
    shown.encode()


@given(TEXTS)
def test_lines_keep_their_breaks(text: str) -> None:
    shown = printable.lines(text)
    assert not obeyed(shown)
    assert shown.count("\n") == text.count("\n")
    assert printable.lines(shown) == shown


def test_every_character_without_a_look_of_its_own_is_an_escape() -> None:
    seen = [hex(code) for code in range(0x110000) if unicodedata.category(chr(code)) in HIDDEN]
    assert all(printable.word(chr(int(code, 16))).startswith("\\") for code in seen)
    assert [printable.word(one) for one in "\u3164\ufe0f\u00a0\ufffe"] == [r"\u3164", r"\ufe0f", r"\xa0", r"\ufffe"]


@pytest.mark.parametrize("text", ["Größe −3 × 4 …", "花の写真", "C++::name", "a:b", "## [x]", r"C:\new", "`x` <b> 50%"])
def test_what_is_plain_stays(text: str) -> None:
    assert printable.word(text) == printable.lines(text) == text


def test_a_long_word_keeps_its_start_and_its_end() -> None:
    shown = printable.word("a" * 10**6 + "b")
    assert len(shown) <= printable.LONGEST + 1
    assert shown.startswith("aaa")
    assert shown.endswith("aab")
    assert len(str(Problem("x" * 10**6, "y" * 10**6))) < 3 * printable.LONGEST_LINE


@pytest.mark.parametrize("line", ["::error::x", " \t::error::x", "\u3000::error::x", "a ##[error]x", "##teamcity[x]"])
def test_a_command_of_a_ci_is_text(line: str) -> None:
    """GitHub's runner trims white space before `::`, and finds `##[` anywhere."""
    assert obeyed(line)
    assert not obeyed(printable.lines(line))


def test_json_has_no_number_that_json_does_not_know() -> None:
    text = printable.as_json({EVIL: [float("nan"), 1.0, {"x": float("inf"), "y": EVIL}]})

    def unknown(name: str) -> None:
        raise AssertionError(name)

    data = json.loads(text, parse_constant=unknown)
    assert next(iter(data.values()))[:2] == [None, 1.0]
    assert not obeyed(text)
    assert not obeyed(str(data))


@dataclass(frozen=True)
class _Row:
    name: str
    note: str
    correct: str


def test_a_copy_of_results_has_every_text_shown_but_the_marks_of_examples() -> None:
    machine = Machine(cpu=EVIL, architecture="x", cores=2, features=[EVIL], system="")
    assert not obeyed(printable.shown(machine).as_json())
    row = printable.shown(_Row(EVIL, "two\nlines", "01" * 5000))
    assert (row.note, row.correct) == ("two\nlines", "01" * 5000)
    assert "\n" not in row.name
    assert "\n" not in printable.shown(_Row("", "", "1" + EVIL)).correct


@given(TEXTS, TEXTS, TEXTS)
def test_an_error_shows_what_it_quotes(text: str, source: str, path: str) -> None:
    line = source.replace("\n", " ")
    place = Place(Path(path.replace("\0", "") or "x"), 1, 1 + len(line) // 2, 3, line)
    for problem in (Problem(f"`{text}` is wrong", text, place), Problem(text, text)):
        assert not obeyed(str(UserError(problem)))
        assert len(str(problem).split("\n")) <= 4 or "\n  " in text


def test_carets_stand_below_the_escapes_of_what_is_wrong() -> None:
    lines = str(Problem("m", "", Place(Path("a.yaml"), 3, 4, 2, "a: \x1b\u202eb"))).split("\n")
    assert lines[1:] == [r"   3 | a: \x1b\u202eb", "     |    ^^^^^^^^^^"]


def test_the_end_of_a_programs_output_stays_in_lines() -> None:
    words = str(UserError("it ended with code 1\n  last\n  ::error::line\nrest"))
    assert words == "error: it ended with code 1\n  last\n  \\x3a:error::line\\nrest"


def test_progress_shows_names(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.begin(EVIL, EVIL, 0, 0)
    lines.last[EVIL] = 0.0
    lines.advance(1, 2, EVIL, EVIL)
    said = capsys.readouterr().err
    assert not obeyed(said)
    assert said.count("\n") == 2


def test_everything_is_printed_by_one_function() -> None:
    """A new command would be an open door otherwise. A child's own output is read by its parent."""
    root = Path(edgepress.__file__).parent
    allowed = {"core/printable.py", "gate/report/formats.py", "commands/supervise.py"}
    allowed |= {"models/onnx/crashing_node.py", "core/installation_probe.py"}
    allowed |= {"shipped/bundle/run.py", "shipped/bundle/selftest.py"}  # they run on boards, without edgepress
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "click.echo", "click.secho")
    }
    assert found <= allowed
