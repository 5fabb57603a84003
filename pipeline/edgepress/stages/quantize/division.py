"""Divide validation examples: some to take ranges from, others held out to decide by."""

from __future__ import annotations

import math

import numpy as np
import onnx

from ...core.errors import UserError
from .static import too_few

HELD = 512
"""Validation examples, beside those that ranges come from, that decide what is kept."""
_OUTPUTS, _LEAST_OUTPUTS = 2**28, 16
"""Bytes of held-out outputs that are maps, or without classes; and the fewest examples."""
_SPREAD = 16
"""Calibration examples that come first are as far apart in their split: statistics may be of the first ones alone."""
LEAST_HELD = 0.25
"""Of the examples, where there are too few for both."""


def divided(count: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide `count` validation examples into rows for calibration and held-out rows.

    Neither is empty. Both spread evenly over the split, which may be sorted by class, and so do the first rows for
    calibration. Raises: UserError for fewer than two.
    """
    if count < 2:
        raise UserError(*too_few(count))
    seen = spread(count, min(samples, max(1, int(count * (1 - LEAST_HELD)))))
    rest = np.setdiff1d(np.arange(count), seen)
    seen = seen[np.argsort(np.arange(len(seen)) % _SPREAD, kind="stable")]
    return seen, rest[spread(len(rest), HELD)]


def fitting(graph: onnx.GraphProto) -> int:
    """Return of how many examples the outputs of `graph` fit into memory, several times."""
    sides = [[axis.dim_value for axis in value.type.tensor_type.shape.dim] for value in graph.output]
    return max(_LEAST_OUTPUTS, _OUTPUTS // sum(4 * max(math.prod(each), 1) for each in sides))


def spread(count: int, most: int) -> np.ndarray:
    """Return up to `most` rows of `count`, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
