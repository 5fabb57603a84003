"""Measure SQNR of a plan on held-out examples, against the float graph.

SQNR = 10 · log10(signal / noise) in dB. Held-out examples are not used for ranges.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx

from ...core import likeness
from ...core.columns import joined
from ...core.machine import machine
from ...core.paths import scratch
from ...core.presets import PRESETS, Preset, host_preset, saturates
from ...core.threads import at_most, in_order
from ...models import session
from ...models.onnx.uint8 import signed, unsigned
from ...models.prepared import Columns
from .calibration.observe import Rows
from .qdq import Plan, written

_REMEMBERED = 2
"""Plans whose graphs and outputs are kept: the best so far, and the one that is tried."""
_LOOKS = (32, 64, 128, 256)
"""Held-out examples after which a comparison may end."""
_SURE = 3.0
"""Standard errors by which a difference is clear."""


@dataclass
class _Trial:
    """A plan, and what is known of it: outputs of the first `count` held-out examples, and sums of the first ones of
    these. `rows` are the outputs that follow."""

    plan: Plan
    preset: Preset
    model: onnx.ModelProto
    outputs: np.ndarray
    count: int = 0
    sums: list[np.ndarray] = field(default_factory=list)
    rows: Generator[np.ndarray, None, None] | None = None

    def close(self) -> None:
        if self.rows is not None:
            self.rows.close()
            self.rows = None


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

    def sqnr(self, plan: Plan) -> float:
        """Return the SQNR of the plan in dB, of the float outputs over the error of the integers; more is better."""
        return self.decibels(self.outputs(plan))

    def gain(self, tried: Plan, best: Plan, least: float, preset: Preset = PRESETS["xnnpack"]) -> float:
        """Return the decibels that `tried` is ahead of `best`: of as many held-out examples as show if it is `least`.

        Both meet the same examples, and the standard error of the difference is the jackknife's, so that a few dozen
        suffice unless the two are nearly alike.
        """
        rival = self._trial(best, preset)  # first, as it is among those that are remembered
        trials = [self._trial(tried, preset), rival]
        total = len(self.expected)
        found = 0.0
        for count in (*(look for look in _LOOKS if look < total), total):
            mine, theirs = (self._first_sums(trial, count) for trial in trials)
            found = self._decibels(mine.sum(0)) - self._decibels(theirs.sum(0))
            if count < total:
                pairs = zip(mine.sum(0) - mine, theirs.sum(0) - theirs, strict=True)  # each without one example
                without = [self._decibels(one) - self._decibels(other) for one, other in pairs]
                if abs(found - least) > _SURE * np.sqrt(count - 1) * np.std(without):
                    break
        return found

    def outputs(self, plan: Plan, preset: Preset = PRESETS["xnnpack"]) -> np.ndarray:
        """Return the outputs of the plan for the held-out examples."""
        return self._outputs(self._trial(plan, preset), len(self.expected))

    def _outputs(self, trial: _Trial, count: int) -> np.ndarray:
        """Return the outputs of a trial, (held-out examples, *shape), of which the first `count` at least are known."""
        if trial.count < count and trial.rows is None:
            trial.rows = _rows(trial.model, self.held)
        while trial.count < count and trial.rows is not None:
            trial.outputs[trial.count] = next(trial.rows)[0]
            trial.count += 1
        if trial.count == len(self.expected):
            trial.close()
        return trial.outputs

    def written(self, plan: Plan, preset: Preset = PRESETS["xnnpack"]) -> onnx.ModelProto:
        """Return the graph that `qdq.written` makes of the plan, to be read only."""
        same = (each for each in self._trials if each.plan is plan and each.preset == preset.numbers)
        if preset.unsigned and not preset.foreign and (known := next(same, None)):
            return unsigned(known.model)
        return self._trial(plan, preset).model

    def _trial(self, plan: Plan, preset: Preset) -> _Trial:
        """Look the plan up among the last ones: step after step asks for the best so far."""
        known = next((each for each in self._trials if each.plan is plan and each.preset == preset), None)
        if known is None:
            known = _Trial(plan, preset, written(plan, preset), np.empty_like(self.expected))
        self._trials[:] = [known, *(each for each in self._trials if each is not known)]
        while len(self._trials) > _REMEMBERED:
            self._trials.pop().close()
        return known

    @cached_property
    def _trials(self) -> list[_Trial]:
        return []

    def decibels(self, outputs: np.ndarray) -> float:
        """Return the SQNR of outputs for the held-out examples, or the first ones of them.

        Where there are no classes it is that of the worst channel group, so that no group drowns another.
        """
        return self._decibels(self._sums(outputs, self.expected[: len(outputs)]).sum(0))

    def _first_sums(self, trial: _Trial, count: int) -> np.ndarray:
        outputs, start = self._outputs(trial, count), len(trial.sums)
        trial.sums.extend(self._sums(outputs[start:count], self.expected[start:count]))
        return np.array(trial.sums[:count])

    def _sums(self, outputs: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return what SQNR sums up of each example: parts (n, groups, 6) of `likeness`, or signal and noise (n, 2)."""
        if self.grouped:
            return likeness.parts(outputs, expected, self.groups)
        return np.array([(_energy(one), _energy(other - one)) for one, other in zip(expected, outputs, strict=True)])

    def _decibels(self, sums: np.ndarray) -> float:
        return likeness.worst_decibels(sums) if self.grouped else likeness.decibels(*sums.tolist())

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


def run_model(model: onnx.ModelProto, columns: Columns, threads: int | None = None) -> np.ndarray:
    """Run a graph in memory, its outputs as those of `predict`, by kernels that are fast and saturate no sums.

    On x86 with VNNI those are of the unsigned twin: of the signed graph onnxruntime computes some operators in float
    there. On other x86 the graph is computed as it is written, in float between roundings.
    """
    with _file(model) as path:
        return joined(session.run_file("onnxruntime", path, columns, _kernels(), threads=threads or at_most()))


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
        onnx.save(unsigned(model) if host_preset(machine()) == "x86" and signed(model) else model, path)
        yield path


def decibels(expected: np.ndarray, outputs: np.ndarray) -> float:
    """Return 10 · log10(signal / noise), at most 120."""
    return likeness.decibels(_energy(expected), _energy(outputs - expected))


def _energy(values: np.ndarray) -> float:
    return float((values**2).sum(dtype=np.float64))


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
