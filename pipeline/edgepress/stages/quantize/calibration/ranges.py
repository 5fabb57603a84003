"""Calibrate the activation ranges of a float graph on many examples.

Only min, max and a histogram of each activation are kept, so memory does not grow with the number of examples.

onnxruntime's own percentile and entropy calibrators keep every activation of every example until the last one is in.
Here one example at a time runs through the graph, and each activation leaves its exact lowest and highest value and
counts in a histogram: see `histograms` for what is counted, and `range_estimators` for how a range is taken from it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
import onnx

from ....core.errors import UserError
from .histograms import Histogram
from .observe import Columns, Observer, Rows, Say, observe
from .range_estimators import CLIPS

METHODS = tuple(CLIPS)
"""`minmax`, `percentile`, `entropy` and `mse`."""

Ranges = dict[str, tuple[float, float]]
OPEN = (-math.inf, math.inf)
"""Stands for no range: infinite values, or a few that dwarf all others, as of a mask."""


def ranges(
    model: onnx.ModelProto,
    examples: tuple[np.ndarray, ...] | Rows,
    *,
    methods: Sequence[str] = METHODS,
    tensors: Collection[str] | None = None,
    symmetric: bool = False,
    also: Sequence[Observer] = (),
    say: Say = lambda done, total, words: None,
) -> dict[str, Ranges]:
    """Return method → activation → (low, high), of all float activations of `model` or those in `tensors`.

    One pass over `examples`, which others may observe `also`. With `symmetric`, low is −high. `say` gets the examples
    done, all of them, and words. An activation with infinite values, or with a few that dwarf the others
    (`Histogram.filled`), has the range `OPEN`.
    Raises: UserError for examples that the graph cannot take, and for an activation that is no number, by its name.
    """
    rows = Columns(examples) if isinstance(examples, tuple) else examples
    if len(rows) == 0:
        raise UserError("there are no examples to take ranges from", "the validation split is where they come from")
    observer = _Histograms(model, tensors)
    observe(model, rows, [observer, *also], say)
    return {
        method: {
            name: OPEN if histogram.filled else CLIPS[method](histogram, symmetric) if histogram.seen else (0.0, 0.0)
            for name, histogram in observer.histograms.items()
        }
        for method in methods
    }


class _Histograms:
    """The histogram of each activation."""

    def __init__(self, model: onnx.ModelProto, tensors: Collection[str] | None) -> None:
        self.makers = {name: node for node in model.graph.node for name in node.output}
        self.tensors = tensors
        self.histograms: dict[str, Histogram] = {}

    def look(self, values: dict[str, np.ndarray], turn: int) -> dict[str, Histogram]:
        known = self.histograms  # bins only become wider, so that another thread's last state is as good
        return {
            name: Histogram.of(each, turn, known[name].exponent if name in known else None)
            for name, each in values.items()
            if self.tensors is None or name in self.tensors
        }

    def take(self, seen: dict[str, Histogram], turn: int) -> None:
        for name, histogram in seen.items():
            if histogram.unfit:
                raise self._unfit(name, turn)
            self.histograms.setdefault(name, Histogram()).add(histogram)

    def _unfit(self, name: str, turn: int) -> UserError:
        node = self.makers.get(name)
        tensor = f"`{name}`{f' ({node.op_type})' if node else ''}"
        return UserError(
            f"example {turn} (from 0) makes {tensor} no number, which has no range",
            "the float model computes that too",
        )
