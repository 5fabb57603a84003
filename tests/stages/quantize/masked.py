"""Small float graphs in which numbers stand for "never": masks of attention, pads of a maximum, bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.stages.quantize.made import graph

node = helper.make_node
LOWEST = float(np.finfo(np.float32).min)
STEPS, WIDTH = 8, 8
CAUSAL = np.triu(np.ones((1, STEPS, STEPS), np.float32), 1)


def attention(mask: list[onnx.NodeProto], constants: dict[str, Any]) -> onnx.ModelProto:
    """Self-attention of `x` (1, 8, 8) to `y` (1, 5); `mask` makes the scores `m` from `s`."""
    random = np.random.default_rng(0)
    nodes = [
        *(node("MatMul", ["x", f"w{each}"], [each]) for each in "qkv"),
        node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], ["s"]),
        *mask,
        node("Softmax", ["m"], ["p"], axis=-1),
        node("MatMul", ["p", "v"], ["o"]),
        node("Add", ["o", "x"], ["r"]),
        node("ReduceMean", ["r"], ["f"], axes=[1], keepdims=0),
        node("Gemm", ["f", "wh", "bh"], ["y"]),
    ]
    weights = {f"w{each}": random.normal(size=(WIDTH, WIDTH)) / 2 for each in "qkv"}
    weights |= {"wh": random.normal(size=(WIDTH, 5)), "bh": random.normal(size=5)}
    return _graph(nodes, weights | constants, (1, STEPS, WIDTH))


def added(never: float) -> onnx.ModelProto:
    return attention([node("Add", ["s", "mask"], ["m"])], {"mask": np.where(CAUSAL > 0, never, 0)})


def taken(never: float) -> onnx.ModelProto:
    """Sub of the mask."""
    return attention([node("Sub", ["s", "mask"], ["m"])], {"mask": np.where(CAUSAL > 0, -never, 0)})


def chosen(never: float) -> onnx.ModelProto:
    return attention([node("Where", ["open", "s", "never"], ["m"])], {"open": CAUSAL == 0, "never": never})


def filled(never: float) -> onnx.ModelProto:
    """Where with the condition the other way, and a number as wide as the scores."""
    return attention(
        [node("Where", ["shut", "never", "s"], ["m"])], {"shut": CAUSAL > 0, "never": np.full_like(CAUSAL, never)}
    )


def computed(never: float) -> onnx.ModelProto:
    """(1 − open) · never, where `open` comes from the example."""
    return attention(
        [
            *_open(),
            node("Sub", ["one", "open"], ["shut"]),
            node("Mul", ["shut", "never"], ["mask"]),
            node("Add", ["s", "mask"], ["m"]),
        ],
        {"mean": 1 / WIDTH * np.ones((WIDTH, 1)), "one": 1, "zero": -0.5, "never": never},
    )


def multiplied(never: float) -> onnx.ModelProto:
    """open · s + (1 − open) · never."""
    return attention(
        [
            *_open(),
            node("Sub", ["one", "open"], ["shut"]),
            node("Mul", ["s", "open"], ["so"]),
            node("Mul", ["shut", "never"], ["mask"]),
            node("Add", ["so", "mask"], ["m"]),
        ],
        {"mean": 1 / WIDTH * np.ones((WIDTH, 1)), "one": 1, "zero": -0.5, "never": never},
    )


def before_scaling(never: float) -> onnx.ModelProto:
    return attention(
        [node("Add", ["s", "mask"], ["a"]), node("Mul", ["a", "half"], ["m"])],
        {"mask": np.where(CAUSAL > 0, never, 0), "half": 0.5},
    )


def twice(never: float) -> onnx.ModelProto:
    """Two masks, whose sum may be beyond float32."""
    return attention(
        [node("Add", ["s", "mask"], ["a"]), node("Add", ["a", "mask"], ["m"])], {"mask": np.where(CAUSAL > 0, never, 0)}
    )


def bounded(never: float) -> onnx.ModelProto:
    """A maximum with the mask's own number after it, as against an infinite one."""
    return attention(
        [node("Add", ["s", "mask"], ["a"]), node("Max", ["a", "never"], ["m"])],
        {"mask": np.where(CAUSAL > 0, never, 0), "never": never},
    )


def joined(never: float) -> onnx.ModelProto:
    """Half of the scores, and a block of the mask in the place of the others."""
    return attention(
        [
            node("Slice", ["s", "start", "end", "axis"], ["half"]),
            node("Concat", ["half", "never"], ["m"], axis=2),
        ],
        {
            "start": np.array([0]),
            "end": np.array([STEPS // 2]),
            "axis": np.array([2]),
            "never": np.full((1, STEPS, STEPS // 2), never),
        },
    )


def padded(never: float) -> onnx.ModelProto:
    """The same by a Pad."""
    return attention(
        [node("Slice", ["s", "start", "end", "axis"], ["half"]), node("Pad", ["half", "pads", "never"], ["m"])],
        {
            "start": np.array([0]),
            "end": np.array([STEPS // 2]),
            "axis": np.array([2]),
            "pads": np.array([0, 0, 0, 0, 0, STEPS // 2]),
            "never": never,
        },
    )


def largest(never: float) -> onnx.ModelProto:
    """The largest of some steps, the others filled."""
    random = np.random.default_rng(1)
    nodes = [
        node("MatMul", ["x", "w"], ["h"]),
        node("Where", ["open", "h", "never"], ["m"]),
        node("ReduceMax", ["m"], ["f"], axes=[1], keepdims=0),
        node("Gemm", ["f", "wh", "bh"], ["y"]),
    ]
    weights = {"w": random.normal(size=(WIDTH, WIDTH)), "wh": random.normal(size=(WIDTH, 5)), "bh": np.zeros(5)}
    return _graph(nodes, weights | {"open": np.arange(STEPS)[None, :, None] < 5, "never": never}, (1, STEPS, WIDTH))


def shut_class(never: float) -> onnx.ModelProto:
    """A bias after which one class is never told."""
    random = np.random.default_rng(1)
    nodes = [
        node("ReduceMean", ["x"], ["f"], axes=[1], keepdims=0),
        node("Gemm", ["f", "wh", "bh"], ["l"]),
        node("Softmax", ["l"], ["y"], axis=-1),
    ]
    weights = {"wh": 3 * random.normal(size=(WIDTH, 5)), "bh": np.array([0, 0.3, never, 0, -0.2])}
    return _graph(nodes, weights, (1, STEPS, WIDTH))


def clipped(never: float) -> onnx.ModelProto:
    """Bounds that bind nothing."""
    return attention(
        [
            node("Clip", ["s", "never", "ever"], ["a"]),
            node("Max", ["a", "never"], ["b"]),
            node("Min", ["b", "ever"], ["m"]),
        ],
        {"never": never, "ever": -never},
    )


MASKS: dict[str, Callable[[float], onnx.ModelProto]] = {
    each.__name__: each
    for each in (
        added, taken, chosen, filled, computed, multiplied, before_scaling, twice, bounded, joined, padded, largest,
        shut_class, clipped,
    )
}  # fmt: skip


def pooled(never: float, after: str = "", **pool: Any) -> onnx.ModelProto:
    """Conv, LeakyRelu, Pad of `never`, perhaps an operator, MaxPool, Conv, mean, dense: 3 × 8 × 8 to 5."""
    random = np.random.default_rng(2)
    nodes = [
        node("Conv", ["x", "w0", "b0"], ["c0"], pads=[1] * 4),
        node("LeakyRelu", ["c0"], ["r0"], alpha=0.2),
        node("Pad", ["r0", "pads", "never"], ["p"]),
        *([node(after, ["p"], ["pa"])] if after else []),
        node("MaxPool", ["pa" if after else "p"], ["mp"], **{"kernel_shape": [3, 3], "strides": [2, 2], **pool}),
        node("Conv", ["mp", "w1", "b1"], ["c1"], pads=[1] * 4),
        node("Relu", ["c1"], ["r1"]),
        node("GlobalAveragePool", ["r1"], ["g"]),
        node("Flatten", ["g"], ["f"]),
        node("Gemm", ["f", "wh", "bh"], ["y"]),
    ]
    weights = {
        "w0": random.normal(size=(8, 3, 3, 3)) / 5, "b0": random.normal(size=8) - 1,
        "w1": random.normal(size=(8, 8, 3, 3)) / 8, "b1": random.normal(size=8),
        "wh": random.normal(size=(8, 5)), "bh": random.normal(size=5),
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "never": never,
    }  # fmt: skip
    return _graph(nodes, weights, (1, 3, 8, 8))


def _open() -> list[onnx.NodeProto]:
    """Steps whose mean is above a number, (1, 1, 8) of ones and zeros."""
    return [
        node("MatMul", ["x", "mean"], ["xm"]),
        node("Transpose", ["xm"], ["xt"], perm=[0, 2, 1]),
        node("Greater", ["xt", "zero"], ["is_open"]),
        node("Cast", ["is_open"], ["open"], to=TensorProto.FLOAT),
    ]


def _graph(nodes: list[onnx.NodeProto], constants: dict[str, Any], shape: tuple[int, ...]) -> onnx.ModelProto:
    """Numbers are float32, but for those that are whole or true already."""
    kept = {name: np.asarray(value) for name, value in constants.items()}
    whole = {name: value for name, value in kept.items() if value.dtype.kind in "b" or name in _INDICES}
    made = graph(nodes, {name: value for name, value in kept.items() if name not in whole}, shape, (1, 5))
    made.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in whole.items())
    made.opset_import[0].version = 17
    del made.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(made)


_INDICES = ("pads", "start", "end", "axis")
