"""Other quantizers, each called as its documentation says; they run in environments of their own, `.venv-peers`.

A module reads a job from stdin, `{"source": FILE, "calibration": FILE.npz, "out": FILE, "options": {…}}`, and writes
`out`. The arrays of the `.npz` are (n, *shape), one for each input of the model in its order.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from edgepress.benchmark.worker import peak


@dataclass(frozen=True)
class Job:
    source: Path
    out: Path
    rows: list[list[np.ndarray]]
    """Calibration examples, each a batch of one for every input."""
    options: dict[str, Any]
    started: float
    """When the examples were read, after the imports."""

    @classmethod
    def read(cls) -> Job:
        said = json.load(sys.stdin)
        with np.load(said["calibration"]) as stored:
            columns = [stored[name] for name in stored.files]
        rows = [[value[None] for value in row] for row in zip(*columns, strict=True)]
        return cls(Path(said["source"]), Path(said["out"]), rows, said["options"], time.monotonic())

    def done(self) -> None:
        """Write the seconds that it took, and the peak bytes of this process, beside the file."""
        self.out.with_suffix(".seconds").write_text(f"{time.monotonic() - self.started:.1f}", encoding="utf-8")
        self.out.with_suffix(".memory").write_text(f"{peak()}", encoding="utf-8")
