"""Bound memory and time of a folder of many photos: `python -m tests.bench.streaming N`, into streaming.json.

Peak memory is the proportional set size of the run and its children: pages that processes share count once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import numpy as np
from PIL import Image

from . import results

COMMAND = "make bench-streaming"
CLASSES, SIDE, BATCH, LIMIT = 10, 224, 64, 5000
TIMED, ROUNDS = 5000, 3
ARCH = "mobilenetv3_small_050"
RECIPE = f"""\
name: mine
task: {{data: {{from: ./photos, size: {SIDE}}}}}
stages:
  - {{use: train, name: base, model: {{arch: timm/{ARCH}}}, epochs: 1, batch: {BATCH}}}
"""
EDGEPRESS = [sys.executable, "-m", "edgepress"]


def photos(folder: Path, count: int, side: int = SIDE) -> None:
    """Write `count` JPEGs of smooth noise, some 10 kB each at 224 px, in folders of classes, each 10 grey levels up."""
    random = np.random.default_rng(0)
    for number in range(count):
        small = (random.integers(0, 156, (14, 14, 3)) + 10 * (number % CLASSES)).astype(np.uint8)
        path = folder / f"class{number % CLASSES}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC).save(path, quality=85)


def peak(command: list[str], where: Path) -> tuple[int, float]:
    """Run a command; return the largest memory of its processes together, in bytes, and its seconds."""
    started, most = time.monotonic(), 0
    with subprocess.Popen(command, cwd=where, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = max(most, sum(map(_proportional, _family(process.pid))))
            time.sleep(0.05)
    if process.returncode not in (0, 1, 4):  # budgets, whose verdict does not matter here, may have no file yet
        raise SystemExit(f"{command} ended with {process.returncode}")
    return most, time.monotonic() - started


def _family(pid: int) -> list[int]:
    try:
        children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir()
                    for child in (task / "children").read_text().split()]  # fmt: skip
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *(below for child in children for below in _family(child))]


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def rates(folder: Path) -> dict[str, Any]:
    """Return images a second of `TIMED`, here and by a plain loop over torchvision's ImageFolder, on one network.

    `ROUNDS` pairs one after the other; the ratio is the geometric mean of theirs.
    """
    import timm
    import torch
    from edgepress.data.load import load_dataset
    from edgepress.data.source import Source
    from edgepress.training.examples import Examples, Rows, prefetch
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    def epoch(batches: Any) -> float:
        torch.manual_seed(0)
        network = timm.create_model(ARCH, num_classes=CLASSES).to(memory_format=torch.channels_last)
        optimizer, seen, started = torch.optim.AdamW(network.parameters()), 0, time.monotonic()
        for x, y in batches:
            torch.nn.functional.cross_entropy(network(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
            seen += len(y)
        return seen / (time.monotonic() - started)

    data = load_dataset(Source.model_validate({"from": str(folder), "size": SIDE}), cache=folder.parent / ".edgepress")
    examples = Examples(data, "train", 0)
    how = v2.Compose([v2.Resize(SIDE), v2.CenterCrop(SIDE), v2.ToImage(), v2.ToDtype(torch.float32, scale=True),
                      v2.Normalize(data.input.mean, data.input.std)])  # fmt: skip
    files = ImageFolder(folder, how)
    workers = min(4, os.cpu_count() or 1)
    ours, plain = [], []
    for _ in range(ROUNDS):
        rows = torch.randperm(len(examples))[:TIMED].split(BATCH)
        ours.append(epoch((x, y) for _, (x,), y in prefetch(examples, [Rows(batch, 0) for batch in rows])))
        subset = torch.utils.data.Subset(files, torch.randperm(len(files))[:TIMED].tolist())
        plain.append(epoch(DataLoader(subset, BATCH, shuffle=True, num_workers=workers)))
    ratios = [mine / theirs for mine, theirs in zip(ours, plain, strict=True)]
    return {
        "edgepress": [round(rate, 1) for rate in ours],
        "torchvision": [round(rate, 1) for rate in plain],
        "ratio": round(geometric_mean(ratios), 3),
    }


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        where = Path(name)
        photos(where / "photos", count)
        (where / "mine.yaml").write_text(RECIPE, encoding="utf-8")
        limit = min(LIMIT, count // 4)
        limited, _ = peak([*EDGEPRESS, "run", "mine.yaml", "--limit", str(limit)], where)
        whole, seconds = peak([*EDGEPRESS, "run", "mine.yaml"], where)
        _, plan = peak([*EDGEPRESS, "plan", "mine.yaml"], where)
        found = {
            "images": count, "limit": limit, "peak_bytes": {"limited": limited, "whole": whole},
            "run_seconds": round(seconds, 1), "plan_seconds": round(plan, 2),
            "images_per_second": rates(where / "photos"),
        }  # fmt: skip
    print(found)
    print(results.write("streaming", f"{COMMAND} N={count}", found))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
