"""How much faster is a GPU than the CPU? `make bench-gpu` writes gpu.json; without a GPU it says so and writes nothing.

A distillation step, a teacher's pass over the training examples and an evaluation, each in a process of its own:
`python -m tests.bench.gpu DEVICE` prints the images a second as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from edgepress.core.metrics import METRICS
from edgepress.data.load import load_dataset
from edgepress.models.description import Network
from edgepress.tasks import TASKS
from edgepress.training import Examples, Rows, Schedule, device, fit, logits, seeded
from edgepress.training.inference import score_points

from tests.bench import results

IMAGES, BATCH, TURNS = 4096, 256, 3
STUDENT, TEACHER = {"arch": "timm/mobilenetv2_050"}, {"arch": "timm/resnet18"}


def rates() -> dict[str, Any]:
    """Images a second on the device that `accelerate` chooses here, the best of a few turns after a first one."""
    data = load_dataset("fashion-mnist-10k").limited(IMAGES)
    examples, count = Examples(data, "train", 0), len(data["train"].y)
    with seeded(0):
        student, teacher = (Network.model_validate(each).describe(data).build() for each in (STUDENT, TEACHER))
    outputs = torch.from_numpy(logits(teacher, examples))

    def loss(z: torch.Tensor, y: torch.Tensor, rows: Rows) -> torch.Tensor:
        return TASKS["single-label"].kd(z, outputs[rows.index].to(z.device), 4.0)

    def distil() -> None:
        with tempfile.TemporaryDirectory() as folder:
            schedule = Schedule(epochs=1, batch=BATCH)
            fit(student, data, loss, schedule, seed=0, checkpoint=Path(folder, "c.pt"), say=lambda a, b, c: None)

    works: dict[str, tuple[int, Callable[[], object]]] = {
        "distillation": (count // BATCH * BATCH, distil),
        "teacher": (count, lambda: logits(teacher, examples)),
        "evaluation": (len(data["test"].y), lambda: score_points(student, data, "test", METRICS["accuracy"])),
    }
    found = {name: images / min(map(_seconds, [work] * (TURNS + 1))) for name, (images, work) in works.items()}
    return {"device": str(device.best()), "images_a_second": found}


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started  # outputs and weights have come back to the CPU: nothing is in flight


def main() -> None:
    if not torch.cuda.is_available():
        print("no GPU at hand: gpu.json is left as it is")
        return
    rows: dict[str, Any] = {}
    for name in ("cpu", "cuda"):
        environment = os.environ | {"ACCELERATE_USE_CPU": str(name == "cpu").lower()}
        command = [sys.executable, "-m", "tests.bench.gpu", name]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        rows[name] = json.loads(done.stdout)
    measured = {"gpu": torch.cuda.get_device_name(), "images": IMAGES, "batch": BATCH, "rows": rows}
    print(results.write("gpu", "make bench-gpu", measured, also=["accelerate"]))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(rates()))
    else:
        main()
