"""What does the supervised child process of a command cost? Pairs of runs, with and without it.

`make bench-isolation` writes isolation.json: each run of a shipped recipe has an empty cache. ARGS="onnx-only=3"
measures so many pairs of that recipe alone.
"""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean, stdev

from scipy import stats

from tests.bench import results

RUNS = {"mobilenet": 3, "onnx-only": 8}
"""Pairs of each recipe."""
HERE = "import sys; from edgepress.commands import exit_codes, main; sys.exit(exit_codes.run(main.cli))"
COMMANDS = {"supervised": ["-m", "edgepress"], "alone": ["-c", HERE]}
ROOT = Path(__file__).parents[2]


def main() -> None:
    """Measure every recipe, and the command that does the least."""
    chosen = dict(word.split("=") for word in sys.argv[1:]) or RUNS
    recipes = {recipe: _ratio(["run", recipe], int(pairs)) for recipe, pairs in chosen.items()}
    results.write("isolation", "make bench-isolation", {"recipes": recipes, "help": _ratio(["--help"], 40)})


def _ratio(words: list[str], pairs: int) -> dict[str, object]:
    """Return the seconds of each pair, in drawn order, and supervised / alone of these with a 95% interval."""
    order = random.Random(0)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(pairs):
        for name in order.sample(list(COMMANDS), 2):
            times[name].append(_seconds(name, words))
    found: dict[str, object] = {}
    for index, clock in enumerate(("wall", "cpu")):
        seconds = {name: [row[index] for row in rows] for name, rows in times.items()}
        logs = [math.log(a / b) for a, b in zip(seconds["supervised"], seconds["alone"], strict=True)]
        half = stats.t.ppf(0.975, pairs - 1) * stdev(logs) / math.sqrt(pairs)
        ratio = [math.exp(fmean(logs) + side * half) for side in (0, -1, 1)]
        print(" ".join(words), clock, f"{ratio[0]:.4f} [{ratio[1]:.4f}–{ratio[2]:.4f}], {pairs} pairs", flush=True)
        found[clock] = {"seconds": seconds, "ratio": ratio}
    return found


def _seconds(name: str, words: list[str]) -> tuple[float, float]:
    """Return wall seconds of a command, and CPU seconds of it and all that it starts."""
    with tempfile.TemporaryDirectory() as folder:
        places = ["--cache", f"{folder}/cache", "--runs", f"{folder}/runs"] if words[0] == "run" else []
        command = [sys.executable, *COMMANDS[name], *words, *places]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "pipeline")}
        before, started = os.times(), time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
        wall, after = time.perf_counter() - started, os.times()
    if done.returncode not in (0, 4):
        raise RuntimeError(done.stderr.decode())
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu


if __name__ == "__main__":
    main()
