"""`quantize.*`: integers instead of floats."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..stage import Artifact, Context, Made, Stage


class QuantizeStatic(Stage):
    """int8 weights and activations, with ranges from held-out images; one file for each integer preset of the targets.

    The presets share their scales: `u8s8` (x86 with VNNI) is `s8s8` (ARM, TFLite) with the activations'
    zero points shifted by 128.
    """

    takes: ClassVar = "onnx"
    gives: ClassVar = "onnx"
    libraries: ClassVar = ("onnx", "onnxruntime", "numpy")
    per_preset: ClassVar = True
    shrinks: ClassVar = ("bytes",)

    use: Literal["quantize.static"]
    samples: int = Field(
        default=256,
        ge=1,
        description="validation images that the ranges are taken from; all of them where there are fewer",
    )
    ranges: Literal["minmax", "percentile", "entropy"] = Field(
        default="minmax", description="how a range is taken from what was seen"
    )
    per_channel: bool = Field(default=True, description="a scale for each output channel of a weight")

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ..quantization import quantize_static

        presets = quantize_static(
            inputs["input"].path,
            context.data,
            context.folder,
            presets=context.presets,
            samples=self.samples,
            ranges=self.ranges,
            per_channel=self.per_channel,
        )
        return Made("onnx", presets=presets)


class QuantizeDynamic(Stage):
    """int8 weights of the matrix multiplications, activations quantized as they come; convolutions stay float."""

    takes: ClassVar = "onnx"
    gives: ClassVar = "onnx"
    libraries: ClassVar = ("onnx", "onnxruntime", "numpy")
    shrinks: ClassVar = ("bytes",)

    use: Literal["quantize.dynamic"]
    per_channel: bool = Field(default=True, description="a scale for each output channel of a weight")

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ..quantization import quantize_dynamic

        quantize_dynamic(inputs["input"].path, context.folder / "model.onnx", per_channel=self.per_channel)
        return Made("onnx", notes={"precision": "dynamic"})
