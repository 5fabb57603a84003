"""What all `quantize.*` stages have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from ...core.errors import Rejection
from ...stage import Setting, Shrinks, Stage
from . import summary


class Quantization(Stage):
    """From a float ONNX model to one with fewer bits."""

    family: ClassVar = "quantize"
    takes: ClassVar = "onnx"
    gives: ClassVar = "onnx"
    libraries: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "numpy")
    shrinks: ClassVar[tuple[Shrinks, ...]] = ("bytes",)

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        source = setting.sources.get("input")
        if source and source.quantized:
            help = "name the float model: `input: NAME OF ITS STAGE`"
            yield Rejection(f"what `{source.stage.use}` makes is quantized already", help, ("input",))

    @classmethod
    def summarize(cls, notes: dict[str, Any]) -> list[str]:
        return list(summary.lines(notes))
