"""Bound the memory of stages by the number of examples: `python -m tests.bench.memory N…`, into memory.json.

Each row is the largest memory of a run whose earlier stages are in the cache, its evaluation included. Counts that are
not named keep what was measured before.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import results
from .streaming import CLASSES, EDGEPRESS, peak, photos

COMMAND = "make bench-memory"
SIDE = 64
FLAT = 200e6
"""Bytes by which the peaks of one stage may differ."""
SMALL = {"arch": "timm/resnet18", "args": {"layers": [1, 1, 1, 1], "channels": [16, 24, 32, 64]}}
DISTILL = {"use": "distill.kd", "teacher": "base", "student": SMALL, "views": 1, "epochs": 1, "batch": 64}
STAGES: dict[str, dict[str, Any]] = {
    "train": {"use": "train", "name": "base", "model": SMALL, "epochs": 1, "batch": 64},
    "distill.kd": DISTILL | {"name": "student"},
    "distill.kd, teacher kept on disk": DISTILL | {"name": "kept", "seed": 1},
    "distill.kd, teacher live": DISTILL | {"name": "live", "seed": 2},
    "prune.channels": {
        "use": "prune.channels", "name": "small", "input": "base", "ratio": "30%", "finetune": {"epochs": 1},
    },
    "export.onnx": {"use": "export.onnx", "name": "float", "input": "small"},
    "quantize.static": {"use": "quantize.static", "name": "int8", "input": "float"},
    "convert.tflite": {"use": "convert.tflite", "name": "tflite", "input": "int8"},
}  # fmt: skip

ON_DISK = "from edgepress.stages.distill import kept, teachers; teachers.IN_MEMORY = 0"
LIVE = "from types import SimpleNamespace as S; kept.shutil = S(disk_usage=lambda path: S(free=0))"
FORCED = {"distill.kd, teacher kept on disk": [ON_DISK], "distill.kd, teacher live": [ON_DISK, LIVE]}
"""What is run before a stage: outputs of ten classes are then treated as those too large for memory, or the disk."""


def _command(about: str) -> list[str]:
    program = "; ".join([*FORCED.get(about, []), "from edgepress.__main__ import main; main()"])
    return [sys.executable, "-c", program] if about in FORCED else EDGEPRESS


def peaks(count: int) -> dict[str, int]:
    """Return the peak of each stage in bytes, on `count` pictures."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        where = Path(name)
        photos(where / "photos", count, SIDE)
        stages: list[dict[str, Any]] = []
        for about, stage in STAGES.items():
            stages.append(stage)
            recipe = {"name": "mine", "task": {"data": {"from": "./photos", "size": SIDE}}, "stages": stages}
            (where / "mine.yaml").write_text(json.dumps(recipe), encoding="utf-8")
            found[about], seconds = peak([*_command(about), "run", "mine.yaml"], where)
            print(f"{count:>7} {about}: {found[about] / 1e6:.0f} MB, {seconds:.0f} s", flush=True)
    return found


def main(counts: list[int]) -> None:
    by_count = measured()
    for count in counts:
        by_count[count] = peaks(count)
        print(results.write("memory", COMMAND, table(by_count)), flush=True)


def measured() -> dict[int, dict[str, int]]:
    """Return the peak of each stage by the number of pictures, of the result file."""
    if not (results.FOLDER / "memory.json").is_file():
        return {}
    found = results.read("memory")
    peaks_of = {row["stage"]: row["peak_bytes"] for row in found["rows"]}
    return {count: {stage: peaks_of[stage][str(count)] for stage in STAGES} for count in found["counts"]}


def table(by_count: dict[int, dict[str, int]]) -> dict[str, Any]:
    counts = sorted(by_count)
    rows = []
    for stage in STAGES:
        peak_bytes = {str(count): by_count[count][stage] for count in counts}
        flat = max(peak_bytes.values()) - min(peak_bytes.values()) < FLAT
        rows.append({"stage": stage, "peak_bytes": peak_bytes, "flat": flat})
    return {"side": SIDE, "classes": CLASSES, "counts": counts, "rows": rows}


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [1_000, 10_000, 100_000])
