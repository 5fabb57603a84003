"""Standard output and error that are closed, full or narrow end in words and a code of the table."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def _run(redirection: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "edgepress", *arguments]
    return subprocess.run(command, capture_output=True, check=False, env=os.environ | environment)


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", "1</dev/null"])
def test_a_list_that_cannot_be_printed_is_two_and_names_the_output(redirection: str) -> None:
    done = _run(redirection, "ls", "targets")
    assert done.returncode == 2
    assert done.stderr.count(b"standard output cannot be written: ") == 1


def test_a_file_is_made_without_standard_output(tmp_path: Path) -> None:
    done = _run(">&-", "cp", "mobilenet", str(tmp_path / "a.yaml"))
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "a.yaml").is_file()


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "<&-"])
def test_standard_error_and_input_are_no_result(redirection: str) -> None:
    done = _run(redirection, "ls", "targets")
    assert done.returncode == 0
    assert b"raspberry-pi-4" in done.stdout
    assert _run(redirection, "validate", "none.yaml").returncode == 2


def test_nothing_open_at_all() -> None:
    assert _run("<&- >&- 2>&-", "validate", "none.yaml").returncode == 2


@pytest.mark.parametrize("encoding", ["ascii", "ascii:strict"])
def test_what_an_encoding_lacks_is_replaced(encoding: str) -> None:
    done = _run("", "show", "mobilenet", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


def test_json_and_xml_stay_whole_in_an_encoding_that_lacks_characters() -> None:
    code = """
from edgepress.core import streams
streams.open_all()
print(streams.as_ascii_json('"é → 😀"'))
print(streams.as_ascii_xml("é →"))
print("a → b ≤ é \\udcff")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=os.environ | {"PYTHONIOENCODING": "latin-1"}, check=True
    )
    first, second, third = done.stdout.decode("latin-1").splitlines()
    assert json.loads(first) == "é → 😀"
    assert second == "&#233; &#8594;"
    assert third == "a -> b <= é \\xff"
