"""Run examples through a float graph once, for whoever wants to know its activations.

Here one example at a time runs on each core. An observer looks at its activations in that thread, and takes what it saw
in the order of the examples.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
import onnx

from ....core.errors import UserError, suggest
from ....core.threads import in_order

_FLOATS = ("tensor(float)", "tensor(float16)")

Say = Callable[[int, int, str], None]


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


@dataclass(frozen=True)
class First:
    """The first `count` of other rows."""

    rows: Rows
    count: int

    def __len__(self) -> int:
        return min(self.count, len(self.rows))

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        return islice(self.rows, self.count)


class Observer(Protocol):
    """Learns from the activations of examples."""

    @property
    def tensors(self) -> Collection[str] | None:
        """Names of the activations that it looks at; None for all that are float."""

    def look(self, values: dict[str, np.ndarray], turn: int) -> Any:
        """Return what counts of example number `turn`, whose activations are (1, *shape); in any thread.

        The next example takes their memory.
        """

    def take(self, seen: Any, turn: int) -> None:
        """Take in what `look` returned, of one example after the other."""


def observe(
    model: onnx.ModelProto,
    examples: tuple[np.ndarray, ...] | Rows,
    observers: Sequence[Observer],
    say: Say = lambda done, total, words: None,
) -> None:
    """Show the activations of each example to the observers. `say` gets the examples done, all of them, and words.

    Raises: UserError for examples that the graph cannot take.
    """
    rows = Columns(examples) if isinstance(examples, tuple) else examples
    graph = _Graph(model, [observer.tensors for observer in observers])

    def look(example: tuple[int, tuple[np.ndarray, ...]]) -> list[Any]:
        with graph.run(*example) as values:
            return [observer.look(values, example[0]) for observer in observers]

    for turn, seen in enumerate(in_order(look, enumerate(rows))):
        for observer, part in zip(observers, seen, strict=True):
            observer.take(part, turn)
        say(turn + 1, len(rows), "taking ranges")


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
    """A session that returns every wanted float activation."""

    def __init__(self, model: onnx.ModelProto, wishes: Sequence[Collection[str] | None]) -> None:
        import onnxruntime

        known = activations(model)
        asked = {name for names in wishes for name in names or ()}
        if unknown := sorted(asked - set(known)):
            raise UserError(f"the graph computes no `{unknown[0]}`", suggest(unknown[0], known))
        stored = {tensor.name for tensor in model.graph.initializer}
        self.inputs = [value for value in model.graph.input if value.name not in stored]

        watched = onnx.ModelProto()
        watched.CopyFrom(model)
        known_ends = {value.name for value in (*model.graph.input, *model.graph.output)}
        wanted = [name for name in known if None in wishes or name in asked]
        outputs = [value for value in model.graph.output if value.name in wanted]
        del watched.graph.output[:]  # nothing is computed beyond the last that is wanted
        watched.graph.output.extend(outputs or model.graph.output)
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
        self.shapes = {value.name: tuple(value.shape) for value in self.session.get_outputs()}
        self.free: deque[_Results] = deque()

    @contextmanager
    def run(self, turn: int, row: tuple[np.ndarray, ...]) -> Iterator[dict[str, np.ndarray]]:
        """Lend the activations of the example of that number, in the order of the graph. Raises: UserError."""
        feed = self._feed(row, turn)
        try:
            results: _Results | None = self.free.pop()
        except IndexError:  # the first example of a thread
            results = None
        if results is not None:
            results.compute(feed)
            computed = results.arrays
        else:
            arrays = self.session.run(self.computed, feed) if self.computed else []
            computed = dict(zip(self.computed, arrays, strict=True))
        every = {**feed, **computed}
        yield {name: every[name] for name in self.names}
        if (
            results is None
            and computed
            and all(array.size and array.shape == self.shapes[name] for name, array in computed.items())
        ):
            results = _Results(self.session, computed)
        if results is not None:
            self.free.append(results)

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


class _Results:
    """Arrays that a session writes its results to, example after example: new ones take as long as to compute them."""

    def __init__(self, session: Any, arrays: dict[str, np.ndarray]) -> None:
        self.session, self.binding = session, session.io_binding()
        self.arrays = {name: np.require(array, requirements=("C", "W")) for name, array in arrays.items()}
        for name, array in self.arrays.items():
            self.binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def compute(self, feed: dict[str, np.ndarray]) -> None:
        self.binding.clear_binding_inputs()
        for name, array in feed.items():
            self.binding.bind_cpu_input(name, np.ascontiguousarray(array))
        self.session.run_with_iobinding(self.binding)


def _words(dtype: Any, sides: Sequence[int]) -> str:
    return f"{np.dtype(dtype).name} {' × '.join(str(side or '?') for side in sides) or 'alone'}"
