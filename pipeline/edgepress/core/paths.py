"""Resolve paths beside the recipe or among the shipped files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from . import foreign, temporary
from .errors import UserError
from .printable import say, word

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
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path that takes the place of `path` when the block ends well; a reader sees the old or the new.

    Raises: UserError where no file can be made.
    """
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(temporary.file_in(path.parent))
        except OSError as error:
            raise UserError(f"`{path}` cannot be written: {error.strerror}", "look at the folder") from error
        yield file
        file.chmod(0o644)
        os.replace(file, path)
