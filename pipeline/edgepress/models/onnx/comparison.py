"""Compare a simplified graph with the file that it was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ...core.activity import begun
from ...core.columns import flat, split
from ..output_shape import of_examples
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
    names: Sequence[str]
    forms: Sequence[Form]
    columns: tuple[np.ndarray, ...]
    filled: Mapping[str, np.ndarray]
    half: bool = False

    @cached_property
    def outputs(self) -> dict[str, np.ndarray]:
        """Float32 (n, numbers) of each output, as onnxruntime runs the file by default."""
        return self._stacked(self._rows)

    @cached_property
    def _unoptimized(self) -> dict[str, np.ndarray]:
        return self._stacked(self._run("none"))

    def excess(self, outputs: np.ndarray) -> float:
        """Return the largest difference from the file, as a share of what is tolerated; at most 1 is the same."""
        columns = self._by_name(outputs)
        return float(np.max([self._excess(name, columns[name]) for name in self.names]))  # NaN if one is, unlike max

    def share(self, outputs: np.ndarray) -> float:
        """Return the largest difference from the file, as a share of the output's largest number."""
        return float(np.max([self._away(name, column) for name, column in self._by_name(outputs).items()]))

    def _by_name(self, outputs: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(self.names, map(flat, split(outputs).values()), strict=True))

    def _away(self, name: str, outputs: np.ndarray) -> float:
        known = np.isfinite(self.outputs[name])
        expected = np.where(known, self.outputs[name], 0.0)
        return float(np.abs(np.where(known, outputs - expected, 0.0)).max() / max(float(np.abs(expected).max()), 1e-6))

    def _excess(self, name: str, outputs: np.ndarray) -> float:
        known = np.isfinite(self.outputs[name])
        expected = np.where(known, self.outputs[name], 0.0).astype(np.float64)
        largest = np.abs(expected).max(axis=0)
        tolerated = TOLERANCE * largest + _OF_LARGEST * largest.max(initial=0) + _ABSOLUTE
        tolerated = tolerated * (_HALF if self.half else 1.0)
        away = np.where(known, np.abs(outputs - expected), 0.0)
        share = float((away / tolerated).max(initial=0))
        if share <= 1:
            return share
        spread = np.where(known, np.abs(self._unoptimized[name] - expected), 0.0).max(axis=0)
        return float((away / np.maximum(tolerated, _SPREAD * spread)).max())

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each output for one example, the batch of 1 included."""
        return {name: rows[0].shape for name, rows in self._rows.items()}

    @cached_property
    def _rows(self) -> dict[str, list[np.ndarray]]:
        return self._run(None)

    def _run(self, level: str | None) -> dict[str, list[np.ndarray]]:
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
        results = [self._row(session, names, row) for row in begun(zip(*self.columns, strict=True))]
        return {name: [result[place] for result in results] for place, name in enumerate(self.names)}

    def _row(self, session: Any, names: list[str], row: tuple[np.ndarray, ...]) -> list[np.ndarray]:
        values = (form.original(value[None]) for form, value in zip(self.forms, row, strict=True))
        feed = dict(zip(names, values, strict=True))
        outputs: list[np.ndarray] = session.run([*self.names], feed | dict(self.filled))
        return outputs

    def _stacked(self, columns: Mapping[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
        """Stack the outputs of the examples. Raises: UserError where their shapes differ, or one is empty."""
        for name, rows in columns.items():
            shapes = list(dict.fromkeys(row.shape for row in rows))
            if len(shapes) > 1 or 0 in shapes[0]:
                raise of_examples(self.source, name, shapes)
        return {name: np.stack([row.reshape(-1) for row in rows]).astype(np.float32) for name, rows in columns.items()}
