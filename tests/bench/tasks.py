"""Is a distilled student better than a plain one, on masks, points, vectors and pictures? Five seeds.

`make bench-tasks` writes tasks.json. The teacher has seen all labels, and the students a few: the plain one learns from
these alone, and a distilled one also from the pictures without labels. All students have the same network, start and
augmentation; the plain one has as many steps, or up to an epoch more. Scores are those of the test split, which decides
nothing: losses have their stages' defaults. Two repetitions run at a time, one thread each; what a killed run has
finished is in the cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from edgepress.core.metrics import DEFAULTS, METRICS

from tests.bench import results
from tests.bench.distill import CACHE, gain, ran

OWN = "../tests/data/scene_tasks.py"
"""Seen from the recipes, which lie in the cache's folder."""
RESNET = {"arch": "timm/resnet18", "args": {"layers": [1, 1, 1, 1], "channels": [24, 36, 48, 64]}, "stride": 16}
TINY = {
    "arch": "timm/resnet18",
    "args": {"layers": [1, 1, 1, 1], "channels": [8, 12, 16, 24], "stem_width": 8},
    "stride": 16,
}
HEAD = {"head_channels": 24}
ESPCN = {"arch": "edgepress/espcn"}
LARGE, SMALL = {"epochs": 30, "lr": 0.004, "batch": 32}, {"lr": 0.01, "batch": 32}
SEEDS = 5

TASKS: dict[str, dict[str, Any]] = {  # `count` training pictures; `epochs` of the distilled students over all of them
    "segmentation": {
        "data": "scenes",
        "count": 1200,
        "labels": 200,
        "epochs": 12,
        "teacher": {"use": "load", "from": "teachers/scenes.safetensors"},
        "student": TINY | HEAD,
        "ways": ["distill.kd", "distill.cwd"],
    },
    "keypoints": {
        "data": {"from": f"{OWN}:points", "args": {"count": 1200}},
        "count": 840,
        "labels": 150,
        "epochs": 12,
        "teacher": {"use": "train", "model": RESNET | HEAD, **LARGE},
        "student": TINY | HEAD,
        "ways": ["distill.kd", "distill.cwd"],
    },
    "embedding": {
        "data": {"from": f"{OWN}:identities", "args": {"known": 120, "count": 1200}},
        "count": 840,
        "labels": 150,
        "epochs": 12,
        "teacher": {"use": "train", "model": RESNET, **LARGE},
        "student": TINY,
        "ways": ["distill.kd"],
    },
    "image": {
        "data": {"from": f"{OWN}:noisy", "args": {"count": 400}},
        "count": 280,
        "labels": 50,
        "epochs": 30,
        "teacher": {"use": "train", "model": ESPCN | {"args": {"width": 32, "depth": 5}}, **LARGE, "epochs": 120},
        "student": ESPCN | {"args": {"width": 8, "depth": 2}},
        "ways": ["distill.kd"],
    },
}


def repetition(task: str, seed: int) -> dict[str, dict[str, float]]:
    """Return the scores of teacher and students, by split, in points; the teacher is the same for all seeds."""
    case = TASKS[task]
    options = {"data": case["data"], "metric": DEFAULTS[task], "seed": 0}
    teacher = ran(f"tasks-{task}-teacher", options, [{"name": "teacher", **case["teacher"]}])
    path = teacher.results["teacher"].artifact.path.resolve()
    student, network = SMALL | {"seed": seed}, case["student"]
    engine = ran(f"tasks-{task}", options | {"labels": case["labels"]}, [
        {"use": "load", "name": "teacher", "from": str(path)},
        {"use": "train", "name": "plain", "model": network, "epochs": plain_epochs(case), **student},
        *({"use": way, "name": way.replace("distill.", ""), "student": network, "teacher": "teacher",
           "epochs": case["epochs"], **student} for way in case["ways"]),
    ])  # fmt: skip
    metric = METRICS[engine.metric.name]
    return {
        split: {
            name: metric.points * each.facts.files[0].scores[split][metric.name]
            for name, each in engine.results.items()
        }
        for split in ("validation", "test")
    }


def plain_epochs(case: dict[str, Any]) -> int:
    """Return the epochs over the labelled examples that have at least the steps of the others over all examples."""
    batch = SMALL["batch"]
    return int(-(-case["epochs"] * (case["count"] // batch) // (case["labels"] // batch)))


def main() -> None:
    if len(sys.argv) == 3:  # a repetition, for its results to come into the cache
        print(sys.argv[1:], repetition(sys.argv[1], int(sys.argv[2])), flush=True)
        return
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    CACHE.mkdir(exist_ok=True)  # paths count from it
    wanted = sys.argv[1:] or list(TASKS)

    def run(job: tuple[str, int]) -> None:
        subprocess.run([sys.executable, "-m", "tests.bench.tasks", job[0], str(job[1])], env=environment, check=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, [(task, 0) for task in wanted]))  # the teachers: each is trained once
        list(pool.map(run, [(task, seed) for task in wanted for seed in range(1, SEEDS)]))
    torch.set_num_threads(1)
    found = {task: _summary([repetition(task, seed) for seed in range(SEEDS)]) for task in wanted}
    earlier = results.read("tasks")["tasks"] if (results.FOLDER / "tasks.json").is_file() else {}
    print(results.write("tasks", "make bench-tasks", {"tasks": earlier | found}, also=["torchvision"]))


def _summary(rows: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Return all rows, and what each way gains over the plain student on the test split."""
    test = [row["test"] for row in rows]
    ways = [name for name in test[0] if name not in ("teacher", "plain")]
    return {"rows": rows, "gain": {way: gain(test, way, "plain") for way in ways}}


if __name__ == "__main__":
    main()
