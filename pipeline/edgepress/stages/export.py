"""Export torch models to a file that a runtime loads: `export.*`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from ..core.errors import Mistake, Rejection
from ..data.targets import KINDS
from ..models.checkpoint import load
from ..stage import Artifact, Context, Made, Setting, Stage


class ExportOnnx(Stage):
    """Export to ONNX, simplify, and verify against the torch model.

    torch's dynamo exporter writes the graph. The outputs of the file and of the torch model are compared on real
    examples.
    """

    family: ClassVar = "export"
    takes: ClassVar = "torch"
    gives: ClassVar = "onnx"
    libraries: ClassVar = ("torch", "timm", "onnx", "onnxscript", "onnxsim", "onnxruntime")

    use: Literal["export.onnx"]
    opset: int = Field(
        default=18, ge=18, le=23, description="version of the ONNX operator set; older runtimes load older versions"
    )

    embed: list[Literal["normalize", "softmax"]] = Field(
        default=[], description="pre- and post-processing inside the graph: `normalize` raw inputs, `softmax` outputs"
    )
    dtype: Literal["float32", "uint8"] = Field(
        default="float32", description="type of the input; `uint8` is for raw pixels, with `embed: [normalize]`"
    )
    simplify: bool = Field(
        default=True,
        exclude_if=bool,
        description="simplify the graph; where that would change its outputs, less is simplified",
    )

    @model_validator(mode="after")
    def _normalised_somewhere(self) -> Self:
        if self.dtype == "uint8" and "normalize" not in self.embed:
            raise Mistake("raw pixels have to be normalised by the file", "add `embed: [normalize]`")
        return self

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        data = setting.data
        if self.dtype == "uint8" and data.kinds and "image" not in data.kinds:
            kinds = ", ".join(data.kinds)
            yield Rejection(f"`dtype: uint8` is for images, and {data.name} has {kinds}", "leave it out", ("dtype",))
        if "softmax" in self.embed and data.task and KINDS[data.task].link == "identity":
            yield Rejection(f"a {data.task} has no `softmax`", "take it out of `embed`", ("embed",))

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ..models.onnx.export import export

        module, _ = load(inputs["input"].path, context.code)
        path, raw = context.folder / "model.onnx", self.dtype == "uint8"
        warnings: list[str] = []
        error = export(
            module,
            context.data,
            path,
            opset=self.opset,
            embed=self.embed,
            raw=raw,
            simplify=self.simplify,
            warn=warnings.append,
        )
        return Made("onnx", notes={"largest_relative_error": error} | ({"warnings": warnings} if warnings else {}))
