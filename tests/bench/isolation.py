"""What does the supervised child process of a command cost? Pairs of runs, with and without it.

`make bench-isolation` writes isolation.json: each run of a shipped recipe has an empty cache. The two of a pair run at
once, each on a core of its own, so that what else is going on slows both; cores are drawn. ARGS="onnx-only=3" measures
so many pairs of that recipe alone. Each pair is kept in build/isolation.jsonl as it ends, and the same command goes on
from there; pairs of other sources or another machine do not count.
"""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import fmean, stdev

from edgepress.core.machine import machine
from scipy import stats

from tests.bench import results
from tests.torture import store

RUNS = {"mobilenet": 3, "onnx-only": 4}
"""Pairs of each recipe."""
FEW = ["--limit", "1000"]
"""An eighth of mobilenet's examples: what a process costs once weighs more than in the whole run."""
HERE = "import sys; from edgepress.commands import exit_codes, main; sys.exit(exit_codes.run(main.cli))"
COMMANDS = {"supervised": ["-m", "edgepress"], "alone": ["-c", HERE]}
ROOT = Path(__file__).parents[2]
PAIRS = ROOT / "build" / "isolation.jsonl"
CODES = (0, 1, 4)
"""How a run may end: a model of few examples misses its budgets."""
WAIT = 1800.0
"""Seconds after which a command hangs: the longest takes a tenth of that on two cores."""


def main() -> None:
    """Measure every recipe, and the command that does the least."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # ends the command that runs, too
    chosen = dict(word.split("=") for word in sys.argv[1:]) or RUNS
    recipes = {}
    for recipe, pairs in chosen.items():
        words = [recipe, *(FEW if recipe == "mobilenet" else ())]
        recipes[" ".join(words)] = _ratio(["run", *words], int(pairs))
    results.write("isolation", "make bench-isolation", {"recipes": recipes, "help": _ratio(["--help"], 40)})


def _ratio(words: list[str], pairs: int) -> dict[str, object]:
    """Return the seconds of each pair, and supervised / alone of these with a 95% interval."""
    rows = _pairs(words, pairs)
    found: dict[str, object] = {}
    for index, clock in enumerate(("wall", "cpu")):
        seconds = {name: [row[name][index] for row in rows] for name in COMMANDS}
        logs = [math.log(a / b) for a, b in zip(seconds["supervised"], seconds["alone"], strict=True)]
        half = stats.t.ppf(0.975, pairs - 1) * stdev(logs) / math.sqrt(pairs)
        ratio = [math.exp(fmean(logs) + side * half) for side in (0, -1, 1)]
        print(" ".join(words), clock, f"{ratio[0]:.4f} [{ratio[1]:.4f}–{ratio[2]:.4f}], {pairs} pairs", flush=True)
        found[clock] = {"seconds": seconds, "ratio": ratio}
    return found


def _pairs(words: list[str], pairs: int) -> list[dict[str, tuple[float, float]]]:
    """Return wall and CPU seconds of each pair, on drawn cores; only those that are not kept are measured."""
    key = ["at once", *words, store.sources(), machine().cpu]
    known = {row["number"]: row["seconds"] for row in store.read(PAIRS) if row["key"] == key}
    order = random.Random(0)
    PAIRS.parent.mkdir(exist_ok=True)
    for number in range(pairs):
        names = order.sample(list(COMMANDS), 2)
        if number not in known:
            known[number] = _seconds(names, words)
            store.append(PAIRS, {"key": key, "number": number, "seconds": known[number]})
            print(" ".join(words), number + 1, known[number], flush=True)
    return [known[number] for number in range(pairs)]


def _seconds(names: list[str], words: list[str]) -> dict[str, tuple[float, float]]:
    """Return wall and CPU seconds of two commands that run at once, of each with all that it starts.

    The first has core 0 and the second core 1. They write to files: a pipe ends with the last process that holds it.
    """
    with ExitStack() as stack:
        running: dict[int, _Command] = {}
        for core, name in enumerate(names):
            command = _Command(name, core, words, Path(stack.enter_context(tempfile.TemporaryDirectory())))
            stack.callback(command.kill)  # also what it left running, which would slow the next one
            running[command.process.pid] = command
        timer = threading.Timer(WAIT, lambda: [command.kill() for command in running.values()])
        timer.start()
        stack.callback(timer.cancel)
        found = {}
        while len(found) < len(names):
            pid, status, usage = os.wait4(-1, 0)
            command = running[pid]
            wall = time.perf_counter() - command.started
            command.process.returncode = os.waitstatus_to_exitcode(status)
            if command.process.returncode not in CODES:
                raise RuntimeError(f"{command.words} ended with {command.process.returncode}:\n{command.said()}")
            found[command.name] = (wall, usage.ru_utime + usage.ru_stime)
    return found


class _Command:
    """A command that runs on one core, in a folder of its own."""

    def __init__(self, name: str, core: int, words: list[str], folder: Path) -> None:
        places = ["--cache", f"{folder}/cache", "--runs", f"{folder}/runs"] if words[0] == "run" else []
        self.name, self.log = name, folder / "log"
        self.words = ["taskset", "--cpu-list", str(core), sys.executable, *COMMANDS[name], *words, *places]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "pipeline")}
        self.started = time.perf_counter()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
