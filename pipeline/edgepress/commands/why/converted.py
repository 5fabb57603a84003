"""Compare the tensors of a TFLite file with those of the int8 ONNX file that it was converted from.

TFLite computes in integers, by its own kernels without XNNPACK, which keeps no tensor between; the ONNX file is
computed in float between its roundings. What both round alike differs by one step of the scale at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ...core.activity import begun
from ...core.explained import Likeness
from ...models.session import without_delegates
from .cones import Graph
from .values import Columns, Sums, giving, values

Tensors = dict[str, np.ndarray]


def likenesses(path: Path, names: Iterable[str], columns: Columns, file: Path, own: Columns) -> dict[str, Likeness]:
    """Return how like the tensors `names` of the ONNX file are in the TFLite `file`, of those that it has.

    `columns` are inputs of `path`, and `own` the same ones in the layouts of `file`; see `predict.laid_out`.
    """
    graph = Graph(onnx.load(path))
    stored = {name: graph.stored(name) for name in names}
    sums: dict[str, Sums] = {}
    for expected, tensors in zip(values(giving(graph, list(stored)), columns), _tensors(file, own), strict=True):
        for tensor, value in zip(stored, expected, strict=True):
            if (theirs := _of(tensors, stored[tensor], value)) is not None:
                sums.setdefault(tensor, Sums()).add(value, theirs)
    return {name: total.likeness for name, total in sums.items()}


def _of(tensors: Mapping[str, np.ndarray], name: str, value: np.ndarray) -> np.ndarray | None:
    """Return a tensor in ONNX's layout: as it is, or with the last axis second, whichever is nearer to `value`."""
    if name not in tensors:
        return None
    own = tensors[name]
    layouts = [own, np.moveaxis(own, -1, 1)] if own.ndim > 2 else [own]
    fitting = [layout for layout in layouts if layout.shape == value.shape]
    return min(fitting, key=lambda layout: float(((layout - value) ** 2).sum()), default=None)


def _tensors(file: Path, columns: Columns) -> Iterator[Tensors]:
    """Yield the tensors of a TFLite file by name for each example, as the numbers that integers stand for."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with without_delegates():
        interpreter = Interpreter(
            str(file), num_threads=1, experimental_op_resolver_type=plain, experimental_preserve_all_tensors=True
        )
        interpreter.allocate_tensors()
    inputs, details = interpreter.get_input_details(), interpreter.get_tensor_details()
    for row in begun(zip(*columns, strict=True)):
        for entry, value in zip(inputs, row, strict=True):
            interpreter.set_tensor(entry["index"], np.ascontiguousarray(value[None], entry["dtype"]))
        interpreter.invoke()
        yield {entry["name"]: value for entry in details if (value := _value(interpreter, entry)) is not None}


def _value(interpreter: Any, entry: Mapping[str, Any]) -> np.ndarray | None:
    """Return a tensor's numbers; None for one without data, such as a scratch tensor of a kernel."""
    try:
        raw: np.ndarray = interpreter.get_tensor(entry["index"])
    except ValueError:
        return None
    scales, zeros = (entry["quantization_parameters"][key] for key in ("scales", "zero_points"))
    if raw.dtype.kind not in "iu" or len(scales) != 1:
        return raw if raw.dtype.kind == "f" else None
    return (raw.astype(np.float32) - zeros[0]) * scales[0]
