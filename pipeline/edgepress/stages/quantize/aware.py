"""Train a quantized graph to match its float model (QAT)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from ... import tasks
from ...core.paths import replacing
from ...core.presets import PRESETS, Preset, PresetName
from ...stage import Artifact, Context, Made
from ...training import Schedule
from .static import Calibrated

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import onnx
    from torch import Tensor, nn

    from ...training import Loss, Rows
    from .ptq import CalibratedPlan

_LITERT: PresetName = "xnnpack"
"""Always written, since TFLite is converted from it."""


class QuantizeAware(Calibrated, Schedule):
    """Fine-tune an int8 graph: quantization-aware training (QAT).

    Every operator is quantized as by `quantize.static`, then trained to match the float model. The trained graph is
    kept only if it scores better on held-out validation examples. Rounding is applied in the forward pass and skipped
    in the gradient (Jacob et al., 2018); the scales are trained too (LSQ, Esser et al., 2020). The presets `x86-avx2`
    and `tensorrt` cannot share these weights and are trained separately.
    """

    version: ClassVar = 8
    libraries: ClassVar = ("torch", "onnx", "onnxruntime", "numpy")

    use: Literal["quantize.aware"]
    epochs: int = Field(default=3, ge=0, description="passes over the training examples")
    lr: float = Field(default=1e-3, gt=0, description="peak learning rate of the one-cycle schedule (AdamW)")
    weight_decay: float = Field(default=0.0, ge=0, description="AdamW's decoupled weight decay")
    views: int = Field(default=4, ge=1, description="augmented views of each example with outputs of the float model")
    temperature: float = Field(default=2.0, gt=0, description="softmax temperature T of both models")
    kd_weight: float = Field(
        default=0.9, ge=0, le=1, description="weight of the KL divergence; cross-entropy weighs the rest"
    )

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from .ptq import Options, calibrate_plan

        source = inputs["input"]
        start = calibrate_plan(
            source.path, context.data, Options(self.samples, self.ranges, self.per_channel, self.improve), context.say
        )
        every: dict[PresetName, None] = dict.fromkeys((*context.presets, *self.presets, _LITERT))
        files: dict[str, str] = {name: f"model.{name}.onnx" for name in every}
        alike: dict[Preset, list[PresetName]] = {}
        for name in every:
            alike.setdefault(replace(PRESETS[name], about="", unsigned=False, integer_only=False), []).append(name)
        notes: dict[str, Any] = start.notes | {"float": _score_points(source.path, context, start.held)}
        loss_of, more = self._losses(source, context)
        notes |= more
        for preset, names in alike.items():
            model, notes[names[0]] = self._train(start, preset, names[0], loss_of, context)
            for name in names:
                _save(model, PRESETS[name], context.folder / files[name])
        return Made("onnx", presets=files, notes=notes)

    def _train(
        self, start: CalibratedPlan, preset: Preset, name: str, loss_of: Callable[[nn.Module], Loss], context: Context
    ) -> tuple[onnx.ModelProto, dict[str, Any]]:
        """Train the QDQ graph with these integers; the better of before and after, and the scores of both."""
        from ...models import metadata
        from ...models.input_preparation import fed
        from ...models.onnx.export import write
        from ...training import fit
        from .qat.learner import Learner, check
        from .qdq import written

        data = fed(start.contract, context.data)
        static = written(start.plan, preset)
        metadata.embed(static, start.contract)
        learner = Learner(static, start.plan.graph, data, largest=64 if preset.reduced else 127)
        check(learner, static, data)
        fit(
            learner,
            data,
            loss_of(learner),
            self,
            seed=context.seed,
            checkpoint=context.scratch / f"{name}.pt",
            say=lambda done, total, words: context.say(done, total, f"{name}: {words}"),
            views=self._teacher_views,
            metric=context.metric,
        )
        trained = learner.graph.written(static)
        check(learner, trained, data)
        scores: dict[str, Any] = {}
        for way, model in (("static", static), ("trained", trained)):
            file = context.scratch / f"{name}.{way}.onnx"
            with replacing(file) as temporary:  # of several processes each writes it, and others read it
                write(model, temporary)
            scores[way] = _score_points(file, context, start.held)
        better = scores["trained"] > scores["static"]
        return (trained if better else static), scores | {"kept": "trained" if better else "static"}

    @property
    def _teacher_views(self) -> int:
        """Number of views with outputs of the float model: no more than there are epochs."""
        return max(min(self.views, self.epochs), 1)

    def _losses(self, teacher: Artifact, context: Context) -> tuple[Callable[[nn.Module], Loss], dict[str, Any]]:
        """Return the loss of a graph against a teacher, and notes on the outputs of that."""
        from ..distill import kept
        from ..distill.teachers import teacher_logits

        data = context.data
        (teacher_outputs,) = teacher_logits([teacher], self, self._teacher_views, context.seed, context)

        def loss_of(module: nn.Module) -> Loss:
            task = tasks.of(data, module)
            hard = task.loss(data, balanced=self.balance == "weights")

            def loss(z: Tensor, y: Tensor, rows: Rows) -> Tensor:
                targets = teacher_outputs[rows.view][rows.index].float().to(z.device)
                value = self.kd_weight * task.kd(z, targets, self.temperature)
                return value + (1 - self.kd_weight) * hard(z, y) if self.kd_weight < 1 else value

            return loss

        return loss_of, kept.notes([teacher_outputs])


def _save(trained: onnx.ModelProto, preset: Preset, path: Path) -> None:
    from ...models.onnx.uint8 import unsigned
    from .integer_only import to_integers

    model = unsigned(trained) if preset.unsigned else trained
    path.write_bytes((to_integers(model) if preset.integer_only else model).SerializeToString())


def _score_points(path: Path, context: Context, rows: np.ndarray) -> float:
    """Score an ONNX file on these validation examples, in points."""
    from ...models import metadata
    from ...models.predict import predict_raw

    data = context.data
    x, y = data["validation"]
    outputs = metadata.to_logits(predict_raw(path, data, x[rows]), metadata.read(path), data)
    return context.metric.score_points(outputs, y[rows])
