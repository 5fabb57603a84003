"""Convert ONNX to another runtime's file: `convert.*`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ..core.errors import Rejection, UserError
from ..models.checkpoint import load
from ..stage import Artifact, Context, Made, Setting, Stage
from .quantize.precision import QuantizeFloat16, QuantizeInt16
from .quantize.static import Calibrated, graph_of

if TYPE_CHECKING:
    from ..data.dataset import Dataset

CARRIED_OVER = ("dynamic", "float16", "int16", "weights")
"""Precisions that a TFLite file has from its ONNX graph."""


def _no_integers(preset: str) -> tuple[str, str]:
    return f"the model has no integers for `{preset}`", f"write `presets: [{preset}]` where it is quantized"


class ConvertTflite(Stage):
    """Convert ONNX to TFLite, with the same integers if quantized.

    A float graph becomes float TFLite. Weights of `quantize.weights` and `quantize.float16` are unpacked when the file
    is loaded.
    """

    family: ClassVar = "convert"
    takes: ClassVar = "onnx"
    gives: ClassVar = "tflite"
    libraries: ClassVar = ("onnx", "ai-edge-litert", "numpy")

    use: Literal["convert.tflite"]
    preset: Literal["xnnpack", "integer-only"] = Field(
        default="xnnpack",
        description="integer format taken from a quantized graph; `integer-only` has no float tensors, inputs and "
        "outputs included, for microcontrollers and Edge TPU, and must be listed in `presets` of the `quantize` stage",
    )
    dynamic: bool = Field(
        default=False,
        description="dynamic-range quantization: compute with the int8 weights of `quantize.weights` on activations "
        "quantized at run time, in matrix products and convolutions without groups",
    )

    def reject_input(self, source: Stage) -> tuple[str, str] | None:
        if self.dynamic and source.use != "quantize.weights":
            return "`dynamic` needs int8 weights to work with", "let it work on the result of `quantize.weights`"
        return None

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        source = setting.sources.get("input")
        if source is None:
            return
        if any(isinstance(stage, QuantizeFloat16) and stage.compute == "float16" for stage in graph_of(source)):
            help = "let `quantize.float16` have float32"
            yield Rejection("TFLite's kernels for processors do not compute in float16", help, ("input",))
        if self.preset != "integer-only" or source.stage.family == "load":
            return
        if not isinstance(source.stage, Calibrated | QuantizeInt16):
            help = "put `- {use: quantize.static, presets: [integer-only]}` above it"
            yield Rejection(f"`{source.stage.use}` makes no file of integers alone", help, ("preset",))
        elif isinstance(source.stage, Calibrated) and self.preset not in (*source.stage.presets, *setting.presets):
            yield Rejection(*_no_integers(self.preset), ("preset",))

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        import onnx

        from ..models.metadata import for_tflite, read_onnx
        from ..models.onnx.export import quantized
        from ..models.operators import operators
        from ..models.tflite.convert import layouts, write

        source = inputs["input"]
        if source.presets and self.preset not in source.presets:
            raise UserError(*_no_integers(self.preset))
        model = onnx.load(source.preset(self.preset))
        precision = source.notes.get("precision")
        transposed = [name for name, layout in layouts(model).items() if layout != "same"]
        file = write(model, for_tflite(read_onnx(model), transposed), self.dynamic)
        (context.folder / "model.tflite").write_bytes(file)
        if self.preset == "integer-only" and (floats := operators(context.folder / "model.tflite").real):
            raise UserError(
                f"`integer-only` has no floats, but these operators have no integers: {', '.join(floats)}",
                "a network without them, such as one with ReLU for HardSwish, or the preset `xnnpack`",
            )
        if self.dynamic:
            precision = "dynamic"
        elif precision not in CARRIED_OVER:
            precision = self.preset if quantized(model) else "float32"
        return Made("tflite", notes={"precision": precision})


class ConvertLitert(Stage):
    """Convert the torch model to float TFLite with litert-torch.

    For models with an operator that `convert.tflite` lacks.
    """

    family: ClassVar = "convert"
    takes: ClassVar = "torch"
    gives: ClassVar = "tflite"
    libraries: ClassVar = ("torch", "timm", "litert-torch", "ai-edge-litert", "numpy")

    use: Literal["convert.litert"]

    def check_data(self, data: Dataset, source: Path) -> list[str]:
        from ..models.tflite.litert_torch import require

        require()
        return []

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ..models.tflite.litert_torch import convert

        module, _ = load(inputs["input"].path, context.code)
        error = convert(module, context.data, context.folder / "model.tflite")
        return Made("tflite", notes={"precision": "float32", "largest_relative_error": error})
