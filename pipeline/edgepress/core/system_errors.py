"""Turn errors of the disk, memory, permissions and limits into the user's, with the next act.

Python raises OSError and MemoryError. Libraries wrap both in errors of their own, or keep only the words: torch says
`unexpected pos` on a full disk. So the whole chain of causes is searched, also of an error that blames a file for it.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from errno import (
    EACCES,
    EAGAIN,
    EDQUOT,
    EEXIST,
    EFBIG,
    EIO,
    EISDIR,
    ELOOP,
    EMFILE,
    ENAMETOOLONG,
    ENFILE,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOTDIR,
    EPERM,
    EROFS,
    ESTALE,
    ETXTBSY,
)  # fmt: skip
from pathlib import Path

from . import distributed, temporary
from .activity import LESS_MEMORY
from .errors import OwnCodeError, Problem, UserError
from .streams import STDOUT

AGAIN = "the same command continues from here"
ELSEWHERE = "choose folders that can be written: `--cache` or the variable EDGEPRESS_CACHE, and `--runs`"
WRITING = {
    ENOSPC: f"free some space; {AGAIN}",
    EDQUOT: f"free some of your quota; {AGAIN}",
    EFBIG: f"raise the limit on the size of a file (`ulimit -f`), or choose another file system; {AGAIN}",
    EROFS: ELSEWHERE,
    ETXTBSY: "a running program is that file: end it, or choose another name",
}
"""Errors of writing → the next act."""
_LIMITS = {
    EMFILE: "raise the limit on open files (`ulimit -n`)",
    ENFILE: "close other programs: the limit on open files is the system's",
    EIO: "look at the disk, or at the connection to it: `dmesg`",
    ESTALE: "mount its file system again",
    EAGAIN: "raise the limit on processes and threads (`ulimit -u`), or end others",
}
_PERMISSIONS = {EACCES: "look at its permissions", EPERM: "look at its permissions and attributes"}
_PATHS = {
    ENAMETOOLONG: "choose a shorter name, or a folder nearer to the root",
    ELOOP: "mend the symbolic links of this path",
    EEXIST: "move what is in its place away, or choose another name",
    EISDIR: "move the folder away, or choose another name",
    ENOTDIR: "a part of the path is a file: move it away, or choose another path",
    ENOENT: f"if something deleted it meanwhile, {AGAIN}",
}
_CERTAIN = WRITING | _LIMITS | _PERMISSIONS | {ENAMETOOLONG: _PATHS[ENAMETOOLONG], ELOOP: _PATHS[ELOOP]}
"""Errors that are the system's whatever an error raised from them says; a missing file is often told better there."""
_WORDS = {os.strerror(code): code for code in (*WRITING, EMFILE, ENFILE, EIO, ESTALE, EACCES, ENAMETOOLONG)}

_MEMORY = re.compile(
    r"(can't|cannot|unable to|failed to) allocate|not enough memory|out of memory|bad[_ ]alloc|failed to map segment",
    re.IGNORECASE,
)
"""How torch, numpy, onnxruntime, C++ and the loader of shared libraries name the lack of memory."""
_THREADS = re.compile(r"can't start new thread|pthread_create failed", re.IGNORECASE)
_TORN = re.compile(r"unexpected pos \d+ vs \d+|PytorchStreamWriter failed|\d+ requested and \d+ written")
"""What torch and numpy say when the disk took less than they wrote."""
_PEER = re.compile(r"(closed|reset) by peer|gloo/transport|pair closure|Broken pipe", re.IGNORECASE)
"""What torch's processes say of one another."""
_NO_FOLDER = re.compile(r"No usable temporary directory")
MORE_MEMORY = "loading the libraries takes more than the limit: raise it (`ulimit -v`, the container's)"
_FEWER_THREADS = "raise the limits on threads and memory (`ulimit -u`, `ulimit -v`), or set OMP_NUM_THREADS=1"
_TEMPORARY = "set TMPDIR to a folder with free space that can be written"
_LONGEST = 240


class SystemFault(UserError):
    """The disk, memory, a permission or a limit of the system: exit code 2."""


def of(error: BaseException, path: Path | None = None, help: str = "") -> SystemFault | None:
    """Return the fault of the system that `error` is, or was raised from, if there is one.

    `path` is what was written, for an error that names no file; `help` replaces the usual next act on writing.
    """
    for link in chain(error):
        if isinstance(link, OwnCodeError):
            return None  # it names the line of the user's code, and the error
        if isinstance(link, SystemFault):
            return link
        problem = _problem(link, path, help, outermost=link is error)
        if problem and not _told(problem, error):
            fault = SystemFault(problem)
            place = next((known.place for known in _problems(error) if known.place), None)
            return fault.at(place) if place else fault
    return None


def is_of_memory(fault: SystemFault) -> bool:
    """Whether memory ran out, which a graph may do by itself."""
    return any(problem.help in (LESS_MEMORY, MORE_MEMORY) for problem in fault.problems)


def was_raised(error: BaseException) -> bool:
    """Whether `error` is, or was raised from, a fault that edgepress found by itself, not in a library's error."""
    return any(isinstance(link, SystemFault) and link.__cause__ is None for link in chain(error))


def unread(error: OSError, path: Path) -> SystemFault:
    """Return the fault of a file that cannot be opened or read."""
    act = {**_PATHS, **_CERTAIN}.get(error.errno or 0, "")
    return SystemFault(f"`{path}` cannot be read: {error.strerror or error}", act)


def pass_on(error: BaseException) -> None:
    """Raise the fault of the system that `error` is, if it is one, where another error chooses another way to a result.

    What a full disk or too little memory makes fail would succeed elsewhere, and a result must not depend on that.
    """
    if fault := of(error):
        raise fault from error


@contextmanager
def naming(path: Path, help: str = "") -> Iterator[None]:
    """Let a fault of the system within the block name `path`, where it names no file itself."""
    try:
        yield
    except Exception as error:
        fault = of(error, path, help)
        if fault is None or fault is error:
            raise
        raise fault from error


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from, as Python prints them, the last first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _told(problem: Problem, error: BaseException) -> bool:
    """Return whether the user's error that was raised from the system's has words of its own for it."""
    words = str(error) if isinstance(error, UserError) else ""
    reason = "memory" if is_of_memory(SystemFault(problem)) else problem.message.rpartition(": ")[2]
    return reason in words and "[Errno" not in words


def _problems(error: BaseException) -> list[Problem]:
    return error.problems if isinstance(error, UserError) else []


def _problem(error: BaseException, path: Path | None, help: str, *, outermost: bool) -> Problem | None:
    """Return what is wrong with the system by one error of a chain; an error within must be certain."""
    if isinstance(error, UserError):
        return None
    words = str(error)
    if _THREADS.search(words):
        return Problem(f"no thread can be started: {_line(words, _THREADS)}", _FEWER_THREADS)
    if isinstance(error, MemoryError) or _MEMORY.search(words) or getattr(error, "errno", None) == ENOMEM:
        detail = _line(words, _MEMORY)
        act = MORE_MEMORY if isinstance(error, ImportError) or "map segment" in words else LESS_MEMORY
        return Problem("memory ran out" + (f": {detail}" if detail else ""), act)
    if _NO_FOLDER.search(words):
        return Problem(f"temporary files cannot be written: {_line(words, _NO_FOLDER)}", _TEMPORARY)
    if isinstance(error, OSError) and error.errno is not None:
        return _of_errno(error, path, help, outermost=outermost)
    if distributed.several() and isinstance(error, RuntimeError) and _PEER.search(words):
        others = f"another of the {distributed.count()} processes cannot be reached any more"
        return Problem(f"{others}: {_line(words, _PEER)}", f"if it ended, it says why; {AGAIN}")
    torn = _TORN.search(words)
    if isinstance(error, ImportError) or (isinstance(error, OSError) and not torn) or not isinstance(error, Exception):
        return None
    if (code := next((code for text, code in _WORDS.items() if text in words), None)) is not None:
        return _written(code, path, help)
    if torn and not isinstance(error.__cause__ or error.__context__, OSError):
        return _written(ENOSPC, path, help)
    return None


def _of_errno(error: OSError, path: Path | None, help: str, *, outermost: bool) -> Problem | None:
    named = error.filename2 or error.filename
    if named == STDOUT:
        act = WRITING.get(error.errno or 0, "open it, or send the output to a file")
        return Problem(f"{STDOUT} cannot be written: {error.strerror}", act)
    own = Path(os.fsdecode(named)) if isinstance(named, str | bytes) and named else None
    if error.errno not in _CERTAIN and not (outermost and (own or path)):
        return None
    if own and temporary.is_ours(own):  # what it was for, or at least where
        own = path or own.parent
    return _written(int(error.errno or 0), own or path, help, error.strerror)


def _written(code: int, path: Path | None, help: str, words: str | None = None) -> Problem:
    act = {**_PATHS, **_CERTAIN}.get(code, "")
    if path is None and code in (*_LIMITS, *_PERMISSIONS, *_PATHS):
        subject = {EMFILE: "no more files can be opened", ENFILE: "no more files can be opened"}.get(code)
        subject = subject or ("no process can be started" if code == EAGAIN else "a file or the output cannot be used")
    else:
        subject = f"{f'`{path}`' if path else 'a file or the output'} {_verb(code, path)}"
    if code == ENOSPC and path and _without_inodes(path):
        act = f"its file system has no free inode (`df -i`): delete some files; {AGAIN}"
    if path and code in (ENOSPC, EDQUOT, EROFS) and _within(path, Path(tempfile.gettempdir())):
        help = _TEMPORARY
    if help and code not in _LIMITS:
        act = f"{act}; or {help}" if code in (ENOSPC, EDQUOT, EFBIG) else help
    return Problem(f"{subject}: {words or os.strerror(code)}", act)


def _verb(code: int, path: Path | None) -> str:
    if code in WRITING:
        return "cannot be written"
    if code in _PERMISSIONS and path:
        unread = os.path.exists(path) and not os.access(path, os.R_OK)
        return f"cannot be {'read' if unread else 'written'}"
    return {ENOENT: "cannot be found", EEXIST: "cannot be a folder"}.get(code, "cannot be used")


def _without_inodes(path: Path) -> bool:
    """Return whether the file system of `path` counts its inodes, and has none left."""
    existing = next((folder for folder in (path, *path.absolute().parents) if os.path.exists(folder)), None)
    state = os.statvfs(existing) if existing else None
    return state is not None and state.f_files > 0 and state.f_favail == 0


def _within(path: Path, folder: Path) -> bool:
    return path.absolute().is_relative_to(folder) and not Path.cwd().is_relative_to(folder)


def _line(words: str, pattern: re.Pattern[str]) -> str:
    """Return the line of a message that `pattern` is in, or its first one."""
    lines = words.splitlines()
    line = next((line for line in lines if pattern.search(line)), lines[0] if lines else "").strip()
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
