"""`convert.*`: from ONNX to another runtime's file."""

from __future__ import annotations

from typing import ClassVar, Literal

from ..stage import Artifact, Context, Made, Stage
from ..zoo import load


class ConvertTflite(Stage):
    """Write TFLite from the ONNX graph: float from a float graph, and the very same integers from a quantized one."""

    takes: ClassVar = "onnx"
    gives: ClassVar = "tflite"
    libraries: ClassVar = ("onnx", "ai-edge-litert", "numpy")

    use: Literal["convert.tflite"]

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        import onnx

        from ..metadata import for_tflite, read_onnx
        from ..onnxio import quantized
        from ..tflite import layouts, write

        source = inputs["input"].preset("s8s8")
        model = onnx.load(source)
        moved = [name for name, layout in layouts(model).items() if layout != "same"]
        (context.folder / "model.tflite").write_bytes(write(model, for_tflite(read_onnx(model), moved)))
        return Made("tflite", notes={"precision": "s8s8" if quantized(model) else "float32"})


class ConvertLitert(Stage):
    """Write float TFLite from the torch model with litert-torch, where `convert.tflite` lacks an operator."""

    takes: ClassVar = "torch"
    gives: ClassVar = "tflite"
    libraries: ClassVar = ("torch", "timm", "litert-torch", "ai-edge-litert", "numpy")

    use: Literal["convert.litert"]

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ..litert import convert

        module, _ = load(inputs["input"].path, context.code)
        error = convert(module, context.data, context.folder / "model.tflite")
        return Made("tflite", notes={"precision": "float32", "largest_relative_error": error})
