"""What does the supervised child process of a command cost? Pairs of runs, with and without it.

`make bench-isolation` writes isolation.json: each run of a shipped recipe has an empty cache. ARGS="onnx-only=3"
measures so many pairs of that recipe alone. Each pair is kept in build/isolation.jsonl as it ends, and the same command
goes on from there; pairs of other sources or another machine do not count.
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
from contextlib import suppress
from pathlib import Path
from statistics import fmean, stdev
from typing import IO

from edgepress.core.machine import machine
from scipy import stats

from tests.bench import results
from tests.torture import store

RUNS = {"mobilenet": 3, "onnx-only": 8}
"""Pairs of each recipe."""
HERE = "import sys; from edgepress.commands import exit_codes, main; sys.exit(exit_codes.run(main.cli))"
COMMANDS = {"supervised": ["-m", "edgepress"], "alone": ["-c", HERE]}
ROOT = Path(__file__).parents[2]
PAIRS = ROOT / "build" / "isolation.jsonl"
WAIT = 1800.0
"""Seconds after which a command hangs: the longest takes a tenth of that on two cores."""


def main() -> None:
    """Measure every recipe, and the command that does the least."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # ends the command that runs, too
    chosen = dict(word.split("=") for word in sys.argv[1:]) or RUNS
    recipes = {recipe: _ratio(["run", recipe], int(pairs)) for recipe, pairs in chosen.items()}
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
    """Return wall and CPU seconds of each pair, in drawn order; only those that are not kept are measured."""
    key = [*words, store.sources(), machine().cpu]
    known = {row["number"]: row["seconds"] for row in store.read(PAIRS) if row["key"] == key}
    order = random.Random(0)
    PAIRS.parent.mkdir(exist_ok=True)
    for number in range(pairs):
        names = order.sample(list(COMMANDS), 2)
        if number not in known:
            known[number] = {name: _seconds(name, words) for name in names}
            store.append(PAIRS, {"key": key, "number": number, "seconds": known[number]})
            print(" ".join(words), number + 1, known[number], flush=True)
    return [known[number] for number in range(pairs)]


def _seconds(name: str, words: list[str]) -> tuple[float, float]:
    """Return wall seconds of a command, and CPU seconds of it and all that it starts."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
        places = ["--cache", f"{folder}/cache", "--runs", f"{folder}/runs"] if words[0] == "run" else []
        command = [sys.executable, *COMMANDS[name], *words, *places]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "pipeline")}
        before, started = os.times(), time.perf_counter()
        code = _ended(command, environment, said)
        wall, after = time.perf_counter() - started, os.times()
        if code not in (0, 4):
            said.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with {code}:\n{said.read().decode(errors='replace')}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu


def _ended(command: list[str], environment: dict[str, str], said: IO[bytes]) -> int:
    """Return how a command ended. It writes to a file: a pipe ends with the last process that holds it, not with it."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=said,
        start_new_session=True,
    )

    def kill() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(WAIT, kill)  # `wait` with a limit looks 20 times a second: too coarse for `--help`
    timer.start()
    try:
        return process.wait()
    finally:
        timer.cancel()
        kill()  # also what it left running, which would slow the next one
        process.wait()


if __name__ == "__main__":
    main()
