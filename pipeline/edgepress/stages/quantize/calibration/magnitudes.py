"""Find the largest magnitude of each channel of activations, on the calibration examples."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from .observe import Rows, observe

Array = NDArray[Any]


class Magnitudes:
    """Largest magnitudes of a graph, and of those made from it: each maps (tensor, axis) to float32 (channels,)."""

    def __init__(self, graph: onnx.ModelProto, wanted: Collection[tuple[str, int]]) -> None:
        self.wanted = tuple(wanted)
        self.tensors = {name for name, _ in wanted}
        self.found: dict[tuple[str, int], Array] = {}
        self._graphs = [(graph, self.found, dict[str, Array]())]

    def look(self, values: dict[str, np.ndarray], turn: int) -> list[Array]:
        return [_largest(np.moveaxis(values[name], axis, 0)) for name, axis in self.wanted]

    def take(self, seen: list[Array], turn: int) -> None:
        for key, value in zip(self.wanted, seen, strict=True):
            before = self.found.get(key)
            self.found[key] = value if before is None else np.maximum(before, value, out=before)

    def of(self, graph: onnx.ModelProto) -> dict[tuple[str, int], Array]:
        """Return what is known of this graph."""
        return next((found for known, found, _ in self._graphs if known is graph), {})

    def factors(self, graph: onnx.ModelProto) -> dict[str, Array]:
        """Return tensor → what its channels are divided by in this graph."""
        return next((factors for known, _, factors in self._graphs if known is graph), {})

    def divide(self, graph: onnx.ModelProto, moved: onnx.ModelProto, factors: Mapping[str, Array]) -> None:
        """Note what follows for `moved`, whose channels are those of `graph` divided by factors (channels,)."""
        before = self.factors(graph)
        found = {key: value / factors[key[0]] if key[0] in factors else value for key, value in self.of(graph).items()}
        every = before | {name: factor * before.get(name, np.float32(1)) for name, factor in factors.items()}
        self._graphs.append((moved, found, every))


def magnitudes(
    model: onnx.ModelProto, axes: Mapping[str, int], examples: Rows, known: Magnitudes | None = None
) -> dict[str, Array]:
    """Return tensor → the largest magnitude of each channel on its axis, from `known` where that has it."""
    found = dict(known.of(model)) if known else {}
    if missing := [key for key in axes.items() if key not in found]:
        more = Magnitudes(model, missing)
        observe(model, examples, [more])
        found |= more.found
    return {name: found[name, axis] for name, axis in axes.items()}


def _largest(values: Array) -> Array:
    """Return the largest magnitude of each row; (channels, *any) → (channels,)."""
    rows = values.reshape(len(values), -1)
    return np.maximum(rows.max(1), -rows.min(1))
