"""Other quantizers, each asked as its documentation says; they run in an environment of their own, `.venv-peers`.

A module reads a job from stdin, `{"source": FILE, "calibration": FILE.npz, "out": FILE, "options": {…}}`, and writes
`out`. The arrays of the `.npz` are (n, *shape), one for each input of the model in its order.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Job:
    source: Path
    out: Path
    rows: list[list[np.ndarray]]
    """Calibration examples, each a batch of one for every input."""
    options: dict[str, Any]

    @classmethod
    def read(cls) -> Job:
        said = json.load(sys.stdin)
        with np.load(said["calibration"]) as stored:
            columns = [stored[name] for name in stored.files]
        rows = [[value[None] for value in row] for row in zip(*columns, strict=True)]
        return cls(Path(said["source"]), Path(said["out"]), rows, said["options"])
