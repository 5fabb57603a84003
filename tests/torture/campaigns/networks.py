"""Small sound networks from 16 numbers to 4 classes, of several kinds of operators."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.torture.places import CLASSES, FEATURES, mlp, model

node = helper.make_node


def real(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.random.default_rng(len(name)).normal(size=shape).astype(np.float32) / 2, name)


def integers(name: str, *values: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def convolutions() -> onnx.ModelProto:
    nodes = [
        node("Reshape", ["input", "image"], ["x"]),
        node("Conv", ["x", "k", "kb"], ["c"], pads=[1, 1, 1, 1], name="conv"),
        node("Clip", ["c", "low", "high"], ["r"]),
        node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p", "d"], ["e"], group=3, pads=[1, 1, 1, 1]),
        node("Concat", ["p", "e"], ["j"], axis=1),
        node("GlobalAveragePool", ["j"], ["g"]),
        node("Flatten", ["g"], ["f"]),
        node("Gemm", ["f", "w"], ["output"]),
    ]
    limits = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in (("low", 0), ("high", 6))]
    return model(
        nodes,
        [
            integers("image", 1, 1, 4, 4),
            real("k", 3, 1, 3, 3),
            real("kb", 3),
            real("d", 3, 1, 3, 3),
            real("w", 6, CLASSES),
            *limits,
        ],
    )


def attention() -> onnx.ModelProto:
    nodes = [
        node("Reshape", ["input", "tokens"], ["x"]),
        node("LayerNormalization", ["x", "scale"], ["n"]),
        node("MatMul", ["n", "q"], ["a"]),
        node("Transpose", ["a"], ["t"], perm=[0, 2, 1]),
        node("MatMul", ["a", "t"], ["s"]),
        node("Softmax", ["s"], ["m"], axis=-1),
        node("MatMul", ["m", "n"], ["v"]),
        node("ReduceMean", ["v"], ["r"], axes=[1], keepdims=0),
        node("MatMul", ["r", "w"], ["output"]),
    ]
    return model(nodes, [integers("tokens", 1, 4, 4), real("scale", 4), real("q", 4, 4), real("w", 4, CLASSES)])


def recurrent() -> onnx.ModelProto:
    nodes = [
        node("Reshape", ["input", "steps"], ["x"]),
        node("LSTM", ["x", "w", "r"], ["", "h"], hidden_size=4),
        node("Squeeze", ["h", "first"], ["output"]),
    ]
    return model(nodes, [integers("steps", 4, 1, 4), real("w", 1, 16, 4), real("r", 1, 16, 4), integers("first", 0)])


def branches() -> onnx.ModelProto:
    """A Gemm, then an If and a Loop with graphs of their own."""
    out = [helper.make_tensor_value_info("o", 1, [1, CLASSES])]
    then = helper.make_graph([node("Relu", ["h"], ["o"])], "then", [], out)
    other = helper.make_graph([node("Neg", ["h"], ["o"])], "other", [], out)
    body = helper.make_graph(
        [node("Identity", ["ci"], ["co"]), node("Add", ["v", "one"], ["vo"])],
        "body",
        [
            helper.make_tensor_value_info(name, kind, shape)
            for name, kind, shape in (("i", 7, []), ("ci", 9, []), ("v", 1, [1, CLASSES]))
        ],
        [helper.make_tensor_value_info("co", 9, []), helper.make_tensor_value_info("vo", 1, [1, CLASSES])],
    )
    nodes = [
        node("MatMul", ["input", "w"], ["h"]),
        node("ReduceSum", ["h"], ["s"], keepdims=0),
        node("Greater", ["s", "zero"], ["yes"]),
        node("If", ["yes"], ["b"], then_branch=then, else_branch=other),
        node("Loop", ["trips", "true", "b"], ["output"], body=body),
    ]
    scalars = [("zero", np.float32(0)), ("one", np.float32(1)), ("trips", np.int64(3)), ("true", np.bool_(True))]
    weights = [numpy_helper.from_array(np.array(value), name) for name, value in scalars]
    return model(nodes, [real("w", FEATURES, CLASSES), *weights])


def functions() -> onnx.ModelProto:
    found = model(
        [node("Twice", ["input"], ["t"], domain="mine"), node("MatMul", ["t", "w"], ["output"])],
        [real("w", FEATURES, CLASSES)],
    )
    opsets = [helper.make_opsetid("", 17)]
    found.functions.append(
        helper.make_function("mine", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])], opsets)
    )
    found.opset_import.append(helper.make_opsetid("mine", 1))
    return found


TABLE: dict[str, Callable[[], onnx.ModelProto]] = {
    "mlp": mlp,
    "convolutions": convolutions,
    "attention": attention,
    "recurrent": recurrent,
    "branches": branches,
    "functions": functions,
}
