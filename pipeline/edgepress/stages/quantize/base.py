"""What all `quantize.*` stages have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from ...core.errors import Rejection
from ...stage import Setting, Shrinks, Stage
from . import summary

PACKED = ("quantize.weights", "quantize.float16")


class Quantization(Stage):
    """From a float ONNX model to one with fewer bits."""

    family: ClassVar = "quantize"
    takes: ClassVar = "onnx"
    gives: ClassVar = "onnx"
    libraries: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "numpy")
    shrinks: ClassVar[tuple[Shrinks, ...]] = ("bytes",)
    takes_packed: ClassVar[bool] = False
    """Whether weights that are packed already, and unpacked when a file is loaded, do no harm."""
    timed: ClassVar[tuple[str, ...]] = ("tried", "seconds")

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        source = setting.sources.get("input")
        packed = source and source.stage.use in PACKED and getattr(source.stage, "compute", "float32") == "float32"
        if source and source.quantized and not (self.takes_packed and packed):
            help = "name the float model: `input: NAME OF ITS STAGE`"
            yield Rejection(f"what `{source.stage.use}` makes is quantized already", help, ("input",))

    @classmethod
    def summarize(cls, notes: dict[str, Any]) -> list[str]:
        return list(summary.lines(notes))

    @classmethod
    def explain_loss(cls, notes: dict[str, Any], presets: Sequence[str]) -> str:
        return summary.costliest(notes, presets)
