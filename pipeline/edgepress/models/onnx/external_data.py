"""Check the weights that an ONNX file keeps in other files, before they are read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from ...core import foreign
from ...core.errors import UserError

_AGAIN = "save the model as one file, or export it anew"


def check(model: onnx.ModelProto, source: Path) -> None:
    """Refuse weights that are not the bytes of a regular file beside `source`. Raises: UserError with the tensor."""
    for tensor in _tensors(model.graph):
        if not uses_external_data(tensor):
            continue
        info = ExternalDataInfo(tensor)
        about = f"`{source}`: the weights `{tensor.name}`"
        file = source.parent / info.location
        inside = not Path(info.location).is_absolute() and ".." not in Path(info.location).parts
        if foreign.unusable(info.location) or not inside or not file.exists():
            continue  # onnx says so
        if other := foreign.kind(file):
            raise UserError(f"{about} are in `{info.location}`, which is {other}", _AGAIN)
        there = file.stat().st_size - (info.offset or 0)
        length = there if info.length is None else info.length
        if not 0 <= length <= there:
            raise UserError(f"{about} end behind the end of `{info.location}`, by {length - there:,} bytes", _AGAIN)
        needed = _bytes(tensor)
        if needed is not None and needed != length:
            raise UserError(f"{about} take {needed:,} bytes, and {length:,} are kept for them", _AGAIN)


def beside(source: Path) -> dict[str, Path]:
    """Return the files of weights that an ONNX file names and that lie there, by location.

    The graph may stay the same bytes when they change.
    """
    if b"location" not in (content := source.read_bytes()):
        return {}
    try:
        graph = onnx.load_model_from_string(content).graph
    except Exception:  # protobuf's error has no stable home; the reader of the file says what is wrong
        return {}
    names = sorted({ExternalDataInfo(tensor).location for tensor in _tensors(graph) if uses_external_data(tensor)})
    within = [name for name in names if not Path(name).is_absolute() and ".." not in Path(name).parts]
    return {name: source.parent / name for name in within if (source.parent / name).is_file()}


def _bytes(tensor: onnx.TensorProto) -> int | None:
    """Return the bytes of a tensor's values; None for types of less than a byte, which are packed."""
    try:
        size = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, TypeError, ValueError):
        return None
    packed = "4" in onnx.TensorProto.DataType.Name(tensor.data_type)[-6:] and size == 1
    return None if packed else math.prod(tensor.dims) * size


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Yield the tensors of a graph and of those within it."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)
