"""What all `quantize.*` stages have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from ...stage import Shrinks, Stage
from . import summary


class Quantization(Stage):
    """From a float ONNX model to one with fewer bits."""

    family: ClassVar = "quantize"
    takes: ClassVar = "onnx"
    gives: ClassVar = "onnx"
    libraries: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "numpy")
    shrinks: ClassVar[tuple[Shrinks, ...]] = ("bytes",)

    @classmethod
    def summarize(cls, notes: dict[str, Any]) -> list[str]:
        return list(summary.lines(notes))
