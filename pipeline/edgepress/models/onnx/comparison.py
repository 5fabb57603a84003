"""Compare a simplified graph with the file that it was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ...core.activity import runs
from .export import TOLERANCE
from .input_form import Form

_OF_LARGEST, _ABSOLUTE = 1e-4, 1e-6
"""Differences that say nothing: of an output that is nearly 0 beside large ones, and where all are nearly 0."""
_SPREAD = 2.0
"""How much farther than the file from itself, at another level of onnxruntime, the graph may be from the file."""
_HALF = 10.0
"""How many times as far from a file in float16 a graph may be that computes in float32."""


@dataclass(frozen=True)
class Original:
    """The file as it came, run on `columns`, which its `forms` bring to what its inputs take; others are `filled`."""

    source: Path
    output: str
    forms: Sequence[Form]
    columns: tuple[np.ndarray, ...]
    filled: Mapping[str, np.ndarray]
    half: bool = False

    @cached_property
    def outputs(self) -> np.ndarray:
        """Float32 (n, outputs), as onnxruntime runs the file by default."""
        return self._run(None)

    def excess(self, outputs: np.ndarray) -> float:
        """Return the largest difference from the file, as a share of what is tolerated; at most 1 is the same."""
        known = np.isfinite(self.outputs)
        expected = np.where(known, self.outputs, 0.0).astype(np.float64)
        largest = np.abs(expected).max(axis=0)
        tolerated = TOLERANCE * largest + _OF_LARGEST * largest.max(initial=0) + _ABSOLUTE
        tolerated = tolerated * (_HALF if self.half else 1.0)
        away = np.where(known, np.abs(outputs - expected), 0.0)
        share = float((away / tolerated).max(initial=0))
        if share <= 1:
            return share
        spread = np.where(known, np.abs(self._run("none") - expected), 0.0).max(axis=0)
        return float((away / np.maximum(tolerated, _SPREAD * spread)).max())

    def _run(self, level: str | None) -> np.ndarray:
        import onnxruntime

        model = onnx.load(self.source)  # with weights that lie beside it, at which onnxruntime fails to tell shapes
        for value in model.graph.input:
            for axis in value.type.tensor_type.shape.dim:
                if axis.dim_value <= 0:  # some exporters write 0 for an open axis
                    axis.ClearField("dim_value")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        if level == "none":
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = [entry.name for entry in session.get_inputs() if entry.name not in self.filled]
        results = [self._row(session, names, row) for row in zip(runs(self.columns[0]), *self.columns[1:], strict=True)]
        return np.stack(results).astype(np.float32)

    def _row(self, session: Any, names: list[str], row: tuple[np.ndarray, ...]) -> Any:
        values = (form.original(value[None]) for form, value in zip(self.forms, row, strict=True))
        feed = dict(zip(names, values, strict=True))
        return session.run([self.output], feed | dict(self.filled))[0].reshape(-1)
