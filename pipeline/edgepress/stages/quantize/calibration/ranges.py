"""Calibrate the activation ranges of a float graph on many examples.

Only min, max and a histogram of each activation are kept, so memory does not grow with the number of examples.

onnxruntime's own percentile and entropy calibrators keep every activation of every example until the last one is in.
Here one example at a time runs through the graph on each core, and each activation leaves its exact lowest and highest
value and counts in a histogram: see `histograms` for what is counted, and `clips` for how a range is taken from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnx

from ....core.errors import UserError, suggest
from ....core.threads import in_order
from .histograms import Histogram, sample
from .range_estimators import CLIPS

METHODS = tuple(CLIPS)
"""`minmax`, `percentile`, `entropy` and `mse`."""
_FLOATS = ("tensor(float)", "tensor(float16)")

Ranges = dict[str, tuple[float, float]]
OPEN = (-math.inf, math.inf)
"""Stands for no range: infinite values, or a few that dwarf all others, as of a mask."""


class Rows(Protocol):
    """Examples of a graph, each without the batch's axis and with one array an input."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]: ...


@dataclass(frozen=True)
class Columns:
    """Rows of arrays (n, *shape), one for each input of the graph, as `predict` takes them."""

    columns: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.columns[0])

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        return zip(*self.columns, strict=True)


def ranges(
    model: onnx.ModelProto,
    examples: tuple[np.ndarray, ...] | Rows,
    *,
    methods: Sequence[str] = METHODS,
    tensors: Collection[str] | None = None,
    symmetric: bool = False,
    say: Callable[[int, int, str], None] = lambda done, total, words: None,
) -> dict[str, Ranges]:
    """Return method → activation → (low, high), of all float activations of `model` or those in `tensors`.

    One pass over `examples`. With `symmetric`, low is −high. `say` gets the examples done, all of them, and words.
    An activation with infinite values, or with a few that dwarf the others (`Histogram.filled`), has the range `OPEN`.
    Raises: UserError for examples that the graph cannot take, and for an activation that is no number, by its name.
    """
    rows = Columns(examples) if isinstance(examples, tuple) else examples
    if len(rows) == 0:
        raise UserError("there are no examples to take ranges from", "the validation split is where they come from")
    graph = _Graph(model, tensors)
    histograms = {name: Histogram() for name in graph.names}
    counted = any(method != "minmax" for method in methods)
    for turn, seen in enumerate(in_order(graph.summarize, enumerate(rows))):
        for name, low, high, values in seen:
            if np.isnan(low):
                raise graph.unfit(name, turn)
            histograms[name].widen(low, high)
            if counted or histograms[name].large:
                histograms[name].count(values)
        say(turn + 1, len(rows), "taking ranges")
    return {
        method: {
            name: OPEN if histogram.filled else CLIPS[method](histogram, symmetric) if histogram.seen else (0.0, 0.0)
            for name, histogram in histograms.items()
        }
        for method in methods
    }


def activations(model: onnx.ModelProto) -> list[str]:
    """List the inputs of a graph, then the results of its nodes in order; without those that depend on no input."""
    constant = {tensor.name for tensor in model.graph.initializer} | {""}
    names = [value.name for value in model.graph.input if value.name not in constant]
    for node in model.graph.node:
        if all(name in constant for name in node.input):
            constant.update(node.output)
        else:
            names += [name for name in node.output if name]
    return names


class _Graph:
    """A session that returns every wanted activation; `names` has the float ones."""

    def __init__(self, model: onnx.ModelProto, tensors: Collection[str] | None) -> None:
        import onnxruntime

        known = activations(model)
        if unknown := sorted(set(tensors or ()) - set(known)):
            raise UserError(f"the graph computes no `{unknown[0]}`", suggest(unknown[0], known))
        self.node = {name: node for node in model.graph.node for name in node.output}
        stored = {tensor.name for tensor in model.graph.initializer}
        self.inputs = [value for value in model.graph.input if value.name not in stored]

        watched = onnx.ModelProto()
        watched.CopyFrom(model)
        known_ends = {value.name for value in (*model.graph.input, *model.graph.output)}
        wanted = [name for name in known if tensors is None or name in tensors]
        asked = [value for value in model.graph.output if value.name in wanted]
        del watched.graph.output[:]  # nothing is computed beyond the last that is wanted
        watched.graph.output.extend(asked or model.graph.output)
        # onnxruntime infers their types, of its own operators too.
        watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in known_ends)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1  # each core has an example of its own
        self.session = onnxruntime.InferenceSession(
            watched.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        types = {
            value_info.name: value_info.type for value_info in (*self.session.get_outputs(), *self.session.get_inputs())
        }
        self.names = [name for name in wanted if types[name] in _FLOATS]
        fed = {value.name for value in self.inputs}
        self.computed = [name for name in self.names if name not in fed]

    def summarize(self, example: tuple[int, tuple[np.ndarray, ...]]) -> list[tuple[str, float, float, np.ndarray]]:
        """Return the name, lowest and highest value and a sample of each float activation that is not empty, in the
        order of `names`, for the example's number and row. Raises: UserError."""
        turn, row = example
        return [
            (name, float(values.min()), float(values.max()), sample(values, turn))
            for name, values in self._run(self._feed(row, turn))
        ]

    def _run(self, feed: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
        computed = dict(zip(self.computed, self.session.run(self.computed, feed), strict=True)) if self.computed else {}
        arrays = {**feed, **computed}
        return ((name, arrays[name]) for name in self.names if arrays[name].size)

    def _feed(self, row: tuple[np.ndarray, ...], turn: int) -> dict[str, np.ndarray]:
        if len(row) != len(self.inputs):
            raise UserError(f"example {turn} (from 0) has {len(row)} values, and the graph {len(self.inputs)} inputs")
        for value, array in zip(self.inputs, row, strict=True):
            dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            sides = [axis.dim_value for axis in value.type.tensor_type.shape.dim][1:]
            fits = len(sides) == array.ndim and all(a in (0, b) for a, b in zip(sides, array.shape, strict=True))
            if array.dtype != dtype or not fits:
                raise UserError(
                    f"example {turn} (from 0) of input `{value.name}` is {_words(array.dtype, array.shape)}, and the "
                    f"graph takes {_words(dtype, sides)}"
                )
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise UserError(
                    f"example {turn} (from 0) of input `{value.name}` holds values that are infinite or no numbers",
                    "leave it out, or fill it in",
                )
        return {value.name: array[None] for value, array in zip(self.inputs, row, strict=True)}

    def unfit(self, name: str, turn: int) -> UserError:
        node = self.node.get(name)
        tensor = f"`{name}`{f' ({node.op_type})' if node else ''}"
        return UserError(
            f"example {turn} (from 0) makes {tensor} no number, which has no range",
            "the float model computes that too",
        )


def _words(dtype: Any, sides: Sequence[int]) -> str:
    return f"{np.dtype(dtype).name} {' × '.join(str(side or '?') for side in sides) or 'alone'}"
