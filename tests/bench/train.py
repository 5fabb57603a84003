"""Is the training loop as fast as a plain one, and distilling from kept answers as fast as training on labels?

`make bench-train` writes train.json: epochs of the same network on the same images, in turns, on an idle machine.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.models.description import Network
from edgepress.tasks import TASKS
from edgepress.training import Rows, Schedule, fit, seeded
from scipy import stats
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import v2

from tests.bench import results

PAIRS = 7
IMAGES, BATCH = 3000, 64
NETWORKS = {
    "ResNet": {"arch": "timm/resnet18", "args": {"layers": [1, 1, 1, 1], "channels": [16, 32, 64, 128]}, "stride": 8},
    "MobileNetV2-0.5": {"arch": "timm/mobilenetv2_050"},
    "MobileNetV3-Small": {"arch": "timm/tf_mobilenetv3_small_minimal_100", "args": {"pad_type": ""}},
}


def plain(network: Network, found: Dataset, *, augment: bool) -> float:
    """Seconds of an epoch as a tutorial writes it: DataLoader, cross-entropy, AdamW, a one-cycle schedule."""
    module = _fresh(network, found)
    x = torch.from_numpy(found.input.to_model_inputs(found["train"].x))
    y = torch.from_numpy(found["train"].y)
    changed = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomCrop(28, 2, padding_mode="edge")])
    rows: Any = _Changed(x, y, changed) if augment else TensorDataset(x, y)
    loader = DataLoader(rows, BATCH, shuffle=True, drop_last=True)
    optimizer = torch.optim.AdamW(module.parameters(), 3e-3)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=len(loader) + 1)
    module.train()
    started = time.perf_counter()
    for images, labels in loader:
        loss = functional.cross_entropy(module(images.contiguous(memory_format=torch.channels_last)), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()
    return time.perf_counter() - started


class _Changed(torch.utils.data.Dataset):
    def __init__(self, x: torch.Tensor, y: torch.Tensor, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.x, self.y, self.change = x, y, change

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.change(self.x[row]), self.y[row]


def ours(network: Network, found: Dataset, *, augment: bool, teacher: torch.Tensor | None = None) -> float:
    """Seconds of an epoch here, from the first line to the checkpoint."""
    module = _fresh(network, found)

    def loss(z: torch.Tensor, y: torch.Tensor, rows: Rows) -> torch.Tensor:
        hard = functional.cross_entropy(z, y)
        return hard if teacher is None else 0.1 * hard + 0.9 * TASKS["single-label"].kd(z, teacher[rows.index], 4.0)

    schedule = Schedule(epochs=1, batch=BATCH, flip=augment, shift=2 if augment else 0)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        fit(module, found, loss, schedule, seed=0, checkpoint=Path(folder, "c.pt"), say=lambda a, b, c: None)
        return time.perf_counter() - started


def _fresh(network: Network, found: Dataset) -> nn.Module:
    with seeded(0):
        return network.describe(found).build()


def ratio(one: Callable[[], float], other: Callable[[], float]) -> dict[str, Any]:
    """How many times as long one takes as the other: in turns, the geometric mean and its 95% t-interval."""
    one(), other()
    pairs = [(one(), other()) if k % 2 else (other(), one())[::-1] for k in range(PAIRS)]
    logs = [math.log(a / b) for a, b in pairs]
    half = float(stats.t.ppf(0.975, PAIRS - 1)) * stdev(logs) / PAIRS**0.5
    low, mean, high = (math.exp(fmean(logs) + side) for side in (-half, 0, half))
    return {"ratio": mean, "low": low, "high": high, "images_a_second": IMAGES / min(a for a, _ in pairs)}


def main() -> None:
    found = load_dataset("fashion-mnist-10k").limited(IMAGES)
    teacher = torch.randn(len(found["train"].y), 10)
    rows = {}
    for name, options in NETWORKS.items():
        network = Network.model_validate(options)
        bare, changed, taught, usual, usual_changed = (
            partial(run, network, found, **options)
            for run, options in (
                (ours, {"augment": False}), (ours, {"augment": True}), (ours, {"augment": True, "teacher": teacher}),
                (plain, {"augment": False}), (plain, {"augment": True}),
            )
        )  # fmt: skip
        rows[name] = {
            "as they are": ratio(bare, usual),
            "mirrored and moved": ratio(changed, usual_changed),
            "distilled": ratio(taught, changed),
        }
        print(name, rows[name])
    measured = {"threads": torch.get_num_threads(), "pairs": PAIRS, "images": IMAGES, "batch": BATCH, "rows": rows}
    print(results.write("train", "make bench-train", measured, also=["accelerate"]))


if __name__ == "__main__":
    main()
