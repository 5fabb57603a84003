"""Record the files that edgepress wrote and may overwrite or delete.

All other files are the user's, and stay.

A record, such as `report.json`, is told by how it begins. A model is told by its digest, which a list beside it holds:
`accepted.json`, or `SHA256SUMS`, which `sha256sum -c` reads too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from .errors import Problem, UserError
from .paths import digest, replacing

REPORT = re.compile(rb'\{"version":\d+,"recipe":"[^"]*","source":')
ACCEPTED = re.compile(rb'\{"version":\d+,"recipe":"[^"]*","date":')
COMPARISON = re.compile(rb'\{"version":\d+,"name":"[^"]*","source":')
TRACE = re.compile(rb'\{"version":\d+,"limit":')
"""How `report.json`, `accepted.json`, `compare.json` and a trace begin, but for white space."""
WRITTEN = re.compile(rb"# Written by `edgepress ")
BUNDLE = re.compile(rb"PK\x03\x04.{0,300}?/LICENSES/Apache-2\.0\.txt", re.DOTALL)
"""How an archive of `edgepress bundle` begins: its first file."""
_HEAD = 4096
"""Bytes of a file that tell whose it is."""
SUMS = "SHA256SUMS"
NOT_OURS = "is not what edgepress wrote, and is not overwritten"
AWAY = "move it away, or choose another folder"

Known = Mapping[str, frozenset[str]]
"""Name of a file in a folder → the digests that were written under it."""


def is_record(path: Path, begins: re.Pattern[bytes]) -> bool:
    """Tell whether `path` is a file that is empty, or begins as ours do."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD)
    head = head if begins is WRITTEN else b"".join(head.split())
    return not head or begins.match(head) is not None


def record(path: Path, begins: re.Pattern[bytes], help: str = AWAY) -> Path:
    """Return `path`, if nothing is there, or a record of ours. Raises: UserError for anything else."""
    if _there(path) and not is_record(path, begins):
        raise UserError(f"`{path}` {NOT_OURS}", help)
    return path


def free(folder: Path, names: Iterable[str], known: Known, help: str = AWAY) -> None:
    """Check that none of `names` in `folder` is a file of the user's, or was changed. Raises: UserError with each."""
    if _there(folder) and not folder.is_dir():
        raise UserError(f"`{folder}` is not a folder", help)
    problems = []
    for path in (folder / name for name in names):
        if not _there(path) or _known(path, known) or (path.is_file() and path.stat().st_size == 0):
            continue
        problems.append(Problem(f"`{path}` {NOT_OURS}", help))
    if problems:
        raise UserError(problems)


def remove(folder: Path, known: Known, keep: Iterable[str]) -> None:
    """Delete what is known in `folder`, as it was written, but for `keep`."""
    for name in sorted(set(known) - set(keep)):
        if _known(folder / name, known):
            (folder / name).unlink()


def read(folder: Path) -> Known | None:
    """Read the `SHA256SUMS` of `folder`; None where there is none. Raises: UserError for one that is not ours."""
    path = record(folder / SUMS, WRITTEN)
    if not path.is_file():
        return None
    lines = [line.split("  ", 1) for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    return together((name, sha256) for sha256, name in (line for line in lines if len(line) == 2))


def write(folder: Path, known: Known, what: str = "models") -> None:
    """List `what` a run keeps in a folder, with the digests."""
    lines = [f"{sha256}  {name}\n" for name in sorted(known) for sha256 in sorted(known[name])]
    with replacing(folder / SUMS) as temporary:
        temporary.write_bytes(
            f"# Written by `edgepress run`; the {what} that it keeps here.\n".encode() + "".join(lines).encode()
        )


def together(pairs: Iterable[tuple[str, str]]) -> Known:
    """Group (name, digest) by name; no name leads out of its folder."""
    digests: dict[str, frozenset[str]] = {}
    for name, sha256 in pairs:
        if name == Path(name).name:
            digests[name] = digests.get(name, frozenset()) | {sha256}
    return digests


def items(known: Known) -> Iterator[tuple[str, str]]:
    return ((name, sha256) for name, digests in known.items() for sha256 in digests)


def _known(path: Path, known: Known) -> bool:
    return path.name in known and path.is_file() and digest(path) in known[path.name]


def _there(path: Path) -> bool:
    return path.exists() or path.is_symlink()
