"""`kill -9` at random moments of a run; a run to the end then gives what an undisturbed one gives."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from tests.torture import places, undisturbed
from tests.torture.bench import Bench
from tests.torture.ended import VERDICTS, faults
from tests.torture.runner import Fresh
from tests.torture.watch import Stop

RECIPES = ("tiny", "lite", "soup", "long")
KILLS = 4
"""Of one input, each on what the one before left."""
WAIT = 120.0


def prepare(seeds: Path, runner: Fresh) -> None:
    for recipe in RECIPES:
        places.finished(seeds, runner, recipe)


def trial(bench: Bench) -> None:
    recipe = bench.note = RECIPES[bench.number % len(RECIPES)]
    expected = bench.seeds / recipe / "work"
    places.lay_out(bench.work)
    left = places.seconds(bench.seeds, recipe)
    for _ in range(KILLS):
        after, to = bench.random.uniform(0, left), bench.random.choice(("group", "process", "child"))
        bench.note += f" {to} {after:.2f} s"
        stop = Stop(signal.SIGKILL, after, group=to == "group", child=to == "child")
        ended = bench.runner.run(["run", f"{recipe}.yaml"], bench.folder, stop=stop, wait=WAIT)
        bench.endings.append(ended)
        if ended.heeded is None:
            bench.facts["ended before the kill"] += 1
            bench.blame(list(undisturbed.compare(bench.work, expected, recipe)))
            for path in (bench.work, bench.folder / "tmp"):
                shutil.rmtree(path)
            places.lay_out(bench.work)
            continue
        bench.facts["kills"] += 1
        found = faults(ended, (*VERDICTS, -signal.SIGKILL), timed=False)
        bench.blame([fault for fault in found if to == "child" or fault.kind != "signal"])
        left = max(1.0, left - after / 2)
    ended = bench.run("run", f"{recipe}.yaml", wait=WAIT, judged={"timed": False, "codes": (0,)})
    differing = list(undisturbed.compare(bench.work, expected, recipe))
    left_over = list(undisturbed.leftovers(bench.folder))
    bench.facts["differing"] += bool(differing)
    bench.facts["leftovers"] += len(left_over)
    bench.blame([*differing, *left_over])
