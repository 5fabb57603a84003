"""Resolve paths beside the recipe or among the shipped files."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from . import foreign, temporary
from .printable import say, word
from .system_errors import SystemFault, naming, of

SHIPPED = Path(__file__).parents[1] / "shipped"


def folder_of(kind: str) -> Path:
    """Return the folder of shipped `recipes` or `targets`: in the installed package, or at the top of a checkout."""
    installed = SHIPPED / kind
    return installed if installed.is_dir() else SHIPPED.parents[2] / kind


YAML = (".yaml", ".yml")
_KEYS = {
    "recipes": re.compile(r"^(stages|task)\s*:", re.MULTILINE),
    "targets": re.compile(r"^(runtime|budgets)\s*:", re.MULTILINE),
}


def called(name: str, folder: Path, kind: str | None = None) -> Path | None:
    """Find `NAME.yaml` or `NAME.yml` in `folder`; with a `kind` only one that is not plainly of another."""
    files = (file for end in YAML if (file := folder / f"{name}{end}").is_file())
    return next((file for file in files if kind is None or kind_of(file) in (kind, None)), None)


def kind_of(file: Path) -> str | None:
    """Return `recipes` or `targets`, by the keys at the top of a YAML file; None where they fit both or neither."""
    text = foreign.head(file, 1 << 20).decode("utf-8-sig", errors="replace").replace("\r", "\n")
    kinds = [kind for kind, keys in _KEYS.items() if keys.search(text)]
    return kinds[0] if len(kinds) == 1 else None


def shipped(name: str, kind: str) -> Path | None:
    """Return the shipped recipe or target of this name."""
    return called(name, folder_of(kind))


def chosen(name: str, kind: str, file: Path) -> Path:
    """Return `file`, which is called `name` here; print a note once where a shipped one has the same name."""
    namesake = shipped(name, kind)
    if namesake is not None and not namesake.samefile(file):
        _note(name, kind.removesuffix("s"), str(file))
    return file


@cache
def _note(name: str, kind: str, file: str) -> None:
    say(f"note: `{word(name)}` is {word(file)}, not the shipped {kind} of that name", error=True)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def replacing(path: Path, help: str = "") -> Iterator[Path]:
    """Yield a temporary path that takes the place of `path` when the block ends well; a reader sees the old or the new.

    Raises: SystemFault, which names `path`, where it cannot be written.
    """
    with naming(path, help), ExitStack() as stack:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = stack.enter_context(temporary.file_in(path.parent))
        yield file
        file.chmod(0o644)
        os.replace(file, path)


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a folder of temporary files; where it cannot be written, the error names it."""
    with tempfile.TemporaryDirectory() as name, naming(Path(name)):
        yield Path(name)


class Destination(NamedTuple):
    """A folder that will be written in, or the `file` in it, and the next act where it cannot be."""

    folder: Path
    help: str = ""
    file: Path | None = None


def require_writable(*destinations: Destination) -> None:
    """Refuse to start where a later write would fail.

    A file is written in each folder and deleted; missing folders are tried under a temporary name, beside.
    Raises: SystemFault with every destination that cannot be written.
    """
    faults = [fault for destination in destinations if (fault := _unwritable(destination))]
    if faults:
        raise SystemFault(dict.fromkeys(problem for fault in faults for problem in fault.problems))


def temporary_folder() -> Destination:
    """Return the folder of temporary files. Raises: SystemFault where there is none."""
    try:
        return Destination(Path(tempfile.gettempdir()))
    except OSError as error:
        raise of(error) or error from None


def _unwritable(destination: Destination) -> SystemFault | None:
    folder = destination.folder
    existing = next(above for above in (folder, *folder.parents) if os.path.lexists(above) or above == above.parent)
    try:
        if existing == folder:
            _write_a_page(folder)
        else:
            with temporary.folder_in(existing) as trial:
                inside = trial / folder.relative_to(existing)
                inside.mkdir(parents=True)
                _write_a_page(inside)
    except OSError as error:
        # It may name a file of the trial; the user knows the path.
        return of(OSError(error.errno, error.strerror), destination.file or folder, destination.help)
    return None


def _write_a_page(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        file.write(bytes(4096))
