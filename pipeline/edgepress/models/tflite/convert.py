"""Convert ONNX graphs to TFLite: float, or int8 with the QDQ integers.

Images are NCHW in ONNX and NHWC in the file, for inputs and outputs of rank 4 alike; signals (N, C, L) that come to a
convolution or a pool are (N, L, C) among the inputs (see `layouts`). Names are the graph's, and so are the types, save
that int64 is int32 in the file.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from ...core.errors import UserError

if TYPE_CHECKING:
    import onnx

    from .lowering import Lowering

METADATA = "edgepress"


def write(model: onnx.ModelProto, metadata: dict[str, Any], dynamic: bool = False) -> bytes:
    """Return a TFLite file that computes what the ONNX model does.

    A float model gives a float file. In a QDQ model (int8 activations, symmetric int8 weights) every
    DequantizeLinear → operator → QuantizeLinear becomes one int8 operator with the graph's scales and zero points;
    what the graph computes in float stays float. Weights packed as float16 or int8 (see `weights`) stay so in the file.

    Args:
        model: operator set 13 or later, fixed shapes, simplified.
        metadata: JSON data, kept in the file's metadata under `edgepress`; see `read_metadata`.
        dynamic: let packed int8 weights of convolutions and matrix products meet activations that are quantized as
            they come, instead of unpacking them.

    Raises:
        UserError: an operator, or a use of one, that is not in the set; it names the node.
    """
    from .folding import folded
    from .layout import IMAGE, channels_last
    from .lowering import Lowering
    from .operator_set import require
    from .ops.table import INTEGER, LAYOUTS, OPERATORS
    from .reader import read

    model = folded(model)
    require(model.graph.node)
    graph = read(model, INTEGER, dynamic)
    lowering = Lowering(graph, channels_last(graph, LAYOUTS))
    for name, dtype in graph.inputs.items():
        shape = lowering.file_shape(name)
        lowering.tensors[name] = lowering.file.tensor(name, shape, dtype, graph.quantization.get(name))
    for node in graph.nodes:
        OPERATORS[node.op].lower(lowering, node)
    outputs = {
        name: _constant(lowering, name)
        if name in graph.constants
        else lowering.ordered(name, last=len(graph.shape(name)) == IMAGE)
        for name in graph.outputs
    }
    inputs = {name: lowering.tensors[name] for name in graph.inputs}
    for name, tensor in outputs.items():
        if tensor not in inputs.values():
            lowering.file.rename(tensor, name)
    return lowering.file.finish(inputs, outputs, {METADATA: json.dumps(metadata, sort_keys=True).encode()})


def _constant(lowering: Lowering, name: str) -> int:
    """Return an output that is the same for every input, such as the anchors of a detector, as a tensor with data."""
    from .graph import narrow
    from .layout import IMAGE, TO_LAST

    values = lowering.graph.constants[name].real
    values = values.transpose(TO_LAST[IMAGE]) if values.ndim == IMAGE else values
    return lowering.file.constant(name, values.astype(narrow(values.dtype)))


Layout = Literal["NCHW→NHWC", "NCL→NLC", "same"]


def layouts(model: onnx.ModelProto) -> dict[str, Layout]:
    """Return how the axes of every input of the ONNX graph are ordered in the file that `write` makes of it.

    Raises:
        UserError: as `write`.
    """
    from .folding import folded
    from .layout import SIGNAL, channels_last
    from .operator_set import require
    from .ops.table import INTEGER, LAYOUTS
    from .reader import read

    model = folded(model)
    require(model.graph.node)
    graph = read(model, INTEGER)
    last = channels_last(graph, LAYOUTS)

    def layout(name: str) -> Layout:
        if name not in last:
            return "same"
        return "NCL→NLC" if len(graph.shape(name)) == SIGNAL else "NCHW→NHWC"

    return {name: layout(name) for name in graph.inputs}


def read_metadata(data: bytes) -> dict[str, Any]:
    """Return the metadata that `write` put into a file.

    Raises:
        UserError: the file is not TFLite, or has no entry `edgepress`.
    """
    from ai_edge_litert import schema_py_generated as schema

    if data[4:8] != b"TFL3":
        raise UserError("this is not a TFLite file", "it should start with the identifier `TFL3`")
    model = schema.Model.GetRootAs(data)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == METADATA.encode():
            metadata: dict[str, Any] = json.loads(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
            return metadata
    raise UserError(f"this TFLite file has no metadata called `{METADATA}`", "convert the model with edgepress")
