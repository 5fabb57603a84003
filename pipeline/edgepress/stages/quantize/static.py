"""Quantize to int8 after training: `quantize.static`, `quantize.dynamic`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from ...core.errors import Rejection
from ...core.presets import PRESETS, PresetName
from ...core.units import Drop
from ...stage import Artifact, Context, Lineage, Made, Setting, Stage
from ..export import ExportOnnx
from ..fuse.ensemble import FuseEnsemble
from .base import Quantization


def too_few(count: int) -> tuple[str, str]:
    """Return why so few validation examples do not do, and what to do."""
    return (
        f"there are {count} validation examples, and quantizing needs two at least: one to calibrate ranges and "
        "one held out",
        "give the data set a larger `split: {validation: …}`",
    )


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

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        if setting.data.validation is not None and setting.data.validation < 2:
            yield Rejection(*too_few(setting.data.validation))
        integers = [preset for preset in (*self.presets, *setting.presets) if PRESETS[preset].integer_only]
        if not integers:
            return
        option = ("presets", self.presets.index(integers[0])) if integers[0] in self.presets else ()
        owner = setting.presets.get(integers[0])
        whose = f", which the target `{owner}` sets," if owner and not option else ""
        for why, help in _not_integers(setting):
            yield Rejection(f"the preset `{integers[0]}`{whose} takes and gives integers, but {why}", help, option)


def _not_integers(setting: Setting) -> Iterator[tuple[str, str]]:
    """Yield why a file cannot be of integers from its input to its output, and what to do."""
    source = setting.sources.get("input")
    if setting.data.kinds and "tokens" in setting.data.kinds:
        yield f"{setting.data.name} has tokens", "leave the preset out: an embedding reads them as they are"
    if source and any(isinstance(stage, ExportOnnx) and stage.dtype == "uint8" for stage in graph_of(source)):
        help = "export without `dtype: uint8`, or leave the preset out: a file of integers has int8 inputs of its own"
        yield "the model was exported to take raw pixels (`dtype: uint8`)", help
    if source and setting.data.task in ("single-label", "multi-label") and _ends_in_logarithm(source):
        help = "fuse with `of: logits`, distil the ensemble into one student, or leave the preset out"
        yield "an ensemble of probabilities ends in a logarithm, which stays float", help


def graph_of(source: Lineage) -> Iterator[Stage]:
    """Yield the stages that made an ONNX file, back to its exports."""
    yield source.stage
    for before in source.sources.values():
        if before.kind == "onnx":
            yield from graph_of(before)


def _ends_in_logarithm(source: Lineage) -> bool:
    stage = source.stage
    if isinstance(stage, ExportOnnx):
        model = source.sources.get("input")
        return model is not None and "softmax" not in stage.embed and _ends_in_logarithm(model.origin)
    return isinstance(stage, FuseEnsemble) and stage.of == "probabilities"


class QuantizeStatic(Calibrated):
    """Quantize weights and activations to int8, post-training (PTQ).

    One file is written for each integer format (preset) of the targets. The range estimator and the improvements are
    chosen by SQNR (signal-to-quantization-noise ratio, in dB) on held-out validation examples. Mixed precision: the
    operators of highest sensitivity (the SQNR that one of them alone in float wins back) stay float until `keep` holds.
    On this machine's preset, operators that are measured slower as int8 stay float too. Presets share their scales:
    `x86` is `xnnpack` with the activations' zero points shifted by 128.
    """

    version: ClassVar = 8

    use: Literal["quantize.static"]
    keep: Drop | None = Field(
        default="1 point",
        description="largest loss of the metric against the float model on held-out validation examples: in points; of "
        "an error metric, growth in percent; without labels, points of agreement with the float model, "
        "see quantization.md. Operators return to float by sensitivity, highest first, until it holds",
    )
    faster: bool = Field(
        default=True, description="mixed precision by latency: operators measured slower as int8 here stay float"
    )
    effort: Literal["full", "fast"] = Field(
        default="full",
        exclude_if=lambda effort: effort == "full",  # keys of stages without it stay
        description="`fast` leaves out what takes longest: equalization, the ranges `percentile` and `entropy`, and "
        "timing operators (`faster`)",
    )

    @property
    def chooses_by_time(self) -> bool:
        return self.faster and self.effort == "full"

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from .ptq import Options, quantize_static

        options = Options(
            self.samples, self.ranges, self.per_channel, self.improve, self.keep, self.chooses_by_time, context.host,
            self.effort == "fast",
        )  # fmt: skip
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

    takes_packed: ClassVar = True

    use: Literal["quantize.dynamic"]
    per_channel: bool = Field(default=True, description="one scale per output channel of a weight, not per tensor")

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from .ptq import quantize_dynamic

        quantize_dynamic(inputs["input"].path, context.folder / "model.onnx", per_channel=self.per_channel)
        return Made("onnx", notes={"precision": "dynamic"})
