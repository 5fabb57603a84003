"""Name temporary files so that those of a killed process are known, and deleted by the next one.

Every temporary file or folder is locked by its maker for as long as that lives, so the lock tells whether it is left
over. Only names of this module's own pattern are ever deleted.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

_PART = re.compile(r"\.edgepress-[a-z0-9_]{8}\.part")
_TRIAL = re.compile(r"\.edgepress-[a-z0-9_]{8}\.trial")
_FOLDER = re.compile(r"edgepress-[a-z0-9_]{8}\.tmp")
_FORMER_LOCK = ".lock"
"""What earlier versions locked in their folders; now that is the folder itself, which is deleted last."""


@contextmanager
def file_in(folder: Path) -> Iterator[Path]:
    """Yield an empty file of a passing name in `folder`; what is still there at the end is deleted."""
    _sweep_once(folder)
    while True:
        handle, name = tempfile.mkstemp(prefix=".edgepress-", suffix=".part", dir=folder)
        if _locked(handle):
            break
        os.close(handle)
    path = Path(name)
    try:
        yield path
    finally:
        with suppress(FileNotFoundError):
            path.unlink()
        os.close(handle)


@contextmanager
def folder_in(folder: Path) -> Iterator[Path]:
    """Yield an empty folder of a passing name in `folder`, which is deleted at the end with what is in it."""
    sweep(folder)
    handle, path = _locked_folder(folder, ".edgepress-", ".trial")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def is_ours(path: Path) -> bool:
    """Whether a file has a name of `file_in`."""
    return _PART.fullmatch(path.name) is not None


def sweep(folder: Path) -> None:
    """Delete the files and trial folders in `folder` that killed processes left."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            file = _PART.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
            if file or (_TRIAL.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)):
                _delete(Path(entry.path), Path(entry.path))


@contextmanager
def root() -> Iterator[None]:
    """Keep all temporary files of this process and its children in one folder, which is deleted at the end.

    Where no folder can be made, whoever needs one reports it.
    """
    try:
        handle, work = _made()
    except OSError:
        yield
        return
    before, tempfile.tempdir = tempfile.tempdir, str(work)
    variable, os.environ["TMPDIR"] = os.environ.get("TMPDIR"), str(work)
    try:
        yield
    finally:
        tempfile.tempdir = before
        if variable is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = variable
        shutil.rmtree(work, ignore_errors=True)
        os.close(handle)


def _made() -> tuple[int, Path]:
    """Return a new folder for temporary files, with its lock; folders of killed processes are deleted first."""
    base = Path(tempfile.gettempdir())
    with os.scandir(base) as entries:
        for entry in entries:
            if _FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                former = Path(entry.path, _FORMER_LOCK)
                _delete(Path(entry.path), former if former.exists() else Path(entry.path))
    return _locked_folder(base, "edgepress-", ".tmp")


def _locked_folder(base: Path, prefix: str, suffix: str) -> tuple[int, Path]:
    """Return a new folder in `base` and what holds its lock."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, suffix=suffix, dir=base))
        with suppress(FileNotFoundError):  # another process has deleted it
            handle = os.open(path, os.O_RDONLY)
            if _locked(handle):
                return handle, path
            os.close(handle)


@cache
def _sweep_once(folder: Path) -> None:
    sweep(folder)


def _locked(handle: int) -> bool:
    """Lock a file of this process; return False where another one has deleted it in between."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nothing is ever deleted there
        return True
    return os.fstat(handle).st_nlink > 0


def _delete(path: Path, lock: Path) -> None:
    """Delete a file or folder whose `lock` nobody holds."""
    try:
        handle = os.open(lock, (os.O_RDONLY if lock.is_dir() else os.O_RDWR) | os.O_NOFOLLOW)
    except OSError:  # another user's, or deleted in between
        return
    with suppress(OSError):  # a living process holds it, or the file system has no locks
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    os.close(handle)
