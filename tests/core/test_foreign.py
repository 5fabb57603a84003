"""Files of others are judged before they are opened; a pipe here would hang the test."""

from __future__ import annotations

import errno
import os
import re
import socket
from pathlib import Path
from typing import NoReturn

import pytest
from edgepress.core import foreign, stored, user_code, yamlio
from edgepress.core.errors import UserError
from edgepress.core.results import Report
from edgepress.core.system_errors import SystemFault


def odd(folder: Path) -> dict[str, Path]:
    """What is no regular file, by what it is called."""
    os.mkfifo(folder / "pipe")
    listening = socket.socket(socket.AF_UNIX)
    os.chdir(folder)  # the path of a socket has 107 bytes at most
    listening.bind("socket")
    listening.close()
    (folder / "loop").symlink_to("loop")
    (folder / "nothing").symlink_to("absent")
    return {
        "a named pipe": folder / "pipe",
        "a socket": folder / "socket",
        "a device": Path("/dev/zero"),
        "a folder": folder,
        "a link to a file that is not there": folder / "nothing",
        "Too many levels of symbolic links": folder / "loop",
        "there is no file": folder / "absent",
        "a name in it has 300 bytes": folder / ("x" * 300),
        "the character U+0000": folder / "a\0b",
        "not Unicode text": folder / "\udcff",
    }


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words, path in odd(tmp_path).items():
        if words != "not Unicode text":  # some file systems have such names
            with pytest.raises(UserError, match=re.escape(words)):
                foreign.read(path, 10, "a note")
        assert foreign.head(path, 10) == b""


def test_what_the_system_refuses_is_said_with_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything: the refusal is put in the place of the system's own."""
    path = tmp_path / "report.json"
    path.write_text("{}")

    def refuse(path: Path, *arguments: object, **options: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    for method in ("open", "stat"):
        monkeypatch.setattr(Path, method, refuse)
        with pytest.raises(SystemFault) as caught:
            stored.read(path, Report, stored.of_report, "run again")
        assert str(caught.value) == (
            f"error: `{path}` cannot be read: Permission denied\n  = help: look at its permissions"
        )


def test_the_users_word_for_what_is_there_instead(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").mkdir()
    os.mkfifo(tmp_path / "m.tflite")
    for name, words in {"m.onnx": "is a folder, not a file", "m.tflite": "is a named pipe, not a file"}.items():
        wrong = foreign.missing(tmp_path / name, f"./{name}", "look elsewhere")
        assert wrong
        assert wrong[0] == f"`./{name}` {words}"
    assert foreign.missing(tmp_path / "none", "none", "look elsewhere") == ("there is no file `none`", "look elsewhere")


def test_a_sparse_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UserError, match=r"has 1100 GB, and a recipe or target has 2.00 MB at most"):
        yamlio.read(path)
    assert foreign.head(path, 3) == bytes(3)


def test_files_of_the_kernel_end_where_they_say(tmp_path: Path) -> None:
    if not Path("/proc/self/mem").exists():
        pytest.skip("no /proc")
    assert foreign.read(Path("/proc/self/mem"), 10, "a note") == b""


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "it is empty"),
        ("a/" + "é" * 128, "a name in it has 256 bytes, and 255 is the most"),
        ("a/" * 2048, "it has 4096 bytes, and 4095 is the most"),
        ("a/" * 2047 + "a", ""),
        ("\ud800", "it is not Unicode text"),
        ("a\0", "it contains the character U+0000"),
        (".", ""),
        ("x" * 255, ""),
    ],
)
def test_names_that_no_file_has(text: str, wrong: str) -> None:
    assert foreign.unusable(text) == wrong


@pytest.mark.parametrize(
    "code", ["x = " + "-" * 100_000 + "1", "x = " + "(" * 5_000 + ")" * 5_000, "x = " + "+".join("1" * 4_000)]
)
def test_code_is_parsed_or_refused_however_deep(code: str, tmp_path: Path) -> None:
    path = tmp_path / "deep.py"
    path.write_text(f"{code}\ndef load(): ...\n")
    wrong = user_code.undefined(path, "load")
    assert wrong is None or "deep.py" in wrong[0]
