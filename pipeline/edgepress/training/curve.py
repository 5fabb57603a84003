"""Record the course of a training: the loss and the validation metric of each epoch.

A curve shows how a training went and decides nothing: with or without it the weights are the same. It lies beside the
checkpoint, so that a training that was killed goes on with it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import UserError
from ..core.paths import replacing
from ..data.rows import choose
from .inference import score

if TYPE_CHECKING:
    from torch import nn

    from ..core.metric import Metric
    from ..data.dataset import Dataset

MOST = 2000
"""Validation examples that are scored after an epoch, evenly spread over the split, which may be sorted by class."""
SHARE = 0.2
"""Share of a training's time that scoring may take; a slower metric leaves gaps."""
ENDING = ".curve.json"
OWN = ("checkpoint", "distilled")
"""Checkpoints of a stage's own training, whose curve needs no name."""


class Follower:
    """Scores a network after each epoch, while that takes little of the time."""

    def __init__(self, data: Dataset, metric: Metric | None) -> None:
        self.data, self.metric = data, None if metric is None or metric.name == "agreement" else metric
        self.begun, self.spent = time.monotonic(), 0.0
        count = len(data["validation"].y) if self.metric else 0
        self.examples = min(count, MOST)
        if count > MOST:
            import numpy as np

            rows, (x, y) = np.linspace(0, count - 1, MOST).astype(np.int64), data["validation"]
            part = data["validation"]._replace(x=choose(x, rows), y=choose(y, rows))
            self.data = replace(data, splits={**data.splits, "validation": part})

    def __call__(self, module: nn.Module) -> float:
        """Return the metric on validation; no number where scoring is too slow, or the user's function fails."""
        start = time.monotonic()
        if self.metric is None or self.spent > SHARE * (start - self.begun):
            return math.nan
        try:
            return score(module, self.data, "validation", self.metric)
        except UserError:
            return math.nan
        finally:
            self.spent += time.monotonic() - start


def write(checkpoint: Path, losses: list[float], scores: list[float], examples: int) -> None:
    """Write the curve of the training of `checkpoint`."""
    known = scores if any(map(math.isfinite, scores)) else []
    curve = {
        "name": "" if checkpoint.stem in OWN else checkpoint.stem,
        "loss": [round(loss, 6) for loss in losses],
        "metric": [round(value, 6) for value in known],
        "examples": examples if known else 0,
    }
    with replacing(checkpoint.with_suffix(ENDING)) as file:
        file.write_text(json.dumps(curve), encoding="utf-8")


def read(scratch: Path) -> Iterator[dict[str, Any]]:
    """Yield the curves of all trainings of a stage."""
    for path in sorted(scratch.glob(f"*{ENDING}")):
        yield json.loads(path.read_text(encoding="utf-8"))
