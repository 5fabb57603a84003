"""Compare a folder in which a disturbed recipe was run again with one in which nothing happened."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tests.torture.ended import Fault


def compare(work: Path, expected: Path, recipe: str) -> Iterator[Fault]:
    """Yield a fault if the lock or a model is another than in the `expected` folder."""
    for name, mine, other in (
        ("lock", work / f"{recipe}.lock.yaml", expected / f"{recipe}.lock.yaml"),
        ("models", work / "runs" / recipe / "models", expected / "runs" / recipe / "models"),
    ):
        if (found := _digests(mine)) != _digests(other):
            changed = sorted(set(found.items()) ^ set(_digests(other).items()))
            yield Fault("differs", f"{name}: {', '.join(sorted({file for file, _ in changed}))}")


def leftovers(folder: Path) -> Iterator[Fault]:
    """Yield a fault for each temporary file in the working folder, in its runs, in the cache or in `TMPDIR`."""
    work = folder / "work"
    hidden = [path for path in work.rglob(".*") if ".edgepress" not in path.relative_to(work).parts]
    cache = work / ".edgepress"
    unfinished = [*cache.glob("work/*"), *(path for path in cache.glob("entries/*/.*"))]
    for path in (*hidden, *unfinished, *(folder / "tmp").glob("*")):
        yield Fault("leftover", str(path.relative_to(folder)))


def _digests(path: Path) -> dict[str, str]:
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
