"""Open the files that a person names, and strangers made: regular ones only, of a size that fits what they are.

A pipe or a device may block or never end, and a sparse file of a few kilobytes may have a length of terabytes. `stat`
tells all three apart before anything is opened.
"""

from __future__ import annotations

import stat
from pathlib import Path

from .errors import UserError, first_line
from .system_errors import unread
from .units import show_bytes

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
NAME, PATH = 255, 4096
"""Bytes that a name and a path have at most: Linux's NAME_MAX, and PATH_MAX with its closing zero."""


def unusable(text: str) -> str:
    """Return why no file can have this path, `it is empty`; nothing for a path that one can have."""
    if not text:
        return "it is empty"
    if "\0" in text:
        return "it contains the character U+0000"
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return "it is not Unicode text"
    if (longest := max(len(part) for part in encoded.split(b"/"))) > NAME:
        return f"a name in it has {longest} bytes, and {NAME} is the most"
    return f"it has {len(encoded)} bytes, and {PATH - 1} is the most" if len(encoded) >= PATH else ""


def refused(text: str, path: Path) -> tuple[str, str] | None:
    """Return why `text`, which leads to `path`, is no path at all, and the next act; None for one that may be."""
    if wrong := unusable(text) or unusable(str(path)):
        return f"no file can be called so: {wrong}", "name a file that is there"
    return None


def kind(path: Path) -> str:
    """Return what is at `path` instead of a regular file: `a named pipe`, `a folder`, …; nothing for a regular file.

    Raises: OSError, ValueError.
    """
    return _kind(path.stat().st_mode)


def _kind(mode: int) -> str:
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "no regular file")


def size(path: Path, called: str = "", absent: str = "") -> int:
    """Return the bytes of a regular file, which is not opened.

    The user has `called` it so, if not by its path; `absent` is the next act where nothing is there.
    Raises: UserError for anything else, SystemFault for what the system refuses.
    """
    called = called or str(path)
    if wrong := unusable(str(path)):
        raise UserError(f"`{_cut(called)}` cannot be read: {wrong}")
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise UserError(f"`{called}` is a link to a file that is not there", "mend the link") from None
        raise UserError(f"there is no file `{called}`", absent) from None
    except OSError as error:
        raise unread(error, path) from None
    if other := _kind(status.st_mode):
        help = "" if other == "a folder" else "copy its content into a file, and name that"
        raise UserError(f"`{called}` is {other}, not a file", help)
    return status.st_size


def missing(path: Path, called: str, absent: str) -> tuple[str, str] | None:
    """Return why no regular file is at `path`, and the next act, as `size` has them; None where one is."""
    try:
        size(path, called, absent)
    except UserError as error:
        return error.problems[0].message, error.problems[0].help
    return None


def read(path: Path, most: int, what: str) -> bytes:
    """Return the content of a regular file of up to `most` bytes; `what` it should be, `a recipe`, is for the message.

    Raises: UserError.
    """
    length = size(path)
    if length > most:
        raise UserError(
            f"`{path}` has {show_bytes(length)}, and {what} has {show_bytes(most)} at most", "is it the file you mean?"
        )
    try:
        with path.open("rb") as file:
            return file.read(length)  # not to its end: files of the kernel have none
    except OSError as error:
        raise unread(error, path) from None


def head(path: Path, length: int) -> bytes:
    """Return the first bytes of a regular file; none of anything else, and where it cannot be read."""
    try:
        if kind(path):
            return b""
        with path.open("rb") as file:
            return file.read(length)
    except (OSError, ValueError):
        return b""


def reason(error: Exception) -> str:
    """Return the system's words for an error, in lower case: they stand within a sentence."""
    words = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
    return words[:1].lower() + words[1:]


def _cut(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"
