"""`quantize.*` beside int8: fewer bits in the file alone, or more bits in the integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ...core.errors import UserError
from ...core.units import Share
from ...stage import Artifact, Context, Made, Stage
from .base import Quantization

if TYPE_CHECKING:
    import onnx


class _Precision(Quantization):
    """From a float ONNX model to one of another precision."""

    def unfit(self, source: Stage) -> tuple[str, str] | None:
        if source.family != "quantize":
            return None
        return f"what `{source.use}` makes is quantized already", "name the float model: `input: NAME OF ITS STAGE`"


class QuantizeWeights(_Precision):
    """int8 weights, a scale for each output channel; everything is computed in float, at the speed of float.

    A quarter of the file, without samples to take ranges from. The runtime unpacks the weights when it loads the file.
    """

    use: Literal["quantize.weights"]
    float16: Share = Field(
        default="2%",
        ge=0,
        le=1,
        description="bytes that the smallest weights may take on top by staying in float16; a weight's rounding errors "
        "do as much harm whatever its size",
    )

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ...models.onnx.packed_weights import weights_only

        return _packed(inputs["input"], context, lambda model: weights_only(model, half=self.float16), "weights")


class QuantizeFloat16(_Precision):
    """float16 weights: half of the file, and the answers of float but for a rounding of 11 bits.

    By default everything is computed in float32, from weights that the runtime unpacks when it loads the file, for
    processors have few float16 kernels: onnxruntime's on x86 cast forth and back at every operator.
    """

    use: Literal["quantize.float16"]
    compute: Literal["float32", "float16"] = Field(
        default="float32",
        description="what the network computes in; float16 is for GPUs, with inputs and outputs in float32 still",
    )

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ...models.onnx.packed_weights import float16, whole_float16

        return _packed(inputs["input"], context, float16 if self.compute == "float32" else whole_float16, "float16")


class QuantizeInt16(_Precision):
    """int16 activations and int8 weights, with ranges from held-out examples: what is lost is lost by the weights.

    For accelerators with TFLite's 16x8 kernels. Processors have no fast ones: onnxruntime computes it in float, and
    both TFLite runtimes do without XNNPACK.
    """

    calibrated: ClassVar = True

    use: Literal["quantize.int16"]
    samples: int = Field(
        default=256,
        ge=1,
        description="validation examples that the ranges are taken from; all of them where there are fewer",
    )

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from .ptq import quantize_int16

        quantize_int16(inputs["input"].path, context.data, context.folder / "model.onnx", samples=self.samples)
        return Made("onnx", notes={"precision": "int16"})


def _packed(
    source: Artifact, context: Context, pack: Callable[[onnx.ModelProto], onnx.ModelProto], precision: str
) -> Made:
    """The float model with its weights as `pack` has them. Raises: UserError where there is nothing to pack."""
    import onnx

    from ...models.onnx.export import quantized, write
    from ...models.onnx.packed_weights import held_in

    model = onnx.load(source.path)
    if quantized(model) or held_in(model.graph) - {"float32"}:
        raise UserError("this graph is quantized already", "quantize the float model: `input: NAME OF ITS STAGE`")
    made = pack(model)
    if not held_in(made.graph) - {"float32"}:
        raise UserError("this graph has no weights large enough to gain", "leave the stage out")
    write(made, context.folder / "model.onnx")
    return Made("onnx", notes={"precision": precision})
