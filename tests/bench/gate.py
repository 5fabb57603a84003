"""How often is the gate wrong? MobileNetV2 at 224 px, one thread, against itself and against a twin with 10% more work.

Every gate is what `edgepress bench --against` does, with a limit of +5%, while other processes load both cores, and on
an idle machine. The rules that CI jobs use elsewhere judge the same samples, and samples of the reference that were
stored when the gate before was made. Gates are appended to a trace as they are made, so that a run that was interrupted
goes on; it takes hours. `make bench-gate` writes gate.json.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, median
from typing import Any

from edgepress.benchmark import paired, statistics
from scipy import stats

from tests.bench import results

FOLDER = Path(".edgepress/gate")
TRACE = FOLDER / "trace.jsonl"
LIMIT = 1.05
MODEL = "mobilenetv2_100"
PIXELS = 224
CASES = [(2, "unchanged", 300), (2, "slower", 50), (0, "unchanged", 50), (0, "slower", 50)]
"""Busy processes beside the gate, the candidate, and the number of gates."""
BUSY = (
    "import numpy as n\na, b = n.random.rand(2, 300, 300), n.random.rand(4_000_000)\nwhile True: a[0] @ a[1]; b.copy()"
)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    files, idle = _models()
    made = [json.loads(line) for line in TRACE.read_text().splitlines()] if TRACE.is_file() else []
    have = Counter((gate["busy"], gate["candidate"]) for gate in made)
    for busy, candidate, wanted in CASES:
        with _load(busy), TRACE.open("a", encoding="utf-8") as trace:
            for number in range(have[busy, candidate], wanted):
                gate = {"busy": busy, "candidate": candidate} | _gate(files, candidate, number)
                print(busy, candidate, number, gate["verdict"], f"{gate['seconds']:.1f} s", flush=True)
                trace.write(json.dumps(gate) + "\n")
                trace.flush()
                made.append(gate)
    print(results.write("gate", "make bench-gate", {"model": f"timm/{MODEL}@{PIXELS}", "slower": idle, **table(made)}))


def _gate(files: dict[str, Path], candidate: str, number: int) -> dict[str, Any]:
    """One gate: its verdict, and a summary of every process's times for the rules to compare it with."""
    started = time.monotonic()
    models = [paired.Model("candidate", files[candidate]), paired.Model("reference", files["reference"])]
    samples = paired.measure(
        models,
        seed=number,
        enough=lambda found: statistics.sequential(statistics.log_ratios(*found), LIMIT).status != "undecided",
    )
    logs = statistics.log_ratios(*samples)
    found = statistics.sequential(logs, LIMIT)
    return {
        "verdict": found.status,
        "ratio": found.value,
        "logs": logs,
        "contention": statistics.contention(samples[0]),
        "seconds": time.monotonic() - started,
        "wall": [
            [{"mean": fmean(times), "min": min(times), "median": median(times)} for times in each.wall]
            for each in samples
        ],
    }


def table(gates: list[dict[str, Any]]) -> dict[str, Any]:
    """For every case the share of red verdicts by each rule, ours with its interval and what it cost."""
    cases = []
    for busy, candidate, _ in CASES:
        ours = [gate for gate in gates if (gate["busy"], gate["candidate"]) == (busy, candidate)]
        if not ours:
            continue
        red = sum(gate["verdict"] == "FAIL" for gate in ours)
        low, high = stats.binomtest(red, len(ours)).proportion_ci(0.95, method="exact")
        processes = [len(gate["logs"]) for gate in ours]
        cases.append(
            {
                "busy": busy,
                "candidate": candidate,
                "gates": len(ours),
                "verdicts": dict(Counter(gate["verdict"] for gate in ours)),
                "red": red / len(ours),
                "red_interval_95": [low, high],
                "ratio": median(gate["ratio"] for gate in ours),
                "contention": median(gate["contention"] for gate in ours),
                "processes": {"median": median(processes), "most": max(processes)},
                "seconds": median(gate["seconds"] for gate in ours),
                "others": {
                    name: {
                        "same_samples": fmean(rule(*gate["wall"]) for gate in ours),
                        "stored_reference": fmean(
                            rule(gate["wall"][0], ours[number - 1]["wall"][1]) for number, gate in enumerate(ours)
                        ),
                    }
                    for name, rule in RULES.items()
                },
            }
        )
    return {"limit": LIMIT, "cases": cases}


Processes = list[dict[str, float]]
"""`mean`, `min` and `median` wall seconds of every process."""


def _mean(one: Processes, two: Processes) -> bool:
    return fmean(each["mean"] for each in one) > LIMIT * fmean(each["mean"] for each in two)


def _minimum(one: Processes, two: Processes) -> bool:
    return min(each["min"] for each in one) > LIMIT * min(each["min"] for each in two)


def _mann_whitney(one: Processes, two: Processes) -> bool:
    """benchstat's habit: medians differ by more than the limit, and the ranks at p < 0.05."""
    mine, theirs = [each["median"] for each in one], [each["median"] for each in two]
    return median(mine) > LIMIT * median(theirs) and bool(stats.mannwhitneyu(mine, theirs).pvalue < 0.05)


def _google(one: Processes, two: Processes) -> bool:
    """Google Benchmark's `compare.py`: a U test over the repetitions' means, α = 0.05, without a tolerance."""
    mine, theirs = [each["mean"] for each in one], [each["mean"] for each in two]
    return fmean(mine) > fmean(theirs) and bool(stats.mannwhitneyu(mine, theirs).pvalue < 0.05)


RULES = {
    "mean + 5%": _mean,
    "min + 5%": _minimum,
    "Mann-Whitney, median + 5%": _mann_whitney,
    "Google Benchmark compare": _google,
}
"""What CI jobs decide by elsewhere, on wall time: red or not."""


@contextmanager
def _load(busy: int) -> Iterator[None]:
    """So many processes that multiply and copy without end."""
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    others = [subprocess.Popen([sys.executable, "-c", BUSY], env=single) for _ in range(busy)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def _models() -> tuple[dict[str, Path], dict[str, Any]]:
    """The network, and the twin with repeated blocks whose CPU time is nearest to 10% more; that ratio."""
    import timm

    files = {name: FOLDER / f"{name}.onnx" for name in ("reference", "unchanged", "slower")}
    chosen = FOLDER / "slower.json"
    if chosen.is_file():
        return files, json.loads(chosen.read_text())
    network = timm.create_model(MODEL).eval()
    _export(network, files["reference"])
    files["unchanged"].write_bytes(files["reference"].read_bytes())
    found: dict[str, Any] = {}
    for stages in ([2, 3], [1, 3, 4], [2, 3, 4], [1, 2, 3, 4], [2, 3, 5], [2, 2, 3, 4]):
        twin = copy.deepcopy(network)
        for stage in stages:
            twin.blocks[stage].append(copy.deepcopy(twin.blocks[stage][-1]))
        path = FOLDER / "trial.onnx"
        _export(twin, path)
        models = [paired.Model("slower", path), paired.Model("reference", files["reference"])]
        ratio, interval = statistics.spread(statistics.log_ratios(*paired.measure(models, looks=(6,))))
        print(f"one more block in stages {stages}: {ratio:.3f}x {interval}", flush=True)
        if not found or abs(ratio - 1.1) < abs(found["ratio"] - 1.1):
            found = {"repeated_blocks_of_stages": stages, "ratio": ratio, "interval": interval}
            path.replace(files["slower"])
    chosen.write_text(json.dumps(found))
    return files, found


def _export(network: Any, path: Path) -> None:
    import torch

    torch.onnx.export(network, (torch.zeros(1, 3, PIXELS, PIXELS),), path, dynamo=False, opset_version=17)


if __name__ == "__main__":
    main()
