"""Run a model file on examples, in the runtime of its kind."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx.external_data_helper import uses_external_data

from ..core import system_errors
from ..core.activity import Bounds, begin_run, bounded
from ..core.columns import joined, split
from ..core.machine import machine
from ..core.paths import scratch
from ..core.presets import host_preset
from ..core.runtime_errors import cannot_run
from ..core.runtimes import RUNTIMES, of_file
from ..core.threads import at_most
from .metadata import CHANNELS_LAST, read
from .onnx.packed_weights import unpacked
from .onnx.uint8 import is_signed_only, signed, unsigned
from .output_shape import of_examples
from .prepared import Column, Columns, PreparedColumn, columns_of
from .session import Kernels, OpenShapeError, run_file

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ..data.dataset import Dataset
    from ..data.rows import Rows

PREPARED = 2**27
"""Bytes, as float32, of inputs that are read at once."""
_REFUSED = "leave the conversion out, or the layers whose numbers are far from those of the others: `edgepress why`"
_ALIKE = frozenset((
    "QuantizeLinear", "DequantizeLinear", "Conv", "ConvTranspose", "Gemm", "Relu", "Clip", "Max", "Add",
    "GlobalAveragePool", "ReduceMean", "MaxPool", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose",
))  # fmt: skip
"""Operators whose kernels for unsigned activations round as signed ones on x86 with VNNI, but for rare sums of
an Add that lie between two integers. A HardSwish, and a product with a Sigmoid, are often a step apart."""
AT_ONCE = 8
"""Examples that a torch module computes at once to be compared with its file."""


def predict(
    path: Path, inputs: np.ndarray | Columns, runtime: str | None = None, kernels: Kernels | None = None
) -> np.ndarray:
    """Return outputs of an `.onnx` or `.tflite` file for `inputs`, in ONNX's layouts; each core runs one at a time.

    One output is float32 (n, *shape); several are a structured array (n,) of the outputs' names, in their order.
    `inputs` has one array (n, *shape) for each input of the file, in their order and in ONNX's layouts; a single one
    may stand alone. `runtime` is a name of `core.runtimes`; by default the fast one for the file.
    By default `kernels` are signed for int8 activations, which are for other processors than x86: what is integer is
    then the same to the bit there, and in the TFLite file. Where such kernels are not usual, they are slow: on x86 with
    VNNI the unsigned twin of the file is run where it has the same numbers, but for an Add's between two integers.
    Raises: UserError for an output whose size depends on the example, and for a TFLite file that its runtime refuses.
    """
    columns = inputs if isinstance(inputs, tuple) else (inputs,)
    fast = of_file(path)
    columns = laid_out(path, columns)
    threads = at_most()
    bounds = Bounds(path.stat().st_size, sum(column[:1].nbytes for column in columns), threads)
    with _computed(path, kernels) as (file, by), bounded(bounds, doing="running", file=path, library=runtime or fast):
        loader = RUNTIMES[runtime or fast].loader
        try:
            return joined(run_file(loader, file, columns, by, named(path), threads, begin_run))
        except OpenShapeError as error:
            raise of_examples(path, error.name, error.shapes) from error
        except (RuntimeError, ValueError) as error:
            if path.suffix != ".tflite" or system_errors.of(error):
                raise
            raise cannot_run(Path(path.name), error, _REFUSED, runtime or fast) from error


@contextmanager
def _computed(path: Path, kernels: Kernels | None) -> Iterator[tuple[str, Kernels]]:
    """Yield a file with the results of `path`, and the kernels that give them."""
    if kernels or path.suffix != ".onnx":
        yield str(path), kernels or "usual"
        return
    with scratch() as work:
        twin = Path(work, path.name)
        found = _written(twin, onnx.load(path, load_external_data=False))
        yield str(twin if twin.exists() else path), found


def _written(twin: Path, model: onnx.ModelProto) -> Kernels:
    """Write the unsigned twin of a graph where it is the faster one; return the kernels for what is run."""
    if not signed(model):
        return "usual"
    if host_preset(machine()) != "x86" or not _has_twin(model.graph):
        return "signed"
    onnx.save(unsigned(model), twin)
    return "usual"


def _has_twin(graph: onnx.GraphProto) -> bool:
    """Return whether the unsigned twin computes the same numbers, from inputs and to outputs that are the same."""
    ends = {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}
    if onnx.TensorProto.INT8 in ends or any(map(uses_external_data, graph.initializer)):
        return False
    return is_signed_only(graph) and all(node.op_type in _ALIKE for node in unpacked(graph))


def predict_raw(path: Path, data: Dataset, x: Rows, kernels: Kernels | None = None) -> np.ndarray:
    """Return the outputs of a file for raw rows `x` of `data`, as `predict` does.

    They are read part by part, and normalized one by one: as floats, ten thousand photos would take gigabytes.
    """
    contract = read(path)
    outputs = [predict(path, columns_of(contract, data, part), kernels=kernels) for part in parts_of(data, x)]
    for part in outputs[1:]:
        for name, column in split(part).items():
            if column.shape[1:] != (first := split(outputs[0])[name]).shape[1:]:
                raise of_examples(path, name or contract["outputs"][0]["name"], [first.shape[1:], column.shape[1:]])
    return np.concatenate(outputs) if len(outputs) > 1 else outputs[0]


def parts_of(data: Dataset, x: Rows) -> Iterator[np.ndarray]:
    """Yield raw rows `x` of `data` part by part, as many at once as may be normalized."""
    rows = max(1, PREPARED // sum(4 * math.prod(input.shape) for input in data.inputs))
    return (x[start : start + rows] for start in range(0, len(x), rows))


def in_torch(module: nn.Module, inputs: tuple[np.ndarray, ...]) -> torch.Tensor:
    """Run a torch module on examples (n, *shape) of each input, `AT_ONCE` of them at a time.

    The activations of 64 photos at once would be a gigabyte, more than any other step takes.
    """
    import torch

    columns = (torch.from_numpy(column).split(AT_ONCE) for column in inputs)
    with torch.inference_mode():
        return torch.cat([module(*batch) for batch in zip(*columns, strict=True)])


def named(path: Path) -> list[tuple[str, bool | None]]:
    """Return the outputs of a TFLite file in the metadata's order, and whether channels are last; none of ONNX."""
    if path.suffix == ".onnx":
        return []
    last = CHANNELS_LAST.values()
    return [
        (entry["name"], entry.get("layout") in last if "shape" in entry else None) for entry in read(path)["outputs"]
    ]


def laid_out(path: Path, columns: Columns) -> tuple[Any, ...]:
    """Return arrays (n, *shape) in ONNX's layouts as the file takes them: TFLite has channels last."""
    if path.suffix == ".onnx":
        return columns
    last = [entry["layout"] in CHANNELS_LAST.values() for entry in read(path)["inputs"]]
    return tuple(_moved(column) if moves else column for column, moves in zip(columns, last, strict=True))


def _moved(column: Column) -> Column:
    if isinstance(column, PreparedColumn):
        return replace(column, last=True)
    assert isinstance(column, np.ndarray)
    return np.moveaxis(column, 1, -1)
