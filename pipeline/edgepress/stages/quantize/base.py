"""What all `quantize.*` stages have in common."""

from __future__ import annotations

from collections.abc import Sequence
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
    timed: ClassVar[tuple[str, ...]] = ("tried", "seconds")

    @classmethod
    def summarize(cls, notes: dict[str, Any]) -> list[str]:
        return list(summary.lines(notes))

    @classmethod
    def explain_loss(cls, notes: dict[str, Any], presets: Sequence[str]) -> str:
        return summary.costliest(notes, presets)
