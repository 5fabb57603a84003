"""Lower LSTM, GRU and RNN in float: each step of the sequence by itself.

TFLite's fused kernels (UNIDIRECTIONAL_SEQUENCE_LSTM and its like) keep their state from one inference to the next, and
do not give the last cell state. Unrolled, the answer depends on the inputs alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from ..graph import Constant, Node
from ..lowering import Lowering, refusal
from .formula import apply, number

_LONGEST = 1000
"""Steps of a sequence; each one is about 12 operators and 3 KB of the file."""
_ACTIVATIONS = {"relu": "RELU", "sigmoid": "LOGISTIC", "tanh": "TANH"}
State = tuple[int, ...]


@dataclass
class Cell:
    """One direction of a layer: `weights` (gates · hidden, hidden) and `bias` are those that the state meets."""

    lowering: Lowering
    node: Node
    weights: Constant
    bias: NDArray[np.float32]
    activations: list[str]
    _constants: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    @property
    def hidden(self) -> int:
        return int(self.weights.values.shape[1])

    def product(self, state: int, first: int, end: int) -> int:
        """Return what the state (N, hidden) adds to the gates from `first` to before `end`."""
        if (first, end) not in self._constants:
            rows = slice(first * self.hidden, end * self.hidden)
            bias = number(self.lowering, self.bias[rows])
            self._constants[first, end] = self._rows(rows), bias
        return dense(self.lowering, state, *self._constants[first, end])

    def _rows(self, rows: slice) -> int:
        return self.lowering.unpacked(replace(self.weights, values=self.weights.values[rows]))

    def gates(self, tensor: int, first: int, end: int) -> int:
        """Cut some gates out of all of them, (N, gates · hidden)."""
        shape = (self.lowering.file.shape(tensor)[0], (end - first) * self.hidden)
        return self.lowering.cut(tensor, [0, first * self.hidden], shape)

    def bend(self, place: int, tensor: int) -> int:
        """Apply one of the activations."""
        return apply(self.lowering, self.activations[place], [tensor])

    def __call__(self, code: str, *inputs: int) -> int:
        return apply(self.lowering, code, list(inputs))


def dense(lowering: Lowering, tensor: int, weights: int, bias: int) -> int:
    shape = (lowering.file.shape(tensor)[0], lowering.file.shape(weights)[0])
    return apply(lowering, "FULLY_CONNECTED", [tensor, weights, bias], shape, schema.FullyConnectedOptionsT())


def _direction(weights: Constant, direction: int) -> Constant:
    """Return the matrix of one direction; one that is stored in float16 stays so."""
    if weights.packed and weights.quantization is None:
        return replace(weights, values=weights.values[direction])
    return Constant(weights.name, weights.real[direction])


def _lstm(cell: Cell, given: int, state: State) -> State:
    """The gates are those of input, output and forgetting, and the candidate."""
    hidden, memory = state
    gates = cell("ADD", given, cell.product(hidden, 0, 4))
    opened = cell.bend(0, cell.gates(gates, 0, 3))
    candidate = cell.bend(1, cell.gates(gates, 3, 4))
    input, output, forget = (cell.gates(opened, place, place + 1) for place in range(3))
    memory = cell("ADD", cell("MUL", forget, memory), cell("MUL", input, candidate))
    return cell("MUL", output, cell.bend(2, memory)), memory


def _gru(cell: Cell, given: int, state: State) -> State:
    """The gates are those of update and reset, and the candidate."""
    (hidden,) = state
    after = bool(cell.node.attributes.get("linear_before_reset", 0))
    product = cell.product(hidden, 0, 3 if after else 2)
    opened = cell.bend(0, cell("ADD", cell.gates(given, 0, 2), cell.gates(product, 0, 2)))
    update, reset = (cell.gates(opened, place, place + 1) for place in range(2))
    rest = cell("MUL", reset, cell.gates(product, 2, 3)) if after else cell.product(cell("MUL", reset, hidden), 2, 3)
    candidate = cell.bend(1, cell("ADD", cell.gates(given, 2, 3), rest))
    return (cell("ADD", candidate, cell("MUL", update, cell("SUB", hidden, candidate))),)


def _rnn(cell: Cell, given: int, state: State) -> State:
    return (cell.bend(0, cell("ADD", given, cell.product(state[0], 0, 1))),)


def recurrent(
    step: Callable[[Cell, int, State], State], gates: int, usual: tuple[str, ...]
) -> Callable[[Lowering, Node], None]:
    """Lower a layer of one or two directions, with all its outputs.

    `gates` is how many rows of `hidden` the weights have, and `usual` are the activations where the node names none.
    """

    def lower(lowering: Lowering, node: Node) -> None:
        file, batch_first = lowering.file, bool(node.attributes.get("layout", 0))
        sequence = lowering.plain(node, 0)
        if batch_first:
            sequence = lowering.transposed(sequence, (1, 0, 2))
        length, batch, size = file.shape(sequence)
        _require_plain(lowering, node, length)
        weights, states = (lowering.constant(node, place) for place in (1, 2))
        directions, rows, hidden = states.values.shape
        bias = lowering.optional(node, 3)
        biases = bias.real if bias else np.zeros((directions, 2 * rows), np.float32)
        functions = _functions(node, usual, directions)
        flat = lowering.reshaped(sequence, (length * batch, size))
        given = _given_states(lowering, node, 2 if step is _lstm else 1, batch_first, (directions, batch, hidden))
        runs, lasts = [], []
        for direction in range(directions):
            into = lowering.unpacked(_direction(weights, direction)), number(lowering, biases[direction, :rows])
            steps = _unpacked(lowering, lowering.reshaped(dense(lowering, flat, *into), (length, batch, rows)))
            own = _direction(states, direction)
            cell = Cell(lowering, node, own, biases[direction, rows:], functions[direction])
            backwards = node.attributes.get("direction", b"forward") == b"reverse" or direction == 1
            state, outputs = given[direction], []
            for one in reversed(steps) if backwards else steps:
                state = step(cell, one, state)
                outputs.append(state[0])
            runs.append(_packed(lowering, outputs[::-1] if backwards else outputs, 0))
            lasts.append(state)
        every = _packed(lowering, runs, 1)
        results = [lowering.transposed(every, (2, 0, 1, 3)) if batch_first else every]
        for last in zip(*lasts, strict=True):
            results.append(_packed(lowering, list(last), 1 if batch_first else 0))
        lowering.tensors.update({name: tensor for name, tensor in zip(node.outputs, results, strict=False) if name})

    return lower


lstm = recurrent(_lstm, 4, ("sigmoid", "tanh", "tanh"))
gru = recurrent(_gru, 3, ("sigmoid", "tanh"))
rnn = recurrent(_rnn, 1, ("tanh",))


def _require_plain(lowering: Lowering, node: Node, length: int) -> None:
    """Raise UserError for what the unrolled steps do not do."""
    lengths = lowering.optional(node, 4)
    if lengths is not None and (lengths.values != length).any():
        raise refusal(node, f"its sequences end before {length} steps", "give all of them that length")
    if node.attributes.get("clip") or node.attributes.get("input_forget"):
        raise refusal(node, "it clips, or couples, its gates", "export it without `clip` and `input_forget`")
    if len(node.inputs) > 7 and node.inputs[7]:
        raise refusal(node, "it has peepholes", "export it without the input `P`, as `torch.nn.LSTM` is")
    if length > _LONGEST:
        raise refusal(
            node,
            f"it goes {length} steps, each of them several operators of the file, and {_LONGEST} is the most",
            "shorten the sequence before it by a convolution with a stride",
        )


def _functions(node: Node, usual: tuple[str, ...], directions: int) -> list[list[str]]:
    """Return TFLite's activations of each direction."""
    named = [name.decode().lower() for name in node.attributes.get("activations", [])] or list(usual) * directions
    if unknown := next((name for name in named if name not in _ACTIVATIONS), None):
        raise refusal(node, f"its activation is `{unknown}`", f"use {', '.join(_ACTIVATIONS)}")
    codes = [_ACTIVATIONS[name] for name in named]
    return [codes[place : place + len(usual)] for place in range(0, len(codes), len(usual))]


def _given_states(
    lowering: Lowering, node: Node, count: int, batch_first: bool, shape: tuple[int, int, int]
) -> list[State]:
    """Return the states (batch, hidden) that each direction begins with: of zeros where the node has none."""
    directions, batch, hidden = shape
    columns = []
    for place in range(5, 5 + count):
        if len(node.inputs) > place and node.inputs[place]:
            tensor = lowering.plain(node, place)
            split = lowering.transposed(tensor, (1, 0, 2)) if batch_first else tensor
            columns.append(_unpacked(lowering, split))
        else:
            columns.append([number(lowering, np.zeros((batch, hidden)))] * directions)
    return list(zip(*columns, strict=True))


def _unpacked(lowering: Lowering, tensor: int) -> list[int]:
    """Split along the first axis, which goes."""
    count, *shape = lowering.file.shape(tensor)
    parts = [lowering.file.like(tensor, "part", shape) for _ in range(count)]
    lowering.file.operator("UNPACK", 1, [tensor], parts, schema.UnpackOptionsT(num=count, axis=0))
    return parts


def _packed(lowering: Lowering, tensors: list[int], axis: int) -> int:
    """Stack along a new axis."""
    shape = list(lowering.file.shape(tensors[0]))
    shape.insert(axis, len(tensors))
    if len(tensors) == 1:
        return lowering.reshaped(tensors[0], tuple(shape))
    return apply(lowering, "PACK", tensors, tuple(shape), schema.PackOptionsT(valuesCount=len(tensors), axis=axis))
