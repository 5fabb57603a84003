"""What does the supervised child process of a command cost? Pairs of runs, with and without it.

`make bench-isolation` writes isolation.json: each run of a shipped recipe has an empty cache.
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

RUNS = {"mobilenet": 3, "onnx-only": 10, "text": 5}
"""Pairs of each recipe."""
HERE = "import sys; from edgepress.commands import exit_codes, main; sys.exit(exit_codes.run(main.cli))"
COMMANDS = {"supervised": ["-m", "edgepress"], "alone": ["-c", HERE]}
ROOT = Path(__file__).parents[2]


def main() -> None:
    """Measure every recipe, and the command that does the least."""
    chosen = sys.argv[1:] or list(RUNS)
    recipes = {recipe: _ratio(["run", recipe], RUNS[recipe]) for recipe in chosen}
    results.write("isolation", "make bench-isolation", {"recipes": recipes, "help": _ratio(["--help"], 40)})


def _ratio(words: list[str], pairs: int) -> dict[str, object]:
    """Return wall seconds of each pair, in drawn order, and the ratio supervised / alone with its 95% interval."""
    order = random.Random(0)
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(pairs):
        for name in order.sample(list(COMMANDS), 2):
            seconds[name].append(_seconds(name, words))
    logs = [math.log(a / b) for a, b in zip(seconds["supervised"], seconds["alone"], strict=True)]
    half = stats.t.ppf(0.975, pairs - 1) * stdev(logs) / math.sqrt(pairs)
    ratio = [math.exp(fmean(logs) + side * half) for side in (0, -1, 1)]
    print(" ".join(words), f"{ratio[0]:.4f} [{ratio[1]:.4f}–{ratio[2]:.4f}], {pairs} pairs")
    return {"seconds": seconds, "ratio": ratio}


def _seconds(name: str, words: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        places = ["--cache", f"{folder}/cache", "--runs", f"{folder}/runs"] if words[0] == "run" else []
        command = [sys.executable, *COMMANDS[name], *words, *places]
        started = time.perf_counter()
        environment = os.environ | {"PYTHONPATH": str(ROOT / "pipeline")}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
        taken = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    return taken


if __name__ == "__main__":
    main()
