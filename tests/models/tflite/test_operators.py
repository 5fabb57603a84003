"""Operators of several outputs, or of indices: float and int8 answers in onnxruntime and both TFLite runtimes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from edgepress.core.errors import UserError
from edgepress.models.onnx.packed_weights import float16
from edgepress.models.tflite.convert import layouts, write
from onnx import TensorProto, helper, numpy_helper

from tests.models.tflite import models
from tests.models.tflite.models import weights

F = np.float32
TYPES = {"f": TensorProto.FLOAT, "i": TensorProto.INT64}


class Ids(list[int]):
    """The shape of an input of int64, whose numbers are below `below`."""

    def __init__(self, *shape: int, below: int) -> None:
        super().__init__(shape)
        self.below = below


def one(op: str, inputs: list[Any], outputs: str = "f", opset: int = 21, **attributes: Any) -> onnx.ModelProto:
    """A model of one node. A tuple is the shape of an input, an array a constant, None an input that is left out;
    `outputs` has the type of each output, and `-` for one that nobody asks for."""
    values, tensors, names = [], [], []
    for place, given in enumerate(inputs):
        names.append("" if given is None else f"input_{place}")
        if isinstance(given, tuple | Ids):
            kind = TensorProto.INT64 if isinstance(given, Ids) else TensorProto.FLOAT
            values.append(helper.make_tensor_value_info(names[-1], kind, list(given)))
            if isinstance(given, Ids):
                values[-1].doc_string = str(given.below)
        elif given is not None:
            tensors.append(numpy_helper.from_array(np.asarray(given), names[-1]))
    results = ["" if kind == "-" else f"output_{place}" for place, kind in enumerate(outputs)]
    node = helper.make_node(op, names, results, "node", **attributes)
    gives = [
        helper.make_tensor_value_info(name, TYPES[kind], None)
        for name, kind in zip(results, outputs, strict=True)
        if name
    ]
    graph = helper.make_graph([node], "one", values, gives, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def in_int8(model: onnx.ModelProto, scale: float = 0.04) -> onnx.ModelProto:
    """The model between Q and DQ: float inputs and outputs, of scale and zero point that are as good as any."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    node = graph.node[0]
    graph.initializer.extend([numpy_helper.from_array(F(scale), "scale"), numpy_helper.from_array(np.int8(-3), "zero")])

    def pair(name: str, last: str) -> list[onnx.NodeProto]:
        return [
            helper.make_node("QuantizeLinear", [name, "scale", "zero"], [f"{name}_q"]),
            helper.make_node("DequantizeLinear", [f"{name}_q", "scale", "zero"], [last]),
        ]

    before, after = [], []
    for place, name in enumerate(node.input):
        if any(value.name == name and value.type.tensor_type.elem_type == TensorProto.FLOAT for value in graph.input):
            before += pair(name, f"{name}_d")
            node.input[place] = f"{name}_d"
    for value in graph.output:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            place = list(node.output).index(value.name)
            node.output[place] = f"{value.name}_f"
            after += pair(f"{value.name}_f", value.name)
    nodes = [*before, node, *after]
    copies = [onnx.NodeProto.FromString(each.SerializeToString()) for each in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    del graph.value_info[:]
    return onnx.shape_inference.infer_shapes(made, data_prop=True)


def feeds(model: onnx.ModelProto, count: int = 4, step: float = 0.1) -> list[models.Feed]:
    """Whole steps, so that some numbers are equal and none is halfway between integers; ids also from the end."""
    random = np.random.default_rng(5)

    def numbers(value: onnx.ValueInfoProto) -> np.ndarray:
        shape = [size.dim_value for size in value.type.tensor_type.shape.dim]
        if value.doc_string:
            return random.integers(-int(value.doc_string), int(value.doc_string), shape)
        return (np.rint(random.normal(0.3, 1.5, shape) / step) * step).astype(F)

    return [{value.name: numbers(value) for value in model.graph.input} for _ in range(count)]


def in_onnxruntime(model: onnx.ModelProto, samples: list[models.Feed]) -> list[dict[str, np.ndarray]]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in model.graph.output]
    return [dict(zip(names, map(models.channels_last, session.run(names, feed)), strict=True)) for feed in samples]


def in_tflite(model: onnx.ModelProto, samples: list[models.Feed], runtime: str) -> list[dict[str, np.ndarray]]:
    interpreter, orders = models.open_file(write(model, {}), runtime), layouts(model)
    interpreter.allocate_tensors()
    sources = {each["name"]: each for each in interpreter.get_input_details()}
    results = {each["name"]: each["index"] for each in interpreter.get_output_details()}
    found = []
    for feed in samples:
        for name, values in feed.items():
            ordered = values if orders[name] == "same" else np.moveaxis(values, 1, -1)
            interpreter.set_tensor(sources[name]["index"], np.ascontiguousarray(ordered, sources[name]["dtype"]))
        interpreter.invoke()
        found.append({name: interpreter.get_tensor(index).copy() for name, index in results.items()})
    return found


def layer(op: str, gates: int, outputs: str, directions: int = 1, more: tuple[Any, ...] = (), **attributes: Any) -> Any:
    """A recurrent layer of 4 numbers on 6 steps of 3 numbers, of a batch of 2."""
    rows = gates * 4
    batch_first = attributes.get("layout", 0)
    bias = weights(directions, 2 * rows, seed=2)
    inputs = [(2, 6, 3) if batch_first else (6, 2, 3), weights(directions, rows, 3), weights(directions, rows, 4), bias]
    if directions == 2:
        attributes["direction"] = "bidirectional"
    return one(op, [*inputs, *more], outputs, hidden_size=4, **attributes)


STATE = weights(1, 2, 4, seed=7)
DATA, ELEMENTS = (1, 4, 5, 3), np.array([[[0, -1, 2]], [[3, 1, 0]]])
WRITTEN = np.array([[[0, 1], [-1, 2]]])
FLOAT: dict[str, Any] = {
    "LSTM": layer("LSTM", 4, "fff"),
    "LSTM, last state alone": layer("LSTM", 4, "-f"),
    "LSTM, reverse": layer("LSTM", 4, "ff", direction="reverse"),
    "LSTM, both ways": layer("LSTM", 4, "fff", 2),
    "LSTM, given states": layer("LSTM", 4, "fff", 1, (None, STATE, (1, 2, 4))),
    "LSTM, known lengths": layer("LSTM", 4, "ff", 1, (np.array([6, 6], np.int32),)),
    "LSTM, without a bias": one("LSTM", [(6, 1, 3), weights(1, 16, 3), weights(1, 16, 4)], hidden_size=4),
    "LSTM, one step": one("LSTM", [(1, 1, 3), weights(1, 16, 3), weights(1, 16, 4)], "fff", hidden_size=4),
    "GRU": layer("GRU", 3, "ff"),
    "GRU, reset after the product": layer("GRU", 3, "ff", linear_before_reset=1),
    "GRU, both ways": layer("GRU", 3, "ff", 2, linear_before_reset=1),
    "GRU, given state": layer("GRU", 3, "ff", 1, (None, (1, 2, 4))),
    "RNN": layer("RNN", 1, "ff"),
    "RNN, both ways, ReLU": layer("RNN", 1, "ff", 2, activations=["Relu", "Relu"]),
    "TopK": one("TopK", [(3, 9), np.array([4])], "fi"),
    "TopK, smallest, of channels": one("TopK", [(1, 5, 4, 3), np.array([2])], "fi", axis=1, largest=0),
    "ArgMax, of channels": one("ArgMax", [(1, 5, 4, 3)], "i", axis=1, keepdims=0),
    "ArgMax, of rows": one("ArgMax", [(1, 5, 4, 3)], "i", axis=2, keepdims=0),
    "ArgMax, the last of equals": one("ArgMax", [(3, 40)], "i", axis=-1, select_last_index=1),
    "ArgMin": one("ArgMin", [(1, 5, 4, 3)], "i", axis=1),
    "Gather, from the end": one("Gather", [(4, 5), np.array([-1, 0])], axis=1),
    "GatherND": one("GatherND", [DATA, np.array([[0, 1, -2], [0, 3, 0]])]),
    "GatherND, computed": one("GatherND", [(4, 4, 3), Ids(5, 2, below=4)]),
    "GatherND, in batches": one("GatherND", [(2, 4, 3), np.array([[[1, 2]], [[-1, 0]]])], batch_dims=1),
    "GatherND, computed, in batches": one("GatherND", [(2, 4, 3), Ids(2, 5, 1, below=4)], batch_dims=1),
    "GatherElements": one("GatherElements", [(2, 4, 3), ELEMENTS], axis=1),
    "GatherElements, computed": one("GatherElements", [(2, 4, 3), Ids(2, 7, 3, below=4)], axis=1),
    "ScatterND": one("ScatterND", [(3, 4, 2), WRITTEN, (1, 2, 2)]),
    "ScatterND, into a constant": one("ScatterND", [weights(3, 4, 2), WRITTEN, (1, 2, 2)]),
    "ScatterND, added": one("ScatterND", [(3, 4, 2), np.array([[0, 1], [0, 1]]), (2, 2)], reduction="add"),
    "ScatterND, computed": one("ScatterND", [(1, 4, 5, 3), Ids(1, 2, below=1), (1, 5, 3)]),
    "ScatterElements": one("ScatterElements", [(2, 4, 3), ELEMENTS, (2, 1, 3)], axis=1),
    "CumSum": one("CumSum", [(1, 5, 4, 3), np.array(1)]),
    "CumSum, exclusive, reverse": one("CumSum", [(4, 6), np.array(-1)], exclusive=1, reverse=1),
    "OneHot": one("OneHot", [Ids(2, 3, below=7), np.array([5]), F([-1, 2])]),
    "OneHot, axis 1": one("OneHot", [Ids(2, 3, below=5), np.array(5), np.array([0, 1])], "i", axis=1),
    "LogSoftmax": one("LogSoftmax", [(3, 7)], axis=-1),
    "LogSoftmax, of channels": one("LogSoftmax", [(1, 5, 4, 3)], axis=1),
    "Pad, reflect, rank 5": one(
        "Pad", [(1, 3, 4, 5, 3), np.array([0, 1, 2, 0, 1, 0, 2, 1, 3, 0])], mode="reflect"
    ),
    "Pad, edge, rank 2": one("Pad", [(3, 4), np.array([1, 2, 0, 3])], mode="edge"),
    "Resize, cubic": one("Resize", [(1, 2, 5, 6), None, None, np.array([1, 2, 9, 4])], mode="cubic"),
}  # fmt: skip
INTEGER = {
    name: FLOAT[name]
    for name in (
        "LSTM", "GRU, both ways", "TopK", "TopK, smallest, of channels", "ArgMax, of channels",
        "ArgMax, the last of equals", "ArgMin", "Gather, from the end", "GatherND", "GatherND, computed",
        "GatherElements", "GatherElements, computed", "ScatterND", "ScatterND, into a constant",
        "ScatterND, computed", "ScatterElements", "CumSum", "LogSoftmax", "LogSoftmax, of channels",
        "Pad, reflect, rank 5", "Resize, cubic",
    )
}  # fmt: skip


@pytest.mark.parametrize("runtime", models.EVERY)
@pytest.mark.parametrize("name", FLOAT)
def test_float_answers(name: str, runtime: str) -> None:
    model = FLOAT[name]
    samples = feeds(model)
    for found, expected in zip(in_tflite(model, samples, runtime), in_onnxruntime(model, samples), strict=True):
        assert found.keys() == expected.keys()
        for output, numbers in expected.items():
            assert found[output].shape == numbers.shape
            np.testing.assert_allclose(found[output], numbers, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("runtime", models.EVERY)
@pytest.mark.parametrize("name", INTEGER)
def test_int8_answers(name: str, runtime: str) -> None:
    """Equal integers where numbers are moved or found; a step off, and rarely, where they are computed."""
    scale = 16 / 256 if "LogSoftmax" in name else 0.04
    model = in_int8(INTEGER[name], scale)
    samples = feeds(model, step=scale)
    computed = name.startswith(("LSTM", "GRU", "LogSoftmax", "Resize"))
    for found, expected in zip(in_tflite(model, samples, runtime), in_onnxruntime(model, samples), strict=True):
        for output, numbers in expected.items():
            assert found[output].shape == numbers.shape
            off = np.rint(np.abs(found[output] - numbers) / (1 if numbers.dtype.kind == "i" else scale))
            assert off.max() <= computed
            assert off.sum() <= max(2, 0.02 * off.size)


@pytest.mark.parametrize(
    "name", [name for name in INTEGER if name.startswith(("TopK", "Gather", "Scatter", "LogSoftmax", "Arg"))]
)
def test_int8_operators_take_integers(name: str) -> None:
    """What finds or moves numbers has no DEQUANTIZE before it; the smallest are found in float."""
    kinds = [kind for kind, _ in models.operators(write(in_int8(INTEGER[name]), {}))]
    if "smallest" not in name and "LogSoftmax" not in name:
        assert kinds.count("DEQUANTIZE") == (not name.startswith("Arg"))


def test_weights_in_float16_stay_so() -> None:
    whole = one("LSTM", [(4, 1, 64), weights(1, 256, 64), weights(1, 256, 64)], hidden_size=64)
    data = write(float16(whole), {})
    assert len(data) < 0.7 * len(write(whole, {}))
    assert [each for each in models.operators(data) if each[0] == "DEQUANTIZE"] == [("DEQUANTIZE", 3)] * 2


X, LONG = (6, 1, 3), (1001, 1, 3)
W, R = weights(1, 16, 3), weights(1, 16, 4)
REFUSED = {
    "end before 6 steps": one("LSTM", [X, W, R, None, np.array([4], np.int32)], hidden_size=4),
    "it has peepholes": one("LSTM", [X, W, R, None, None, None, None, weights(1, 12)], hidden_size=4),
    "couples, its gates": one("LSTM", [X, W, R], hidden_size=4, input_forget=1),
    "its activation is `elu`": one("RNN", [X, W[:, :4], R[:, :4]], hidden_size=4, activations=["Elu"]),
    "it goes 1001 steps": one("LSTM", [LONG, W, R], hidden_size=4),
    "it joins updates by `max`": one("ScatterND", [(3, 4), np.array([[1]]), (1, 4)], reduction="max"),
    "(NonMaxSuppression)": one("NonMaxSuppression", [(1, 9, 4), (1, 2, 9), np.array([3])], "i"),
}


@pytest.mark.parametrize("words", REFUSED)
def test_uses_that_are_refused(words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)) as error:
        write(REFUSED[words], {})
    assert all(problem.help for problem in error.value.problems)
