"""Cache results by the content that they are made from; never timings.

Entries are published whole or not at all, and verified when they are read.

Under the cache's root:

entries/KEY/   files and `entry.json` with their digests
work/KEY/      of a result in the making; survives a kill, so that training goes on where it stopped
locks/KEY      held while a result is made: a second run waits for it
files/, remembered/, copies/   what `data` keeps: what is known of files, and copies of what functions give
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import distributed, file_lock, temporary
from ..core.errors import UserError
from ..core.paths import Destination, digest, replacing, scratch
from ..core.system_errors import naming

ENTRY = "entry.json"
OF_DATA = ("files", "remembered", "copies")
AWAY = "move it away, or choose another `--cache`"
ELSEWHERE = "choose another folder: `--cache`, or the variable EDGEPRESS_CACHE"


def key_of(material: dict[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON of everything that shapes a result."""
    return hashlib.sha256(json.dumps(material, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Entry:
    """A published result: its folder, and the facts that its maker returned."""

    key: str
    folder: Path
    facts: dict[str, Any]


class Cache:
    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, key: str) -> Entry | None:
        """Return the entry of `key`, or None if there is none.

        One that was made from other material, or with a file missing, added or of another digest, counts as none.
        """
        folder = self.root / "entries" / key
        try:
            stored = json.loads((folder / ENTRY).read_text(encoding="utf-8"))
            sound = key_of(stored["material"]) == key and stored["facts_sha256"] == key_of(stored["facts"])
            sound = sound and {path.name for path in folder.iterdir()} == {ENTRY, *stored["files"]}
            sound = sound and all(digest(folder / name) == expected for name, expected in stored["files"].items())
        except (
            FileNotFoundError,
            NotADirectoryError,
            IsADirectoryError,
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            RecursionError,
        ):
            return None
        if not sound:
            return None
        with suppress(OSError):  # a cache that cannot be written can be used
            os.utime(folder)
        return Entry(key, folder, stored["facts"])

    def make(
        self,
        material: dict[str, Any],
        maker: Callable[[Path, Path], dict[str, Any]],
        what: str = "the same result",
    ) -> Entry:
        """Return the entry of `material`; `maker(folder, scratch) -> facts` makes a missing one.

        Two runs that want the same entry make it once: the second waits, and says for whom; `what` names the entry.
        """
        key = key_of(material)
        if not distributed.first():
            return self._along(key, maker)
        if not distributed.several() and (entry := self.get(key)):
            self._tidy(key)
            return entry
        with naming(self.root, ELSEWHERE), file_lock.hold(_folder(self.root / "locks") / key, what):
            entry = self.get(key)
            if distributed.several():
                distributed.broadcast(entry is None)
            entry = entry or self._publish(key, material, maker)
            if distributed.several():
                distributed.broadcast(True)
            return entry

    def _along(self, key: str, maker: Callable[[Path, Path], dict[str, Any]]) -> Entry:
        """Return the entry that the first process makes with the help of this one."""
        if distributed.broadcast(None):
            with scratch() as unused:
                maker(unused, self.root / "work" / key / "scratch")
        distributed.broadcast(None)
        entry = self.get(key)
        if entry is None:
            raise UserError(f"`{self.root}` is not the first process's cache", "several hosts need a folder they share")
        return entry

    def _publish(self, key: str, material: dict[str, Any], maker: Callable[[Path, Path], dict[str, Any]]) -> Entry:
        work, entries = self.root / "work" / key, self.root / "entries"
        result, scratch = work / "made", work / "scratch"
        shutil.rmtree(result, ignore_errors=True)
        for folder in (result, scratch, entries):
            _folder(folder)
        before = entries / key  # a damaged one
        if before.is_symlink() or (before.exists() and not before.is_dir()):
            raise UserError(f"the cache's `{before}` is not a folder", AWAY)
        try:
            facts = maker(result, scratch)
        except Exception as error:
            if result.is_dir():
                raise
            raise UserError(f"`{result}` was deleted while it was made", "the same command makes it again") from error
        files = {path.name: digest(path) for path in sorted(result.iterdir())}
        with replacing(result / ENTRY) as file:
            stored = {"material": material, "files": files, "facts": facts, "facts_sha256": key_of(facts)}
            file.write_text(json.dumps(stored, indent=1, sort_keys=True), encoding="utf-8")
        shutil.rmtree(before, ignore_errors=True)
        os.replace(result, before)
        shutil.rmtree(work)
        return Entry(key, before, facts)

    def _tidy(self, key: str) -> None:
        """Delete what a run left that was killed when it had published its entry; no run is making one of this key."""
        from filelock import FileLock, Timeout

        if (work := self.root / "work" / key).is_dir():
            with suppress(OSError, Timeout), FileLock(self.root / "locks" / key, timeout=0):
                shutil.rmtree(work)  # a cache that cannot be written can be used

    @property
    def empty(self) -> bool:
        """Whether nothing was ever made in it, so that any run must write."""
        return not (self.root / "entries").is_dir()

    def destinations(self) -> list[Destination]:
        """Return the folders that a result is written in."""
        names = [name for name in ("entries", "locks", "work") if os.path.lexists(self.root / name)]
        return [Destination(self.root / name, ELSEWHERE) for name in names] or [Destination(self.root, ELSEWHERE)]

    def collect(self, days: float) -> tuple[int, int]:
        """Delete what was unused for `days` and what killed runs left; return (how many, bytes freed).

        A folder may be the user's, with an `entries` or a `work` of their own: only what a cache makes is deleted.
        """
        from filelock import FileLock, Timeout

        count = freed = 0
        for folder in [self.root, *self.root.glob("work/*/*")]:
            temporary.sweep(folder)
        for folder in [*self.root.glob("entries/*"), *self.root.glob("work/*")]:
            if not _made(folder) or time.time() - folder.stat().st_mtime < days * 86400:
                continue
            try:
                with FileLock(self.root / "locks" / folder.name, timeout=0):
                    freed += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                    shutil.rmtree(folder)
                    count += 1
            except Timeout:
                continue  # a run is making it
        for file in [path for name in OF_DATA for path in self.root.glob(f"{name}/*")]:
            known = re.fullmatch("[0-9a-f]{64}", file.name.partition(".")[0]) and file.is_file()
            if known and time.time() - file.stat().st_mtime >= days * 86400:
                freed += file.stat().st_size
                file.unlink()
                count += 1
        return count, freed


def _folder(path: Path) -> Path:
    """Create the folder `path`. Raises: UserError where something else is in its place, or it cannot be created."""
    if os.path.lexists(path) and not path.is_dir():
        raise UserError(f"the cache's `{path}` is not a folder", AWAY)
    with naming(path, ELSEWHERE):
        path.mkdir(parents=True, exist_ok=True)
    return path


def _made(folder: Path) -> bool:
    """Return whether a cache made this folder, by its name and its content."""
    if not re.fullmatch("[0-9a-f]{64}", folder.name) or folder.is_symlink() or not folder.is_dir():
        return False
    if folder.parent.name == "entries":
        return (folder / ENTRY).is_file()
    return {path.name for path in folder.iterdir()} <= {"made", "scratch"}
