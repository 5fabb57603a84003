"""Result files of the benchmarks: what was measured, where, with which versions, and by which command."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgepress.core.machine import instructions, machine, versions
from edgepress.core.paths import replacing

FOLDER = Path(__file__).parent
DISTRIBUTIONS = ("torch", "timm", "torch-pruning", "onnx", "onnxruntime", "onnxsim", "ai-edge-litert", "numpy")


def write(name: str, command: str, found: dict[str, Any], also: Iterable[str] = ()) -> Path:
    """Write `tests/bench/NAME.json`, with the versions of `DISTRIBUTIONS` and of `also`."""
    here = machine()
    stamp = {
        "command": command,
        "date": datetime.date.today().isoformat(),
        "machine": {"cpu": here.cpu, "instructions": instructions(here), "cores": here.cores, "system": here.system},
        "versions": versions([*DISTRIBUTIONS, *also]),
    }
    path = FOLDER / f"{name}.json"
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(stamp | found, indent=1) + "\n", encoding="utf-8")
    return path


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found
