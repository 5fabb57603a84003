"""Measure what each operator loses as integers: by itself, in the whole file, and what its return to float wins.

SQNR = 10 · log10(signal / noise) in dB, and the cosine of the two tensors, over the same examples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from ...core.errors import UserError
from ...core.explained import Sensitivity
from ...core.printable import word
from ...models.onnx.export import quantized
from ...models.onnx.reading import read
from ...stages.quantize.qdq import prepared
from .cones import Graph, pairs, replaced
from .source import Source
from .values import Columns, compared, giving, values

Say = Callable[[int, int, str], None]
_HELP = "name the int8 file of `quantize.static` or `quantize.aware`, and `--float` the file it was made from"


@dataclass(frozen=True)
class Measured:
    """`sqnr` of the outputs of the whole file, its operators, those whose return to float wins most first, and by
    operator the tensor that others take of it."""

    sqnr: float
    operators: list[Sensitivity]
    tensors: dict[str, str]


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
    outputs = list(values(whole.model, columns))
    before = _sqnr(integers.model, columns, outputs)
    every = compared(
        values(giving(whole, [pair.whole for pair in found]), columns),
        values(giving(integers, [pair.rounded for pair in found]), columns),
    )
    source, rows = Source(path), []
    for index, (pair, cumulative) in enumerate(zip(found, every, strict=True)):
        name = pair.node.name or pair.whole
        say(index, len(found), f"sensitivity of {name}")
        alone = Graph(replaced(whole, integers, (pair.whole, pair.rounded), in_floats))
        both = list(values(giving(alone, [pair.whole, f"other/{pair.rounded}"]), columns))
        (by_itself,) = compared(([first] for first, _ in both), ([second] for _, second in both))
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
    tensors = {row.node: pair.rounded for row, pair in zip(rows, found, strict=True)}
    return Measured(before, sorted(rows, key=lambda row: (-row.gain, row.alone.sqnr, row.node)), tensors)


def _graphs(path: Path, floats: Path) -> tuple[Graph, Graph]:
    """Read both files, the float one as quantization prepares it. Raises: UserError for no such pair."""
    integers, whole = read(path), read(floats)
    if not quantized(integers):
        raise UserError(f"`{path}` has no int8 activations, so there is nothing to compare", _HELP)
    if quantized(whole):
        raise UserError(f"`{floats}` is quantized, and no float model", _HELP)
    pair = Graph(integers), Graph(prepared(whole))
    if any(
        attribute.HasField("g") for graph in pair for node in graph.model.graph.node for attribute in node.attribute
    ):
        raise UserError(f"`{path}` has operators that hold graphs, such as Loop or If, which are not compared")
    require_same_inputs(*pair, path, floats)
    return pair


def require_same_inputs(integers: Graph, whole: Graph, path: Path, floats: Path) -> None:
    """Raise UserError where the graph of an int8 file takes other inputs than that of a float file."""
    first, second = ([(name, _type(graph, name)) for name in graph.inputs] for graph in (integers, whole))
    if first != second:
        raise UserError(f"`{path}` takes other inputs than `{floats}`: {_words(first)}, not {_words(second)}", _HELP)


def _type(graph: Graph, name: str) -> str:
    kind = next(value.type.tensor_type.elem_type for value in graph.model.graph.input if value.name == name)
    return onnx.TensorProto.DataType.Name(kind).lower()


def _words(inputs: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in inputs)


def _sqnr(model: onnx.ModelProto, columns: Columns, outputs: list[list[np.ndarray]]) -> float:
    """Return the SQNR of a graph's outputs; of several that of the worst."""
    return min(sums.likeness.sqnr for sums in compared(outputs, values(model, columns)))
