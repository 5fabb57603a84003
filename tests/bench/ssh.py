"""Does the connection change the time? One model over `local` and over `ssh` to loopback, process by process.

`make bench-ssh` starts an ssh server of its own and writes ssh.json: for each model the ratio of the medians of a
process over ssh and of one without, in random order one after the other, with its 95% interval over the pairs.
"""

from __future__ import annotations

import math
import os
import random
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean, stdev

from edgepress.benchmark import paired, statistics
from edgepress.benchmark.devices.connect import connect
from edgepress.benchmark.devices.ssh import COMMAND
from edgepress.benchmark.devices.transport import Transport
from edgepress.engine import references
from edgepress.gate import published
from scipy import stats

from tests.bench import results
from tests.benchmark.devices.board import board_in

PAIRS = 100
MODELS = [
    published.ReferenceModel("timm/mobilenetv2_100@224", "fp32", "onnxruntime"),
    published.ReferenceModel("timm/mobilenetv2_100@224", "int8", "litert"),
    published.ReferenceModel("timm/mobilenetv3_small_050@28", "fp32", "onnxruntime"),
]


def main() -> None:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        board = board_in(Path(folder, "board"))
        os.environ[COMMAND] = f"ssh -F {folder}/board/config"
        board.start()
        try:
            with connect("local") as here, connect(board.reach, sys.executable) as there:
                for model in MODELS:
                    file = references.build(model, Path(folder, "models"))
                    timed = paired.Model(model.label, file, model.runtime)
                    found[f"{model.label}, {model.runtime}"] = _ratio(timed, here, there)
                    print(model.label, found[f"{model.label}, {model.runtime}"], flush=True)
        finally:
            board.unplug()
    print(results.write("ssh", "make bench-ssh", {"pairs": PAIRS, "models": found}))


def _ratio(model: paired.Model, here: Transport, there: Transport) -> dict[str, float]:
    order, logs, medians = random.Random(0), [], []
    for number in range(PAIRS):
        taken: dict[str, float] = {}
        ways: Iterable[tuple[str, Transport]] = order.sample([("local", here), ("ssh", there)], 2)
        for name, device in ways:
            (samples,) = paired.measure([model], looks=(1,), seed=number, device=device)
            (taken[name],) = statistics.log_percentiles(samples, 50)
        logs.append(taken["ssh"] - taken["local"])
        medians.append(math.exp(taken["local"]))
    half = float(stats.t.ppf(0.975, PAIRS - 1)) * stdev(logs) / math.sqrt(PAIRS)
    low, mean, high = (math.exp(fmean(logs) + shift) for shift in (-half, 0, half))
    return {"ratio": mean, "low": low, "high": high, "local_seconds": fmean(medians)}


if __name__ == "__main__":
    main()
