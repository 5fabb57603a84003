"""Read an ONNX file and refuse, in words, what no recipe can use."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import onnx

from ...core import system_errors
from ...core.activity import activity
from ...core.errors import UserError, first_line
from ...core.model_size import stored_bytes
from . import external_data

_KINDS = {
    "sequence_type": "a sequence",
    "map_type": "a map",
    "optional_type": "an optional value",
    "sparse_tensor_type": "a sparse tensor",
}
_STRING = onnx.TensorProto.STRING


RUN_ALONE = "mend the graph until `onnxruntime.InferenceSession` runs it; another export or operator set may do"
"""The next act for a file that onnxruntime does not run."""


def read(source: Path) -> onnx.ModelProto:
    """Return the sound model of a file, with weights beside it loaded. Raises: UserError."""
    stored_bytes(source)  # refuses what no reader can hold
    try:
        with activity(doing="reading", file=source, library="onnx"):
            model = onnx.load(source, load_external_data=False)
            external_data.check(model, source)
            onnx.load_external_data_for_model(model, str(source.parent))
            onnx.checker.check_model(model)
    except UserError:
        raise
    except (onnx.checker.ValidationError, ValueError, OSError, TypeError, RuntimeError) as error:
        fault = system_errors.of(error, source)
        if fault and os.strerror(errno.ENAMETOOLONG) not in str(fault):  # such a name stands in the file
            raise fault from error
        raise UserError(f"`{source}` is not a sound ONNX file: {first_line(error)}", _beside(source)) from error
    except Exception as error:
        # protobuf's DecodeError has no stable home across its versions.
        if type(error).__name__ != "DecodeError":
            raise
        raise UserError(f"`{source}` is not an ONNX file", "export it again, or name another file") from error
    _require_tensors(source, model.graph)
    return without_weight_inputs(model)


def without_weight_inputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """List weights as weights alone: until IR 3, of 2019, they had to be inputs as well."""
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    if len(inputs) < len(model.graph.input):
        del model.graph.input[:]
        model.graph.input.extend(inputs)
        model.ir_version = max(model.ir_version, 4)
    return model


def _require_tensors(source: Path, graph: onnx.GraphProto) -> None:
    if not graph.output:
        raise UserError(f"`{source}` has no outputs, so there is nothing to run it for", "export it anew")
    for side, values in (("takes", graph.input), ("gives", graph.output)):
        for value in values:
            kind = value.type.WhichOneof("value")
            if kind in _KINDS or (kind == "tensor_type" and value.type.tensor_type.elem_type == _STRING):
                raise UserError(
                    f"`{source}` {side} {_KINDS.get(kind, 'text')} as `{value.name}`, and only tensors of numbers are "
                    "quantized and converted",
                    "export the part between that takes and gives tensors",
                )
            if side == "takes" and value.type.tensor_type.elem_type not in onnx.helper.get_all_tensor_dtypes():
                raise UserError(f"`{source}` states no type of numbers for its input `{value.name}`", "export it anew")


def _beside(source: Path) -> str:
    """Return what to do where the file keeps weights in other files, which are the likely reason."""
    try:
        graph = onnx.load(source, load_external_data=False).graph
    except Exception:  # as in `read`
        return ""
    entries = (entry for tensor in graph.initializer for entry in tensor.external_data if entry.key == "location")
    location = next((entry.value for entry in entries), None)
    if location is None:
        return ""
    shown = location if len(location) < 80 else f"{location[:60]}…"
    return f"its weights are in `{shown}`, beside it: put that file there, or save the model as one file"
