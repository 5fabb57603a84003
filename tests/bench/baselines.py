"""Is distilling worth it on the `mobilenet` recipe? The same student by KD, cross-entropy and label smoothing.

Equal steps, equal augmented views, three seeds; accuracy on the 2,000 test images, whatever comes out.
`make bench-baselines` writes baselines.json; two seeds train at a time, one thread each.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean, stdev

from edgepress.config.recipe import load
from edgepress.core import yamlio
from edgepress.core.progress import Lines
from edgepress.engine.cache import Cache
from edgepress.engine.engine import Engine
from scipy import stats

from tests.bench import results

SEEDS = (0, 1, 2)
CACHE = Path(".edgepress")
RECIPE = Path("recipes/mobilenet.yaml")


def train(seed: int) -> None:
    """Run the recipe's stages up to the distillation, with baselines."""
    _engine(seed).run(Lines())


def _engine(seed: int) -> Engine:
    options = yamlio.read(RECIPE).data
    last = next(i for i, stage in enumerate(options["stages"]) if stage["use"].startswith("distill."))
    options["stages"] = options["stages"][: last + 1]
    options["stages"][last] |= {"baselines": True, "seed": seed}
    options["targets"] = ["host"]
    path = CACHE / f"baselines-{seed}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yamlio.dump(options), encoding="utf-8")
    return Engine(load(path), Cache(CACHE))


def main() -> None:
    if len(sys.argv) > 1:
        return train(int(sys.argv[1]))
    with ThreadPoolExecutor(2) as pool:
        command = [sys.executable, "-m", "tests.bench.baselines"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        for done in pool.map(lambda s: subprocess.run([*command, str(s)], env=environment, check=True), SEEDS):
            assert done.returncode == 0
    rows = {}
    for seed in SEEDS:
        engine = _engine(seed)
        engine.run(Lines())
        rows[seed] = next(reversed(engine.results.values())).facts.notes["equal_steps"]
    print(results.write("baselines", "make bench-baselines", {"seeds": rows, "gain": _gains(rows)}))
    return None


def _gains(rows: dict[int, dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Distilled less each baseline on the test images, in points: mean over seeds and 95% t-interval."""
    found = {}
    for name in ("cross_entropy", "label_smoothing"):
        gains = [row["distilled"]["test"] - row[name]["test"] for row in rows.values()]
        half = stats.t.ppf(0.975, len(gains) - 1) * stdev(gains) / len(gains) ** 0.5
        found[name] = {"mean": fmean(gains), "low": fmean(gains) - half, "high": fmean(gains) + half}
    return found


if __name__ == "__main__":
    main()
