"""Name what newer versions do otherwise for some graphs alone.

The cache key has it for those graphs; the keys of all others stay what they were.
"""

from __future__ import annotations

from pathlib import Path

import onnx

from .recurrent import OPERATORS
from .scalable import joins
from .ties import end, many_classes


def newer(path: Path) -> dict[str, str]:
    """Return what shapes a calibrated int8 form of this float ONNX file since it was first made."""
    model = onnx.load(path)
    found = {"equalization": "through joins"} if joins(model) else {}
    if any(node.op_type in OPERATORS for node in model.graph.node):
        found["recurrent"] = "int8 where that is accurate"
    if many_classes(model.graph) and end(model.graph):
        found["ties"] = "the last layer in float"
    return found
