"""`quantize.*`: integers instead of floats."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ...core.presets import PRESETS, PresetName
from ...core.units import Drop
from ...stage import Artifact, Context, Made
from .base import Quantization


class Calibrated(Quantization):
    """Options of stages whose integers begin with the ranges of validation examples."""

    per_preset: ClassVar = True
    calibrated: ClassVar = True

    samples: int = Field(
        default=256,
        ge=1,
        description="validation images that the ranges are taken from; three quarters of them where there are fewer",
    )
    ranges: Literal["auto", "minmax", "percentile", "entropy", "mse"] = Field(
        default="auto", description="how a range is taken from what was seen; `auto` tries them on held-out images"
    )
    per_channel: bool = Field(default=True, description="a scale for each output channel of a weight")
    improve: bool = Field(
        default=True,
        description="try equalisation, rounding by what the weights meet, and bias correction; keep what helps on "
        "held-out images",
    )
    presets: tuple[PresetName, ...] = Field(
        default=(), description=f"integers to make besides those that the targets need: {', '.join(PRESETS)}"
    )


class QuantizeStatic(Calibrated):
    """int8 weights and activations that keep the answers and run faster: one file for each preset of the targets.

    Ranges and what improves them are chosen by held-out images; operators that cost accuracy go back to float until
    `keep` holds, and on this machine's preset those that are slower as int8, by measurement. Presets share their
    scales: `x86` is `xnnpack` with the activations' zero points shifted by 128.
    """

    version: ClassVar = 4

    use: Literal["quantize.static"]
    keep: Drop | None = Field(
        default="1 points",
        description="what int8 may lose of the float model's metric on held-out images: points; of an error the "
        "percent that it may grow by; without labels points of likeness to the float model. Operators go back to "
        "float, the worst first, until it holds",
    )
    faster: bool = Field(
        default=True, description="let operators stay float that are measured slower as int8 on this machine"
    )

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from .ptq import Options, quantize_static

        options = Options(
            self.samples, self.ranges, self.per_channel, self.improve, self.keep, self.faster, context.host
        )
        presets, notes = quantize_static(
            inputs["input"].path,
            context.data,
            context.metric,
            context.folder,
            presets=(*context.presets, *self.presets),
            options=options,
            floor=context.floor,
            marks=context.marks,
            whole=context.before,
            say=context.say,
        )
        return Made("onnx", presets=presets, notes=notes)


class QuantizeDynamic(Quantization):
    """int8 weights of the matrix multiplications, activations quantized as they come; convolutions stay float."""

    use: Literal["quantize.dynamic"]
    per_channel: bool = Field(default=True, description="a scale for each output channel of a weight")

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from .ptq import quantize_dynamic

        quantize_dynamic(inputs["input"].path, context.folder / "model.onnx", per_channel=self.per_channel)
        return Made("onnx", notes={"precision": "dynamic"})
