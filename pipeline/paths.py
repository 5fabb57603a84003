"""Where things are: beside the recipe, or shipped in the package."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UserError
from .published import PACKAGES
from .published import file as packaged

SHIPPED = Path(__file__).parent / "shipped"


def folder_of(kind: str) -> Path:
    """The shipped `recipes` or `targets`: inside the installed package, or at the top of a checkout."""
    installed = SHIPPED / kind
    return installed if installed.is_dir() else SHIPPED.parent.parent / kind


def find(name: str, source: Path) -> Path:
    """The file that a recipe calls `name`: beside the recipe, among the shipped files, or in a package of PyPI."""
    if name in PACKAGES:
        return packaged(name)
    beside = source.parent / name
    if beside.is_file():
        return beside
    shipped = (SHIPPED / name).resolve()
    if shipped.is_file() and shipped.is_relative_to(SHIPPED.resolve()):
        return shipped
    raise UserError(f"there is no file `{name}`", f"looked in {source.parent} and among the shipped files")


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path that takes the place of `path` when the block ends well; a reader sees the old or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
