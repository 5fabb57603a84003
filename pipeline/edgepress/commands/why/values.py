"""Compute tensors of a graph on examples, one after the other, and how like those of two graphs are.

Integer graphs are computed in float between their roundings, so that the numbers are of the format and not of a
processor's kernels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from ...core import likeness
from ...core.activity import begun
from ...core.explained import MOST_DECIBELS, Likeness
from .cones import Graph, with_outputs

Columns = tuple[np.ndarray, ...]


@dataclass
class Sums:
    """Energies of the expected and the found tensor, their product, and the noise, over examples."""

    expected: float = 0.0
    found: float = 0.0
    product: float = 0.0
    noise: float = 0.0

    def add(self, expected: np.ndarray, found: np.ndarray) -> None:
        e, o = expected.astype(np.float64).ravel(), found.astype(np.float64).ravel()
        self.expected += float(e @ e)
        self.found += float(o @ o)
        self.product += float(e @ o)
        self.noise += float(((o - e) ** 2).sum())

    @property
    def likeness(self) -> Likeness:
        length = np.sqrt(self.expected * self.found)
        cosine = float(np.clip(self.product / length, -1, 1)) if np.isfinite(length) and length > 0 else None
        value = likeness.decibels(self.expected, self.noise)
        return Likeness(sqnr=round(max(np.nan_to_num(value, nan=-MOST_DECIBELS), -MOST_DECIBELS), 2), cosine=cosine)


def giving(graph: Graph, names: Sequence[str]) -> onnx.ModelProto:
    """Return the graph with these outputs, and no others."""
    return with_outputs(graph.model, names, only=True)


def values(model: onnx.ModelProto, columns: Columns) -> Iterator[list[np.ndarray]]:
    """Yield the outputs for each example, in the graph's order, computed as the graph is written."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    for row in begun(zip(*columns, strict=True)):
        yield session.run(None, {name: value[None] for name, value in zip(names, row, strict=True)})


def compared(expected: Iterable[list[np.ndarray]], found: Iterable[list[np.ndarray]]) -> list[Sums]:
    """Return the sums of each tensor over the examples."""
    total: list[Sums] = []
    for wanted, given in zip(expected, found, strict=True):
        total = total or [Sums() for _ in wanted]
        for sums, first, second in zip(total, wanted, given, strict=True):
            sums.add(first, second)
    return total
