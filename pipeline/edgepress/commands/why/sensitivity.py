"""Measure what each operator loses as integers: by itself, in the whole file, and what its return to float wins.

SQNR = 10 · log10(signal / noise) in dB, and the cosine of the two tensors, over the same examples. Integer graphs are
computed in float between their roundings, so that the numbers are of the format and not of a processor's kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from ...core import likeness
from ...core.errors import UserError
from ...core.explained import MOST_DECIBELS, Likeness, Sensitivity
from ...core.printable import word
from ...models.onnx.export import quantized
from ...stages.quantize.qdq import prepared
from .cones import Graph, pairs, replaced, with_outputs
from .source import Source

Columns = tuple[np.ndarray, ...]
Say = Callable[[int, int, str], None]
_HELP = "name the int8 file of `quantize.static` or `quantize.aware`, and `--float` the file it was made from"


@dataclass
class _Sums:
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


@dataclass(frozen=True)
class Measured:
    """`sqnr` of the outputs of the whole file, and its operators, those whose return to float wins most first."""

    sqnr: float
    operators: list[Sensitivity]


def measure(path: Path, floats: Path, columns: Columns, say: Say) -> Measured:
    """Compare the int8 ONNX file `path` with the float file that it was made from, on inputs (n, *shape) of both.

    Raises: UserError for files that are not such a pair.
    """
    integers, whole = _graphs(path, floats)
    found = pairs(integers, whole)
    if not found:
        raise UserError(f"no operator of `{path}` has an output that `{floats}` has too", _HELP)
    inputs = {name: integers.seen(name) for name in integers.inputs}
    in_integers = inputs | {pair.whole: pair.rounded for pair in found}
    in_floats = {name: name for name in inputs} | {rounded: name for name, rounded in in_integers.items()}
    say(0, len(found), "all operators at once")
    outputs = list(_values(whole.model, columns))
    before = _sqnr(integers.model, columns, outputs)
    every = _sums(
        _values(_giving(whole, [pair.whole for pair in found]), columns),
        _values(_giving(integers, [pair.rounded for pair in found]), columns),
    )
    source, rows = Source(path), []
    for index, (pair, cumulative) in enumerate(zip(found, every, strict=True)):
        name = pair.node.name or pair.whole
        say(index, len(found), f"sensitivity of {name}")
        alone = Graph(replaced(whole, integers, (pair.whole, pair.rounded), in_floats))
        values = list(_values(_giving(alone, [pair.whole, f"other/{pair.rounded}"]), columns))
        (by_itself,) = _sums(([first] for first, _ in values), ([second] for _, second in values))
        returned = replaced(integers, whole, (pair.rounded, pair.whole), in_integers)
        rows.append(
            Sensitivity(
                node=name,
                layer=word(source.name(pair.number)),
                op=pair.node.op_type,
                alone=by_itself.likeness,
                cumulative=cumulative.likeness,
                gain=round(_sqnr(returned, columns, outputs) - before, 2),
            )
        )
    return Measured(before, sorted(rows, key=lambda row: (-row.gain, row.alone.sqnr, row.node)))


def _graphs(path: Path, floats: Path) -> tuple[Graph, Graph]:
    """Read both files, the float one as quantization prepares it. Raises: UserError for no such pair."""
    integers, whole = onnx.load(path), onnx.load(floats)
    if not quantized(integers):
        raise UserError(f"`{path}` has no int8 activations, so there is nothing to compare", _HELP)
    if quantized(whole):
        raise UserError(f"`{floats}` is quantized, and no float model", _HELP)
    pair = Graph(integers), Graph(prepared(whole))
    if any(
        attribute.HasField("g") for graph in pair for node in graph.model.graph.node for attribute in node.attribute
    ):
        raise UserError(f"`{path}` has operators that hold graphs, such as Loop or If, which are not compared")
    first, second = ([(name, _type(graph, name)) for name in graph.inputs] for graph in pair)
    if first != second:
        raise UserError(f"`{path}` takes other inputs than `{floats}`: {_words(first)}, not {_words(second)}", _HELP)
    return pair


def _type(graph: Graph, name: str) -> str:
    kind = next(value.type.tensor_type.elem_type for value in graph.model.graph.input if value.name == name)
    return onnx.TensorProto.DataType.Name(kind).lower()


def _words(inputs: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in inputs)


def _giving(graph: Graph, names: Sequence[str]) -> onnx.ModelProto:
    """Return the graph with these outputs, and no others."""
    return with_outputs(graph.model, names, only=True)


def _values(model: onnx.ModelProto, columns: Columns) -> Iterator[list[np.ndarray]]:
    """Yield the outputs for each example, in the graph's order, computed as the graph is written."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    for row in zip(*columns, strict=True):
        yield session.run(None, {name: value[None] for name, value in zip(names, row, strict=True)})


def _sums(expected: Iterable[list[np.ndarray]], found: Iterable[list[np.ndarray]]) -> list[_Sums]:
    """Return the sums of each tensor over the examples."""
    total: list[_Sums] = []
    for wanted, values in zip(expected, found, strict=True):
        total = total or [_Sums() for _ in wanted]
        for sums, first, second in zip(total, wanted, values, strict=True):
            sums.add(first, second)
    return total


def _sqnr(model: onnx.ModelProto, columns: Columns, outputs: list[list[np.ndarray]]) -> float:
    """Return the SQNR of a graph's outputs; of several that of the worst."""
    return min(sums.likeness.sqnr for sums in _sums(outputs, _values(model, columns)))
