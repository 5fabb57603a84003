"""Limits on memory: the message names it, and a run without the limit gives what an undisturbed one gives."""

from __future__ import annotations

import resource
from functools import partial
from pathlib import Path

from tests.torture import places, undisturbed
from tests.torture.bench import Bench
from tests.torture.ended import names
from tests.torture.runner import Fresh

WAIT = 300.0
LIMITS = (
    *((resource.RLIMIT_AS, "tiny", size) for size in (120, 250, 400, 900, 1200, 1500, 2000, 2500, 3600)),
    *((resource.RLIMIT_DATA, "lite", size) for size in (60, 90, 150, 300, 500)),
)
"""MB of addresses or of data."""


def prepare(seeds: Path, runner: Fresh) -> None:
    for recipe in ("lite", "tiny"):
        places.finished(seeds, runner, recipe)


def trial(bench: Bench) -> None:
    kind, recipe, size = LIMITS[bench.number % len(LIMITS)]
    bench.note = f"{'RLIMIT_AS' if kind == resource.RLIMIT_AS else 'RLIMIT_DATA'} {size} MB, {recipe}"
    places.lay_out(bench.work)
    command = ("run", f"{recipe}.yaml")
    limit = partial(resource.setrlimit, kind, (size << 20, size << 20))
    ended = bench.run(*command, wait=WAIT, setup=limit, judged={"timed": False, "codes": (0, 2)})
    bench.facts[{0: "went through", 2: "failed as planted"}.get(ended.code, "failed otherwise")] += 1
    if ended.code == 2:
        bench.blame(names(ended, "memory"))
    bench.run(*command, wait=WAIT, judged={"timed": False, "codes": (0,)})
    bench.blame(
        [*undisturbed.compare(bench.work, bench.seeds / recipe / "work", recipe), *undisturbed.leftovers(bench.folder)]
    )
