"""What distillation and fusion are worth: few labels, unlabelled images, averages of weights, negative controls.

`make bench-distill` writes distill.json. Two repetitions at a time, one thread each; accuracy on the official test
images, which decide nothing: settings are those of the methods' papers, or were chosen on validation. What a killed
run has finished is in the cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from edgepress.config import recipe
from edgepress.core import yamlio
from edgepress.core.document import Document
from edgepress.core.metric_functions import accuracy
from edgepress.core.progress import Lines
from edgepress.data import dataset
from edgepress.data.load import load_dataset
from edgepress.engine.cache import Cache
from edgepress.engine.engine import Engine
from edgepress.models import checkpoint
from edgepress.stages.fuse import rebasin
from edgepress.stages.fuse.mixing import mean
from edgepress.training import Examples, logits, reestimate
from scipy import stats

from tests.bench import results

CACHE = Path(".edgepress")
TINY = {"arch": "timm/resnet18", "args": {"layers": [1, 1, 1, 1], "channels": [8, 16, 24, 32], "stem_width": 8}}
RESNET = {"arch": "timm/resnet18", "args": {"layers": [1, 1, 1, 1], "channels": [16, 32, 64, 128]}, "stride": 8}
TEACHER, STUDENT = RESNET | {"stride": 16}, TINY | {"stride": 16}
STILL = {"flip": False, "shift": 0}


def digits(seed: int) -> dict[str, float]:
    """Digits, 100 labels; the teacher saw all 1,078 of the training split."""
    long = {**STILL, "batch": 32, "epochs": 120, "lr": 0.01}
    train = {"use": "train", "name": "teacher", "model": TINY, **STILL, "batch": 64, "epochs": 15, "lr": 0.02}
    full = ran("digits", {"data": "digits", "seed": seed}, [train])
    teacher = {"use": "load", "name": "teacher", "from": str(full.results["teacher"].artifact.path.resolve())}
    student = {"student": TINY, "teacher": "teacher", "views": 1, "temperature": 4}
    found = ran("digits", {"data": "digits", "labels": 100, "seed": seed}, [
        teacher,
        {"use": "train", "name": "ce", "model": TINY, **long},
        {"use": "train", "name": "smoothing", "model": TINY, "label_smoothing": 0.1, **long},
        {"use": "distill.kd", "name": "kd", **student, **long, "unlabelled": False},
        {"use": "distill.kd", "name": "kd_unlabelled", **student, **long, "epochs": 11},
    ])  # fmt: skip
    return _tested(found)


def unlabelled(seed: int) -> dict[str, float]:
    """Fashion-MNIST, 300 labels; the teacher, which is shipped, saw all 55,000 of the training split.

    So few labels leave much to the settings: those of what learns from labels alone are the best of four by validation,
    and what learns from the teacher's answers to the same images takes them too.
    """
    task = {"data": "fashion-mnist", "labels": 300, "seed": seed}
    ways = {
        f"{'moved' if moved else 'still'}-{lr}": {
            "batch": 32,
            "epochs": 100,
            "lr": lr,
            "flip": moved,
            "shift": 2 * moved,
        }
        for moved in (False, True)
        for lr in (0.002, 0.01)
    }
    tried = ran(
        "unlabelled", task, [{"use": "train", "name": name, "model": STUDENT, **way} for name, way in ways.items()]
    )
    best = _best(tried, list(ways))
    way, student = ways[best], {"student": STUDENT, "teacher": "teacher"}
    views = 8 if way["flip"] else 1
    found = ran("unlabelled", task, [
        {"use": "load", "name": "teacher", "from": "teachers/fashion-a.safetensors"},
        {"use": "train", "name": "smoothing", "model": STUDENT, "label_smoothing": 0.1, **way},
        {"use": "distill.kd", "name": "kd", **student, **way, "temperature": 4, "unlabelled": False, "views": views},
        {"use": "distill.kd", "name": "kd_unlabelled", **student, **STILL, "views": 1, "batch": 64, "epochs": 3,
         "lr": 0.01, "temperature": 1, "ce_weight": 0, "kd_weight": 1},
    ])  # fmt: skip
    return {"ce": _tested(tried)[best], **_tested(found)}


def averages(seed: int) -> dict[str, float]:
    """Two ResNets from independent starts."""
    options = {"model": RESNET, **STILL, "flip": True, "batch": 128, "epochs": 8, "lr": 0.006}
    return _averaged("averages", "fashion-mnist-10k", options, seed)


def shallow(seed: int) -> dict[str, float]:
    """Two networks of two convolutions; after so few layers a mean still has most of its members' variance."""
    model = {"arch": "edgepress/conv1d", "args": {"width": 64, "depth": 2, "kernel": 5}}
    return _averaged("shallow", "sensor", {"model": model, "batch": 128, "epochs": 10, "lr": 0.003}, seed)


def _averaged(name: str, of: str, options: dict[str, Any], seed: int) -> dict[str, float]:
    """Two independent starts, averaged in every way, and as an ensemble."""
    options = {"use": "train", **options}
    engine = ran(name, {"data": of, "seed": 0}, [
        {**options, "name": "one", "seed": 100 + seed},
        {**options, "name": "two", "seed": 200 + seed},
        {"use": "fuse.ensemble", "name": "ensemble", "models": ["one", "two"], "weights": "equal"},
    ])  # fmt: skip
    found = _tested(engine)
    (one, description), (two, _) = (checkpoint.load(engine.results[name].artifact.path) for name in ("one", "two"))
    aligned = rebasin.align(one, two, description.example(), seed)
    for way, other in (("naive", two.state_dict()), ("rebasin", aligned)):
        module = description.build()
        module.load_state_dict(mean([one.state_dict(), other]))
        found[way] = _accuracy(module, engine.data)
        found[f"{way}_bn"] = _accuracy(reestimate(module, engine.data, 0), engine.data)
    return found


def controls(seed: int) -> dict[str, float]:
    """Every method on 2,000 images from a teacher that saw no more than they: where it should not help much."""
    options = {**STILL, "flip": True, "batch": 64, "epochs": 16, "lr": 0.01, "seed": seed}
    student = {"student": STUDENT, "teacher": "teacher", "views": 4, **options}
    layers = {"layer2": "layer2", "layer3": "layer3"}
    found = ran("controls", {"data": "fashion-mnist-10k", "examples": 2000, "seed": 0}, [
        {"use": "train", "name": "teacher", "model": TEACHER, **options, "lr": 0.004},
        {"use": "train", "name": "ce", "model": STUDENT, **options},
        {"use": "train", "name": "smoothing", "model": STUDENT, "label_smoothing": 0.1, **options},
        {"use": "train", "name": "longer", "model": STUDENT, **options, "epochs": 32},
        {"use": "distill.kd", "name": "kd", **student},
        {"use": "distill.kd", "name": "kd_t2", **student, "temperature": 2, "ce_weight": 0.3, "kd_weight": 0.7},
        {"use": "distill.kd", "name": "standardized", **student, "standardize": True},
        {"use": "distill.dkd", "name": "dkd", **student},
        {"use": "distill.dist", "name": "dist", **student},
        {"use": "distill.fitnet", "name": "fitnet", **student, "layers": layers, "pool": True},
        {"use": "distill.at", "name": "at", **student, "layers": layers, "pool": True},
        {"use": "distill.rkd", "name": "rkd", **student},
    ])  # fmt: skip
    return _tested(found)


def soups(seed: int) -> dict[str, float]:
    """Fine-tunes of one start, in every way to mix them, beside the best of them and one run as long as all."""
    options = {**STILL, "flip": True, "batch": 64, "seed": seed}
    tune = {"use": "train", "start": "start", **options, "epochs": 4}
    names = ["a", "b", "c"]
    deltas = {"models": names, "base": "start"}
    found = ran("soups", {"data": "fashion-mnist-10k", "seed": 0}, [
        {"use": "train", "name": "start", "model": STUDENT, **options, "epochs": 10, "lr": 0.01},
        *({**tune, "name": name, "lr": lr, "seed": seed * 10 + k} for k, (name, lr) in
          enumerate(zip(names, (0.001, 0.002, 0.003), strict=True))),
        {**tune, "name": "longer", "epochs": 12, "lr": 0.003},
        {"use": "fuse.soup.uniform", "name": "uniform", "models": names},
        {"use": "fuse.soup.greedy", "name": "greedy", "models": names},
        {"use": "fuse.slerp", "name": "slerp", "models": names[:2]},
        {"use": "fuse.model_stock", "name": "model_stock", **deltas},
        {"use": "fuse.ties", "name": "ties", **deltas},
        {"use": "fuse.dare", "name": "dare", **deltas},
        {"use": "fuse.task_arithmetic", "name": "task_arithmetic", **deltas},
        {"use": "fuse.ensemble", "name": "ensemble", "models": names},
    ])  # fmt: skip
    tested = _tested(found)
    return {**tested, "best_single": tested[_best(found, names)]}


PARTS: dict[str, tuple[Callable[[int], dict[str, float]], int]] = {
    "digits": (digits, 10),
    "unlabelled": (unlabelled, 5),
    "averages": (averages, 5),
    "shallow": (shallow, 10),
    "controls": (controls, 3),
    "soups": (soups, 3),
}
"""Name → what a repetition finds, and how many there are."""


def ran(name: str, task: dict[str, Any], stages: list[dict[str, Any]]) -> Engine:
    options = {"name": f"bench-{name}", "task": task, "stages": stages, "targets": []}
    document = yamlio.parse(Document(CACHE / f"bench-{name}.yaml", yamlio.dump(options)))
    engine = Engine(recipe.checked(document), Cache(CACHE))
    engine.run(Lines(metric=engine.metric.name, error=not engine.metric.higher))
    return engine


def _tested(engine: Engine) -> dict[str, float]:
    """Points on the test images, by stage."""
    return {name: 100 * each.facts.files[0].scores["test"]["accuracy"] for name, each in engine.results.items()}


def _best(engine: Engine, names: list[str]) -> str:
    """The one that validation favours."""
    return max(names, key=lambda name: engine.results[name].facts.files[0].scores["validation"]["accuracy"])


@cache
def _examples(name: str) -> Examples:
    return Examples(load_dataset(name), "test", 0)


def _accuracy(module: torch.nn.Module, of: dataset.Dataset) -> float:
    return 100 * accuracy(logits(module, _examples(of.name)), of["test"].y)


def gain(rows: list[dict[str, float]], mine: str, theirs: str) -> dict[str, float]:
    """Points of one less the other: mean over repetitions and 95% t-interval of the pairs."""
    gains = [row[mine] - row[theirs] for row in rows]
    half = float(stats.t.ppf(0.975, len(gains) - 1)) * stdev(gains) / len(gains) ** 0.5
    return {"mean": fmean(gains), "low": fmean(gains) - half, "high": fmean(gains) + half}


def main() -> None:
    if len(sys.argv) == 3:  # a repetition, for its results to come into the cache
        PARTS[sys.argv[1]][0](int(sys.argv[2]))
        return
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    wanted = sys.argv[1:] or list(PARTS)
    jobs = [(part, seed) for part in wanted for seed in range(PARTS[part][1])]

    def run(job: tuple[str, int]) -> None:
        command = [sys.executable, "-m", "tests.bench.distill", job[0], str(job[1])]
        subprocess.run(command, env=environment, check=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, jobs))
    torch.set_num_threads(1)
    found = {part: [PARTS[part][0](seed) for seed in range(PARTS[part][1])] for part in wanted}
    earlier = results.read("distill")["rows"] if (results.FOLDER / "distill.json").is_file() else {}
    print(results.write("distill", "make bench-distill", {"rows": earlier | found}, also=["accelerate"]))


if __name__ == "__main__":
    main()
