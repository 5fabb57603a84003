"""Export torch models to a file that a runtime loads: `export.*`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from ..core.errors import Mistake, Rejection, UserError
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


class ExportNms(Stage):
    """Put decoding and non-maximum suppression into a detector's ONNX file.

    Its one output is then `detections`: corners, score and class of the boxes that are left. It comes last, behind
    `quantize`, which needs the heads apart; the added operators compute in float.
    """

    family: ClassVar = "export"
    takes: ClassVar = "onnx"
    gives: ClassVar = "onnx"
    libraries: ClassVar = ("onnx", "onnxruntime", "numpy")

    use: Literal["export.nms"]
    score: float | None = Field(
        default=None, ge=0, lt=1, description="least score of a box; by default that of the file's `decode`"
    )
    iou: float | None = Field(
        default=None, gt=0, le=1, description="IoU above which the worse box of a class is suppressed; the same"
    )
    most: int | None = Field(default=None, ge=1, le=1000, description="boxes of a picture at most; the same")

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        if setting.data.task not in (None, "detection"):
            yield Rejection(f"`export.nms` is for detectors, and this is a {setting.data.task} task", "leave it out")

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        import onnx

        from ..models.decoder import read
        from ..models.metadata import embed, output, read_onnx
        from ..models.onnx.export import write
        from ..models.onnx.suppression import NAME, with_suppression

        source, data = inputs["input"], context.data
        size = (data.input.shape[1], data.input.shape[2])
        changed = {name: value for name in ("score", "iou", "most") if (value := getattr(self, name)) is not None}
        for name in source.presets.values() or [source.path.name]:
            model = onnx.load(source.folder / name)
            contract = read_onnx(model)
            decode = read(contract)
            if decode.coding == "detections":
                raise UserError("this graph suppresses boxes already", "leave `export.nms` out")
            made, found = with_suppression(model, decode.model_copy(update=changed), len(data.labels), size)
            described = {
                "decode": found.model_dump(mode="json", exclude_defaults=True),
                "outputs": [output(NAME, [1, found.most, 6], NAME)],
            }
            embed(made, contract | described)
            write(made, context.folder / name)
        kept = {name: source.notes[name] for name in ("precision",) if name in source.notes}
        return Made("onnx", presets=source.presets, notes=kept)
