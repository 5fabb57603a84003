"""The bytes of a model file with the weights that it keeps in other files."""

from __future__ import annotations

import math
import os
from pathlib import Path

from . import foreign
from .errors import UserError
from .units import show_bytes

LARGEST = {".onnx": 2**31, ".tflite": 2**31}
"""Bytes, from which on protobuf and flatbuffers cannot address."""
_EXTERNAL = b"location"
"""Key under which an ONNX file names a file of weights."""
_WHOLE = 64 * 2**20
"""A file of more bytes is not searched: what its own size allows is enough for reading it."""


def stored_bytes(path: Path) -> int:
    """Return the bytes of `path` and of the files of weights beside it that it names; absent ones count nothing."""
    size = foreign.size(path)
    if size >= LARGEST.get(path.suffix, math.inf):
        help = "weights of more than that lie beside an ONNX file; is it the one you mean?"
        raise UserError(f"`{path}` has {show_bytes(size)}, and such a file has less than 2.15 GB", help)
    if path.suffix != ".onnx" or size > _WHOLE or _EXTERNAL not in path.read_bytes():
        return size
    import onnx

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception:  # protobuf's error has no stable home; the reader of the file says what is wrong
        return size
    entries = [entry for tensor in graph.initializer for entry in tensor.external_data if entry.key == "location"]
    beside = {path.parent / entry.value for entry in entries}
    return size + sum(file.stat().st_size for file in beside if os.path.isfile(file))
