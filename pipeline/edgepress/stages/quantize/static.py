"""Quantize to int8 after training: `quantize.static`, `quantize.dynamic`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ...core.presets import PRESETS, PresetName
from ...core.units import Drop
from ...stage import Artifact, Context, Made
from .base import Quantization


class Calibrated(Quantization):
    """Options of stages that calibrate activation ranges on validation examples."""

    per_preset: ClassVar = True
    calibrated: ClassVar = True

    samples: int = Field(
        default=256,
        ge=1,
        description="validation examples to calibrate activation ranges on; three quarters of them where there are "
        "fewer",
    )
    ranges: Literal["auto", "minmax", "percentile", "entropy", "mse"] = Field(
        default="auto",
        description="range estimator of activations. `minmax` covers every value; `percentile`, `entropy` (KL "
        "divergence) and `mse` clip outliers; `auto` takes the one of highest SQNR on held-out validation examples",
    )
    per_channel: bool = Field(default=True, description="one scale per output channel of a weight, not per tensor")
    improve: bool = Field(
        default=True,
        description="cross-layer equalization, GPTQ rounding and bias correction; each is kept only if it raises SQNR "
        "on held-out validation examples",
    )
    presets: tuple[PresetName, ...] = Field(
        default=(), description=f"integer formats to write besides those of the targets: {', '.join(PRESETS)}"
    )


class QuantizeStatic(Calibrated):
    """Quantize weights and activations to int8, post-training (PTQ).

    One file is written for each integer format (preset) of the targets. The range estimator and the improvements are
    chosen by SQNR (signal-to-quantization-noise ratio, in dB) on held-out validation examples. Mixed precision: the
    operators of highest sensitivity (the SQNR that one of them alone in float wins back) stay float until `keep` holds.
    On this machine's preset, operators that are measured slower as int8 stay float too. Presets share their scales:
    `x86` is `xnnpack` with the activations' zero points shifted by 128.
    """

    version: ClassVar = 4

    use: Literal["quantize.static"]
    keep: Drop | None = Field(
        default="1 point",
        description="largest loss of the metric against the float model on held-out validation examples: in points; of "
        "an error metric, growth in percent; without labels, points of agreement weighed by the float model's "
        "probabilities. Operators return to float by sensitivity, highest first, until it holds",
    )
    faster: bool = Field(
        default=True, description="mixed precision by latency: operators measured slower as int8 here stay float"
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
            whole_error=context.before,
            say=context.say,
        )
        return Made("onnx", presets=presets, notes=notes)


class QuantizeDynamic(Quantization):
    """Quantize matrix products to int8, their activations at run time.

    Convolutions stay float. No calibration examples are needed.
    """

    use: Literal["quantize.dynamic"]
    per_channel: bool = Field(default=True, description="one scale per output channel of a weight, not per tensor")

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from .ptq import quantize_dynamic

        quantize_dynamic(inputs["input"].path, context.folder / "model.onnx", per_channel=self.per_channel)
        return Made("onnx", notes={"precision": "dynamic"})
