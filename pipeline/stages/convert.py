"""`convert.*`: from ONNX to another runtime's file."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..stage import Artifact, Context, Made, Stage


class ConvertTflite(Stage):
    """Write TFLite from the ONNX graph: float from a float graph, and the very same integers from a quantized one."""

    takes: ClassVar = "onnx"
    gives: ClassVar = "tflite"
    libraries: ClassVar = ("onnx", "ai-edge-litert", "numpy")

    use: Literal["convert.tflite"]
    preset: Literal["xnnpack", "integer-only"] = Field(
        default="xnnpack",
        description="which integers of a quantized graph: `integer-only` has no floats at all, inputs and outputs "
        "included, for microcontrollers and Edge TPU, and is among the presets where `quantize` lists it",
    )

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        import onnx

        from ..metadata import for_tflite, read_onnx
        from ..onnxio import quantized
        from ..tflite import layouts, write

        source = inputs["input"].preset(self.preset)
        model = onnx.load(source)
        moved = [name for name, layout in layouts(model).items() if layout != "same"]
        (context.folder / "model.tflite").write_bytes(write(model, for_tflite(read_onnx(model), moved)))
        return Made("tflite", notes={"precision": self.preset if quantized(model) else "float32"})
