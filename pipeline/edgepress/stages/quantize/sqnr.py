"""Measure SQNR of a plan on held-out examples, against the float graph.

SQNR = 10 · log10(signal / noise) in dB. Held-out examples are not used for ranges.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx

from ...core import likeness
from ...core.columns import joined
from ...core.machine import machine
from ...core.paths import scratch
from ...core.presets import PRESETS, Preset, saturates
from ...core.threads import at_most, in_order
from ...models import session
from .calibration.observe import Rows
from .qdq import Plan, written

Columns = tuple[np.ndarray, ...]

_REMEMBERED = 2
"""Plans whose graphs and outputs are kept: the best so far, and the one that is tried."""


@dataclass
class _Trial:
    plan: Plan
    preset: Preset
    model: onnx.ModelProto
    outputs: np.ndarray | None = None
    below: float = np.inf
    """A bound of its SQNR, where some examples sufficed."""


@dataclass(frozen=True)
class Evidence:
    """Inputs of the graph: ranges come from the examples in `seen`, decisions from those in `held`."""

    model: onnx.ModelProto
    seen: Rows
    held: Columns
    grouped: bool = False
    """Whether outputs are judged by channel group: those of a label task are one vector."""

    @cached_property
    def expected(self) -> np.ndarray:
        return run_model(self.model, self.held)

    def sqnr(self, plan: Plan, least: float = -np.inf) -> float:
        """Return the SQNR of the plan in dB, of the float outputs over the error of the integers; more is better.

        If it is not above `least`, a bound that it does not reach either: errors add up, so that it ends with the
        example from which on they are too large.
        """
        trial = self._trial(plan, PRESETS["xnnpack"])
        if trial.outputs is None and trial.below > least:
            trial.outputs, trial.below = self._bounded(trial.model, least)
        return trial.below if trial.outputs is None else self.decibels(trial.outputs)

    def _bounded(self, model: onnx.ModelProto, least: float) -> tuple[np.ndarray | None, float]:
        """Return the outputs for the held-out examples; or None, and a bound of the SQNR that is at most `least`."""
        outputs, noise = np.empty_like(self.expected), np.zeros(len(self.groups) if self.grouped else 1)
        with closing(_rows(model, self.held)) as rows:
            for at, row in enumerate(rows):
                outputs[at] = row[0]
                noise += self._noise(row, at)
                if (bound := self._bound(noise)) <= least:
                    return None, bound
        return outputs, np.inf

    def outputs(self, plan: Plan, preset: Preset = PRESETS["xnnpack"]) -> np.ndarray:
        """Return the outputs of the plan for the held-out examples."""
        known = self._trial(plan, preset)
        if known.outputs is None:
            known.outputs = run_model(known.model, self.held)
        return known.outputs

    def written(self, plan: Plan, preset: Preset = PRESETS["xnnpack"]) -> onnx.ModelProto:
        """Return the graph that `qdq.written` makes of the plan, to be read only."""
        return self._trial(plan, preset).model

    def _trial(self, plan: Plan, preset: Preset) -> _Trial:
        """Look the plan up among the last ones: step after step asks for the best so far."""
        known = next((each for each in self._trials if each.plan is plan and each.preset == preset), None)
        if known is None:
            known = _Trial(plan, preset, written(plan, preset))
        self._trials[:] = [known, *(each for each in self._trials if each is not known)][:_REMEMBERED]
        return known

    @cached_property
    def _trials(self) -> list[_Trial]:
        return []

    def decibels(self, outputs: np.ndarray, count: int | None = None) -> float:
        """Return the SQNR of outputs for the held-out examples, or the first `count` of them.

        Where there are no classes it is that of the worst channel group, so that no group drowns another.
        """
        if self.grouped:
            sums = likeness.parts(outputs[:count], self.expected[:count], self.groups).sum(0)
            return likeness.worst_decibels(sums)
        return decibels(self.expected[:count], outputs[:count])

    def _noise(self, outputs: np.ndarray, at: int) -> np.ndarray:
        """Return the squared error of the outputs (1, *shape) for one example, of each channel group."""
        expected = self.expected[at : at + 1]
        if self.grouped:
            return np.asarray(likeness.parts(outputs, expected, self.groups)[0, :, likeness.NOISE])
        return np.array([((outputs - expected) ** 2).sum(dtype=np.float64)])

    def _bound(self, noise: np.ndarray) -> float:
        """Return the SQNR of outputs with this squared error of each channel group."""
        if self.grouped:
            sums = self._sums.copy()
            sums[:, likeness.NOISE] = noise
            return likeness.worst_decibels(sums)
        return likeness.decibels(self._energy, float(noise.sum()))

    @cached_property
    def _energy(self) -> float:
        return float((self.expected**2).sum(dtype=np.float64))

    @cached_property
    def _sums(self) -> np.ndarray:
        """Sums of the float outputs over themselves, for each channel group; see `likeness.parts`."""
        return likeness.parts(self.expected, self.expected, self.groups).sum(0)

    @cached_property
    def drowned(self) -> dict[str, list[str]]:
        """Output → nodes in float that keep its channel groups apart; see `apart`."""
        from .apart import drowned

        return drowned(self) if self.grouped else {}

    @property
    def apart(self) -> frozenset[str]:
        return frozenset(name for names in self.drowned.values() for name in names)

    @cached_property
    def groups(self) -> list[likeness.Group]:
        return likeness.groups(self.expected, self.model.graph.output[0].name)


def run_model(model: onnx.ModelProto, columns: Columns) -> np.ndarray:
    """Run a graph in memory, its outputs as those of `predict`, by kernels that are fast and saturate no sums.

    On x86 they may fall to the other side of a rounding; signed ones would not, and are several times as slow there.
    """
    with _file(model) as path:
        return joined(session.run_file("onnxruntime", path, columns, _kernels(), threads=at_most()))


def _rows(model: onnx.ModelProto, columns: Columns) -> Generator[np.ndarray, None, None]:
    """Yield what `run_model` returns, example by example: each (1, *shape)."""
    with _file(model) as path:
        for row in session.outputs("onnxruntime", path, columns, _kernels(), threads=at_most()):
            yield joined({name: session.stacked(name, [row]) for name in list(row)})


def _kernels() -> session.Kernels:
    return "none" if saturates(machine()) else "usual"


@contextmanager
def _file(model: onnx.ModelProto) -> Iterator[str]:
    with scratch() as work:
        path = str(Path(work, "model.onnx"))
        onnx.save(model, path)
        yield path


def decibels(expected: np.ndarray, outputs: np.ndarray) -> float:
    """Return 10 · log10(signal / noise), at most 120."""
    noise = float(((outputs - expected) ** 2).sum(dtype=np.float64))
    return likeness.decibels(float((expected**2).sum(dtype=np.float64)), noise)


def watched(
    model: onnx.ModelProto, names: list[str], rows: Iterable[tuple[np.ndarray, ...]]
) -> Iterator[list[np.ndarray]]:
    """Return the values of tensors of a float graph, example by example, in the order of `names`."""
    import onnxruntime

    graph = onnx.ModelProto()
    graph.CopyFrom(model)
    known = {value.name: value for value in (*graph.graph.value_info, *graph.graph.input, *graph.graph.output)}
    del graph.graph.output[:]
    inputs = [value.name for value in graph.graph.input]
    graph.graph.output.extend(known[name] for name in names if name not in inputs)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    runtime = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    wanted = [name for name in names if name not in inputs]

    def values(row: tuple[np.ndarray, ...]) -> list[np.ndarray]:
        feed = dict(zip(inputs, (column[None] for column in row), strict=True))
        tensors = dict(zip(wanted, runtime.run(wanted, feed), strict=True)) if wanted else {}
        return [tensors[name] if name in tensors else feed[name] for name in names]

    return in_order(values, rows)
