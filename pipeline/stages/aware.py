"""`quantize.aware`: integers that are trained to answer as the floats did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from ..errors import UserError
from ..stage import Artifact, Context, Made, Stage
from ..train import Schedule

if TYPE_CHECKING:
    import onnx
    from torch import Tensor

    from ..train import Rows


class QuantizeAware(Stage, Schedule):
    """int8 as by `quantize.static`, then trained to answer as the float model; kept if better on validation.

    The graph's own rounding is in the forward pass and not in the gradient (Jacob et al., 2018), and the scales are
    learnt too (LSQ, Esser et al., 2020).
    """

    takes: ClassVar = "onnx"
    gives: ClassVar = "onnx"
    libraries: ClassVar = ("torch", "onnx", "onnxruntime", "numpy")
    per_preset: ClassVar = True
    shrinks: ClassVar = ("bytes",)

    use: Literal["quantize.aware"]
    samples: int = Field(
        default=256,
        ge=1,
        description="validation images that the first ranges are taken from; all where there are fewer",
    )
    ranges: Literal["minmax", "percentile", "entropy"] = Field(
        default="minmax", description="how a range is taken from what was seen"
    )
    per_channel: bool = Field(default=True, description="a scale for each output channel of a weight")
    epochs: int = Field(default=3, ge=0, description="passes over the training images")
    lr: float = Field(default=1e-3, gt=0, description="highest learning rate of the one-cycle schedule (AdamW)")
    weight_decay: float = Field(default=0.0, ge=0, description="AdamW's decoupled weight decay")
    views: int = Field(default=4, ge=1, description="augmented views of each image that the float model is asked about")
    temperature: float = Field(default=2.0, gt=0, description="softens both answers")
    kd_weight: float = Field(default=0.9, ge=0, le=1, description="weight of the divergence; labels get the rest")

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        import onnx

        from ..aware import Learner, check
        from ..train import fit

        source = inputs["input"]
        static = self._static(source.path, context)
        learner = Learner(static, onnx.load(source.path), context.data)
        check(learner, static, context.data)
        fit(
            learner,
            context.data,
            self._loss(source, context),
            self,
            seed=context.seed,
            checkpoint=context.scratch / "checkpoint.pt",
            say=context.say,
            views=self._asked,
            metric=context.metric,
        )
        trained = learner.graph.written(static)
        check(learner, trained, context.data)
        reached = {
            "float": _goodness(source.path, context),
            "static": _goodness(_saved(static, context.scratch / "static.onnx"), context),
            "trained": _goodness(_saved(trained, context.scratch / "trained.onnx"), context),
        }
        kept = "trained" if reached["trained"] > reached["static"] else "static"
        presets = self._write(trained if kept == "trained" else static, context)
        return Made("onnx", presets=presets, notes={"validation": reached, "kept": kept})

    @property
    def _asked(self) -> int:
        return max(min(self.views, self.epochs), 1)

    def _static(self, path: Path, context: Context) -> onnx.ModelProto:
        """The QDQ graph before training. Raises: UserError where the examples or answers are no numbers."""
        import numpy as np
        import onnx

        from .. import metadata
        from ..onnxio import quantized
        from ..predict import predict
        from ..quantization import signed

        model, data = onnx.load(path), context.data
        if quantized(model):
            raise UserError("this graph is quantized already", "quantize the float model: `input: NAME OF ITS STAGE`")
        contract = metadata.read_onnx(model)
        columns = metadata.ready(contract, data, data["validation"].x[: self.samples])
        if not all(np.isfinite(each).all() for each in columns) or not np.isfinite(predict(path, columns)).all():
            raise UserError("the validation examples, or the float model's answers to them, are not numbers")
        made = signed(path, columns, ranges=self.ranges, per_channel=self.per_channel)
        metadata.embed(made, contract)
        return made

    def _loss(self, teacher: Artifact, context: Context) -> Any:
        from ..distillation.losses import kd
        from ..distillation.teachers import answers as asked
        from ..losses import of_labels

        data = context.data
        (taught,) = asked([teacher], self, self._asked, context.seed, context)
        hard = of_labels(data, balanced=self.balance == "weights")

        def loss(z: Tensor, y: Tensor, rows: Rows) -> Tensor:
            answers = taught[rows.view][rows.index].to(z.device)
            soft = kd(data.task, z, answers, self.temperature)
            return self.kd_weight * soft + (1 - self.kd_weight) * hard(z, y)

        return loss

    def _write(self, made: onnx.ModelProto, context: Context) -> dict[str, str]:
        """A file for each preset: `s8s8` always, since TFLite is made from it."""
        from ..quantization import unsigned

        files = {preset: f"model.{preset}.onnx" for preset in dict.fromkeys((*context.presets, "s8s8"))}
        for preset, file in files.items():
            _saved(unsigned(made) if preset == "u8s8" else made, context.folder / file)
        return files


def _saved(model: onnx.ModelProto, path: Path) -> Path:
    from ..onnxio import write

    write(model, path)
    return path


def _goodness(path: Path, context: Context) -> float:
    """Of an ONNX file on all validation examples, in points."""
    from .. import metadata
    from ..predict import predict

    data, contract = context.data, metadata.read(path)
    x, y = data["validation"]
    return context.metric.goodness(metadata.told(predict(path, metadata.ready(contract, data, x)), contract, data), y)
