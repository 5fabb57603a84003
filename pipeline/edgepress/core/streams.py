"""Standard output and standard error that are closed, full, or cannot hold every character.

A shell closes a descriptor by `>&-`. Python then has no `sys.stdout`, and the next file that is opened has its number:
native libraries that print would write into a model.
"""

from __future__ import annotations

import codecs
import errno
import io
import json
import os
import re
import sys
from typing import Any, TextIO

from .errors import UserError

STDOUT = "standard output"
ESCAPES = "edgepress.plain"
_PLAIN = {"→": "->", "…": "...", "−": "-", "–": "-", "—": "-", "×": "x", "≤": "<=", "≥": ">=", "·": "*", "²": "2"}
"""Characters of reports that ASCII has a likeness of; others are written as escapes."""
NOT_ASCII = re.compile(r"[^\x00-\x7f]")


class _Named(io.FileIO):
    """A descriptor whose errors of writing name it; those of standard error are dropped, since they have no reader."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            if self.fileno() == 2:
                discard(self)
                return len(memoryview(data))
            raise OSError(error.errno, error.strerror, STDOUT) from error


class Closed(io.TextIOBase):
    """Standard output that was closed: writing to it fails, as it does in other programs, unless it is `silent`."""

    silent = False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not self.silent:
            raise OSError(errno.EBADF, "it is closed", STDOUT)
        return len(text)


def open_all() -> None:
    """Occupy descriptors 0 to 2, and give standard output and error every character; called before all else."""
    closed = [number for number in range(3) if not _is_open(number)]
    for _ in closed:
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it takes the lowest free number
    codecs.register_error(ESCAPES, _plain)
    if 1 in closed or sys.stdout is None:
        sys.stdout = Closed()
    elif (stream := sys.stdout) is sys.__stdout__:
        sys.stdout = _opened(stream)
    # `print(…, file=None)` would write to standard output.
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  open until the process ends
    elif (stream := sys.stderr) is sys.__stderr__:
        sys.stderr = _opened(stream)


def silence_closed() -> None:
    """Let a closed standard output take everything, for commands whose result is a file or an exit code."""
    if isinstance(sys.stdout, Closed):
        sys.stdout.silent = True


def require_open(help: str) -> None:
    """Refuse to print a result where standard output is closed. Raises: UserError."""
    if isinstance(sys.stdout, Closed):
        raise UserError(f"{STDOUT} cannot be written: it is closed", help)


def discard(*streams: io.IOBase | TextIO | None) -> None:
    """Let the streams end nowhere: Python flushes them once more when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        if stream is not None and not isinstance(stream, Closed):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def as_ascii_json(text: str) -> str:
    """Return JSON as it was, or in ASCII where standard output cannot hold all characters."""
    return text if _is_unicode() else NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)


def as_ascii_xml(text: str) -> str:
    """Return XML in the same manner."""
    return text if _is_unicode() else text.encode("ascii", "xmlcharrefreplace").decode()


def _is_unicode() -> bool:
    return codecs.lookup(sys.stdout.encoding or "utf-8").name.startswith("utf")


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _opened(stream: Any) -> TextIO:
    """Return a stream on the same descriptor and in the same encoding, which names itself and fails at no character."""
    return io.TextIOWrapper(
        io.BufferedWriter(_Named(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors=ESCAPES,
        line_buffering=stream.line_buffering,
    )


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return a likeness or an escape of the characters that an encoding lacks; see `codecs.register_error`."""
    assert isinstance(error, UnicodeEncodeError)
    words = error.object[error.start : error.end]
    return "".join(_PLAIN.get(letter) or _escape(letter) for letter in words), error.end


def _escape(letter: str) -> str:
    """Return `\\u2192` of a character; `\\xff` of a byte in a file's name that no character stands for."""
    undecoded = "\udc80" <= letter <= "\udcff"
    return f"\\x{ord(letter) & 0xFF:02x}" if undecoded else letter.encode("ascii", "backslashreplace").decode()
