"""Export torch models to ONNX, verify them, and count their parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

from ...core.errors import UserError
from .. import metadata
from ..predict import in_torch, predict
from .multiplications import inferred, multiplications
from .packed_weights import stored
from .standard_form import standardize

if TYPE_CHECKING:
    from torch import nn

    from ...data.dataset import Dataset

_FILL = 100.0
TOLERANCE = 1e-3
"""Largest difference of the exported graph's outputs from torch's, as a share of the largest output."""


def export(
    module: nn.Module,
    data: Dataset,
    path: Path,
    *,
    opset: int = 18,
    embed: Collection[str] = (),
    raw: bool = False,
    simplify: bool = True,
    warn: Callable[[str], object] = len,
) -> float:
    """Write `module` as one self-contained ONNX file, simplified, with a batch of 1 and the metadata contract.

    `embed` puts `normalize` before it and `softmax` after it into the graph; `raw` makes it take uint8. Less is
    simplified where the outputs would change, of which `warn` is called.
    Returns the largest difference from torch on validation examples, as a share of the largest output;
    raises UserError when it is above `TOLERANCE` or the exporter refuses the module.
    """
    import torch

    from .pre_post_processing import Embedded, embedded
    from .torch_graphs import graphs

    contract = embedded(metadata.describe(data), embed, raw)
    module = module.eval().to(memory_format=torch.contiguous_format)
    apart, outputs = module, ["output"]
    if data.task == "detection":
        apart, outputs, contract = _heads(module, contract)
    wrapped = Embedded(apart, data, contract).eval() if embed or raw else apart
    columns = metadata.to_model_inputs(contract, data, data["validation"].x[:64])
    example = tuple(torch.from_numpy(column[:1].copy()) for column in columns)
    differs = ""
    for way, model in graphs(wrapped, example, [input.name for input in data.inputs], opset, simplify, outputs):
        plain = standardize(model)
        _pool(plain.graph)
        metadata.embed(plain, metadata.with_outputs(contract, plain))
        write(plain, path)
        found = predict(path, columns)
        found = metadata.to_heads(found, contract, data) if data.task == "detection" else found
        error = off(found, _in_torch(module, data, contract))
        if error <= TOLERANCE:
            if differs:
                warn(f"was simplified {way}, since the graph {differs} otherwise")
            return error
        differs = differs or f"differs from torch by {error:.1%} of the largest output"
    raise UserError(f"the exported graph {differs}")


def _heads(module: Any, contract: dict[str, Any]) -> tuple[nn.Module, list[str], dict[str, Any]]:
    """Return a detector with an output for each head, their names, and the contract that says how they are decoded."""
    from ..detectors import Heads

    decode = module.edgepress.decode
    written = decode.model_dump(mode="json", exclude_defaults=True)
    return Heads(module).eval(), decode.names(), contract | {"decode": written}


def _in_torch(module: nn.Module, data: Dataset, contract: dict[str, Any]) -> np.ndarray:
    """Return torch's outputs for validation examples, as probabilities where the file gives these."""
    outputs = in_torch(module, data.to_model_inputs(data["validation"].x[:64]))
    if contract["outputs"][0]["meaning"] == "probabilities":
        outputs = outputs.softmax(1) if data.targets.link == "softmax" else outputs.sigmoid()
    return outputs.numpy()


def _pool(graph: onnx.GraphProto) -> None:
    """Write the mean over height and width as GlobalAveragePool, the one that has an integer kernel."""
    axes = {tensor.name: constant(tensor).tolist() for tensor in graph.initializer if len(tensor.dims) == 1}
    for node in graph.node:
        keeps = all(entry.i == 1 for entry in node.attribute if entry.name == "keepdims")
        spatial = len(node.input) == 2 and axes.get(node.input[1]) in ([2, 3], [-2, -1], [-1, -2], [3, 2])
        if node.op_type == "ReduceMean" and keeps and spatial:
            source = node.input[0]
            del node.input[:], node.attribute[:]
            node.op_type = "GlobalAveragePool"
            node.input.append(source)
    used = {name for node in graph.node for name in node.input}
    tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(tensors)


class Size(NamedTuple):
    """Learnt numbers, and multiply-accumulates of convolutions and matrix products for one example.

    `macs` is None where a shape that they follow from is not known, or an operator of another domain may have more.
    """

    parameters: int
    macs: int | None


def size(path: Path) -> Size:
    """Count an ONNX file. The scales and zero points of quantization are not learnt and do not count."""
    return _counts(path)[0]


def nonzero(path: Path) -> int:
    """Count the learnt numbers of an ONNX file that are not 0."""
    return _counts(path)[1]


def _counts(path: Path) -> tuple[Size, int]:
    graph = inferred(onnx.load(path)).graph
    tensors = {t.name: t for t in graph.initializer}
    source = {out: node for node in graph.node for out in node.output}
    shapes = {f"{v.name}{_ROUNDED}": shape(v) for v in graph.output}
    values_of = [*graph.value_info, *graph.input, *graph.output]
    shapes |= {v.name: shape(v) for v in values_of if v.type.tensor_type.HasField("shape")}
    unpacked = stored(graph)

    def weight(name: str) -> str | None:
        """Return the initializer that `name` stands for, through a DequantizeLinear or what unpacks it."""
        if name in tensors:
            return name
        if name in unpacked:
            return unpacked[name]
        node = source.get(name)
        return weight(node.input[0]) if node is not None and node.op_type == "DequantizeLinear" else None

    learnt: dict[str, int] = {}
    macs: list[int | None] = []
    for node in graph.node:
        makers = {source[name].op_type for name in node.input if name in source}
        of_scales = node.op_type == "Mul" and "DynamicQuantizeLinear" in makers
        if of_scales or node.op_type in ("QuantizeLinear", "DequantizeLinear", "Clip") or node.output[0] in unpacked:
            continue
        values = [node.input[i] for i in _VALUES.get(node.op_type, range(len(node.input))) if i < len(node.input)]
        for name in map(weight, values):
            # A scalar is a constant of the formula; integers are axes, shapes and indices.
            if name is not None and tensors[name].dims and tensors[name].data_type != onnx.TensorProto.INT64:
                learnt[name] = math.prod(tensors[name].dims)
        kernel = weight(values[1]) if len(values) > 1 else None
        if kernel is not None:
            macs.append(multiplications(node, tensors[kernel].dims, shapes.get(node.output[0])))
    filled = sum(int(np.count_nonzero(numpy_helper.to_array(tensors[name]))) for name in learnt)
    known = [count for count in macs if count is not None]
    return Size(sum(learnt.values()), sum(known) if len(known) == len(macs) else None), filled


_ROUNDED = "_QuantizeLinear_Input"
"""What onnxruntime's quantizer appends to the name of an output that it rounds."""
_VALUES = {
    "ConvInteger": (0, 1),
    "MatMulInteger": (0, 1),
    "QLinearConv": (0, 3, 8),
    "QLinearMatMul": (0, 3),
    "QGemm": (0, 3, 6),
    "QLinearAdd": (0, 3),
    "QLinearMul": (0, 3),
}
"""Which inputs of an operator with integers inside are values: the others are scales and zero points."""


def quantized(model: onnx.ModelProto) -> bool:
    """Return whether a graph holds quantized tensors already."""
    marks = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", *_VALUES}
    return any(node.op_type in marks for node in model.graph.node)


def opset(model: onnx.ModelProto) -> int:
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)


def holds_fills(path: Path) -> bool:
    """Return whether an ONNX file has constants so large, or infinite, that they may mean "never", as in a mask."""
    graph = onnx.load(path).graph
    tensors = [*graph.initializer, *(entry.t for node in graph.node for entry in node.attribute if entry.HasField("t"))]
    floats = (numpy_helper.to_array(entry) for entry in tensors if entry.data_type in (1, 10, 11))
    return any(not float(np.abs(values).max(initial=0)) < _FILL for values in floats)


def constant(tensor: onnx.TensorProto) -> np.ndarray:
    """Return the array of an initializer."""
    array: np.ndarray = numpy_helper.to_array(tensor)
    return array


def write(model: onnx.ModelProto, path: Path) -> None:
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def off(outputs: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference, as a share of the largest expected output."""
    return float(np.abs(outputs - expected).max() / max(float(np.abs(expected).max()), 1e-6))


def shape(value: onnx.ValueInfoProto) -> list[int]:
    return [d.dim_value for d in value.type.tensor_type.shape.dim]
