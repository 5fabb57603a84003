"""Full disks: a tmpfs of a size, a limit on the size of files, /dev/full; the message names it, a rerun goes on."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.torture import places, undisturbed
from tests.torture.bench import Bench
from tests.torture.ended import names
from tests.torture.runner import Fresh

CAUSE = ("no space left", "file too large", "disk quota", "disk is full")
WAIT = 120.0
TO_FULL = ("sh", "-c", 'exec "$@" > /dev/full', "sh")
POINTS = (
    *(("work", "lite", share) for share in (0.02, 0.05, 0.1, 0.15, 0.25, 0.6)),
    *(("work", "tiny", share) for share in (0.02, 0.05, 0.1, 0.18, 0.25, 0.32, 0.4, 0.5, 0.6, 0.8)),
    *(("tmp", recipe, share) for recipe, share in (("lite", 0.01), ("lite", 0.2), ("tiny", 0.002))),
    *(("runs", recipe, share) for recipe, share in (("lite", 0.02), ("lite", 0.05), ("lite", 0.4), ("tiny", 0.02))),
    *(("file", recipe, share) for recipe in ("lite", "tiny") for share in (0.001, 0.01)),
    *(("full", recipe, 0.0) for recipe in ("lite", "tiny")),
    *(("cache", "tiny", share) for share in (0.1, 0.3)),
)
"""What is full, the recipe, and the size as a share of what an undisturbed run fills."""


def prepare(seeds: Path, runner: Fresh) -> None:
    for recipe in ("lite", "tiny"):
        places.finished(seeds, runner, recipe)


def trial(bench: Bench) -> None:
    kind, recipe, share = POINTS[bench.number % len(POINTS)]
    expected = bench.seeds / recipe / "work"
    size = int(share * sum(file.stat().st_size + 4096 for file in expected.rglob("*"))) + 1
    bench.note = f"{kind} {recipe} {size >> 10} kB"
    command = ("run", f"{recipe}.yaml")
    judged = {"timed": False, "codes": (0, 2)}
    places.lay_out(bench.work)
    if kind == "full":
        ended = bench.run(*command, wait=WAIT, judged=judged, prefix=TO_FULL)
    elif kind == "file":
        limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        ended = bench.run(*command, wait=WAIT, judged=judged, setup=limit)
    else:
        place = {
            "work": bench.work,
            "tmp": bench.folder / "tmp",
            "runs": bench.work / "runs",
            "cache": bench.work / ".edgepress",
        }[kind]
        with filling(place, size + (100 << 10) * (kind == "work")):
            if kind == "work":
                places.lay_out(bench.work)
            ended = bench.run(*command, wait=WAIT, judged=judged)
            _judge(bench, ended.code)
            subprocess.run(["mount", "-o", "remount,size=64m", place], check=True)
            _again(bench, command, expected, recipe)
        return
    _judge(bench, ended.code)
    _again(bench, command, expected, recipe)


def _judge(bench: Bench, code: int) -> None:
    bench.facts[{0: "went through", 2: "failed as planted"}.get(code, "failed otherwise")] += 1
    if code == 2:
        bench.blame(names(bench.endings[-1], *CAUSE))


def _again(bench: Bench, command: tuple[str, ...], expected: Path, recipe: str) -> None:
    bench.run(*command, wait=WAIT, judged={"timed": False, "codes": (0,)})
    bench.blame([*undisturbed.compare(bench.work, expected, recipe), *undisturbed.leftovers(bench.folder)])


@contextmanager
def filling(place: Path, size: int) -> Iterator[None]:
    """Mount a tmpfs of `size` bytes there; only root can."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)
