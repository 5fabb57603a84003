"""Quantize to other precisions than int8: weights only, float16, int16."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ...core.errors import UserError
from ...core.units import Share
from ...stage import Artifact, Context, Made
from .base import Quantization

if TYPE_CHECKING:
    import onnx


class _Precision(Quantization):
    """From a float ONNX model to one of another precision."""


class QuantizeWeights(_Precision):
    """Store weights as int8 and compute in float (weight-only).

    The file is a quarter of the size and runs at the speed of float. Each output channel of a weight has its own scale.
    No calibration examples are needed. The runtime unpacks the weights when it loads the file.
    """

    use: Literal["quantize.weights"]
    float16: Share = Field(
        default="2%",
        ge=0,
        le=1,
        description="extra bytes allowed for the smallest weights to stay in float16; rounding a small weight harms as "
        "much as rounding a large one",
    )

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ...models.onnx.packed_weights import weights_only

        return _packed(inputs["input"], context, lambda model: weights_only(model, half=self.float16), "weights")


class QuantizeFloat16(_Precision):
    """Store weights as float16: half the size, rounded to 11 bits.

    By default everything is computed in float32, from weights that the runtime unpacks when it loads the file, because
    processors have few float16 kernels: onnxruntime on x86 casts back and forth at every operator.
    """

    use: Literal["quantize.float16"]
    compute: Literal["float32", "float16"] = Field(
        default="float32",
        description="type that the network computes in; float16 is for GPUs, and keeps float32 inputs and outputs",
    )

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ...models.onnx.packed_weights import float16, whole_float16

        return _packed(inputs["input"], context, float16 if self.compute == "float32" else whole_float16, "float16")


class QuantizeInt16(_Precision):
    """Quantize activations to int16 and weights to int8 (TFLite 16x8).

    For accelerators with TFLite's 16x8 kernels. Activation ranges are calibrated on validation examples; the loss of
    accuracy is that of the int8 weights. Processors have no fast 16x8 kernels: onnxruntime computes the graph in float,
    and both TFLite runtimes run it without XNNPACK.
    """

    calibrated: ClassVar = True

    use: Literal["quantize.int16"]
    samples: int = Field(
        default=256,
        ge=1,
        description="validation examples to calibrate activation ranges on; all of them where there are fewer",
    )

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from .ptq import quantize_int16

        quantize_int16(inputs["input"].path, context.data, context.folder / "model.onnx", samples=self.samples)
        return Made("onnx", notes={"precision": "int16"})


def _packed(
    source: Artifact, context: Context, pack: Callable[[onnx.ModelProto], onnx.ModelProto], precision: str
) -> Made:
    """Pack the weights of the float model with `pack`. Raises: UserError where there is nothing to pack."""
    import onnx

    from ...models.onnx.export import quantized, write
    from ...models.onnx.packed_weights import held_in

    model = onnx.load(source.path)
    if quantized(model) or held_in(model.graph) - {"float32"}:
        raise UserError("this graph is quantized already", "quantize the float model: `input: NAME OF ITS STAGE`")
    packed = pack(model)
    if not held_in(packed.graph) - {"float32"}:
        raise UserError("this graph has no weights large enough to gain", "leave the stage out")
    write(packed, context.folder / "model.onnx")
    return Made("onnx", notes={"precision": precision})
