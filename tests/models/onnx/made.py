"""Small ONNX graphs from `x` to `y`, and data that they take, with outputs that are compared with the file's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from edgepress.data.dataset import Dataset, Input, Split
from edgepress.models.onnx.importer import Imported, adopt
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
RANDOM = np.random.default_rng(0)
node = helper.make_node
IMAGE = Input("input", "image", (3, 8, 8), 1.0, (0.0,) * 3, (1.0,) * 3, normalized_by="recipe")
TOKENS = Input("input", "tokens", (12,), vocabulary=50)
SERIES = Input("input", "series", (4, 32), 1.0, (0.0,) * 4, (1.0,) * 4, normalized_by="recipe")


def weights(*shape: int, random: np.random.Generator = RANDOM) -> np.ndarray:
    return (random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def graph(
    nodes: Sequence[onnx.NodeProto],
    tensors: dict[str, Any],
    shape: Sequence[Any] = (1, 3, 8, 8),
    dtype: int = FLOAT,
    out: int = FLOAT,
    opset: int = 17,
) -> onnx.ModelProto:
    """A model from `x` of that shape and type to `y` (1, 5)."""
    made = helper.make_graph(
        list(nodes), "made",
        [helper.make_tensor_value_info("x", dtype, shape)], [helper.make_tensor_value_info("y", out, [shape[0], 5])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()],
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def images(source: str = "x") -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """A convolution, a mean and a dense layer, from `source` to `y`."""
    nodes = [
        node("Conv", [source, "w", "b"], ["c"], pads=[1] * 4), node("Relu", ["c"], ["r"]),
        node("GlobalAveragePool", ["r"], ["p"]), node("Flatten", ["p"], ["f"]), node("Gemm", ["f", "v"], ["y"]),
    ]  # fmt: skip
    return nodes, {"w": weights(8, 3, 3, 3), "b": weights(8, 1)[:, 0], "v": weights(8, 5)}


def data(input: Input = IMAGE, *, pixels: bool = False, x: np.ndarray | None = None) -> Dataset:
    random = np.random.default_rng(1)
    if x is not None:
        pass
    elif input.kind == "tokens":
        x = random.integers(0, input.vocabulary, (20, *input.shape))
    elif pixels:
        x = random.integers(0, 256, (20, *input.shape)).astype(np.uint8)
    else:
        x = random.normal(size=(20, *input.shape)).astype(np.float32)
    y = random.normal(size=(20, 5)).astype(np.float32)
    splits = {name: Split(x, y) for name in ("train", "validation", "test")}
    return Dataset("made", tuple(f"y{number}" for number in range(5)), splits, (input,), "regression")


def imported(model: onnx.ModelProto, folder: Path, given: Dataset, **options: Any) -> tuple[onnx.ModelProto, Imported]:
    """The file that `adopt` makes of the model, and what it returns."""
    onnx.save(model, folder / "given.onnx")
    result = adopt(folder / "given.onnx", given, folder / "made.onnx", **options)
    return onnx.load(folder / "made.onnx"), result


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, {session.get_inputs()[0].name: x})[0]
    return found


def operators(model: onnx.ModelProto) -> list[str]:
    return [each.op_type for each in model.graph.node]
