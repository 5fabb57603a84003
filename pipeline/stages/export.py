"""`export.*`: from torch to a file that a runtime loads."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..stage import Artifact, Context, Made, Stage
from ..zoo import load


class ExportOnnx(Stage):
    """Write ONNX with torch's dynamo exporter, simplify it, and compare it with the module on real images."""

    takes: ClassVar = "torch"
    gives: ClassVar = "onnx"
    libraries: ClassVar = ("torch", "timm", "onnx", "onnxscript", "onnxsim", "onnxruntime")

    use: Literal["export.onnx"]
    opset: int = Field(
        default=18, ge=18, le=23, description="version of the ONNX operator set; old runtimes want old ones"
    )

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ..onnxio import export

        module, _ = load(inputs["input"].path)
        error = export(module, context.data, context.folder / "model.onnx", opset=self.opset)
        return Made("onnx", notes={"largest_relative_error": error})
