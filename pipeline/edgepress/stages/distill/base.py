"""Define what every distillation shares: teachers, student, baselines.

A stage adds the distance between the two models' outputs (`soft`), and may add one between their layers.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ... import tasks
from ...core.errors import Mistake, Rejection
from ...models.checkpoint import save
from ...models.description import Network
from ...models.metadata import LABEL_TASKS
from ...stage import Artifact, Context, Kind, Made, Setting, Stage
from ...training import Schedule

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ...training import Loss, Rows
    from .features import StudentWithTeacher

    Soft = Callable[[Tensor, Tensor, Tensor, Rows], Tensor]
    """(the student's outputs, the teacher's, the labels, which rows) → the weighted distance of the two."""

IN_MEMORY = 2**30
"""Bytes of the outputs of all teachers of a stage that are held in memory; more are read from the disk."""
SMOOTHING = 0.1
"""Label smoothing of the second baseline (Szegedy et al., 2016)."""


class Distill(Stage, Schedule):
    """Base of all distillations: teachers, a student, cross-entropy with the labels, baselines."""

    gives: ClassVar = "torch"
    version: ClassVar = 2
    family: ClassVar = "distill"
    names: ClassVar = ("teacher",)
    named_kinds: ClassVar[tuple[Kind, ...]] = ("torch", "onnx")

    teacher: str | Annotated[list[str], Field(min_length=1)] = Field(
        description="name of the teacher, a torch or an ONNX model, or a list of several"
    )
    student: Network = Field(description="network to train: `timm/NAME`, or a mapping with `arch`, `args`, `stride`")
    temperature: float = Field(default=4.0, gt=0, description="softmax temperature T of student and teacher")
    ce_weight: float = Field(default=0.1, ge=0, description="weight of the cross-entropy with the labels")
    kd_weight: float = Field(
        default=0.9, ge=0, description="weight of the distillation loss, the distance from the teacher's outputs"
    )
    views: int = Field(
        default=4,
        ge=1,
        description="augmented views of each example; the teacher's outputs are computed once per view and cached",
    )
    weigh: Literal["mean_prob", "fixed", "fitted", "confidence", "entropy", "boxes"] = Field(
        default="mean_prob",
        description="weighting of several teachers: equal (`mean_prob`), by `weights` (`fixed`), fitted on validation, "
        "or per example: by closeness to the label (`confidence`) or by certainty (`entropy`). Detectors whose heads "
        "differ are one teacher by weighted boxes fusion (`boxes`), with `weights` or equal",
    )
    weights: list[Annotated[float, Field(ge=0)]] | None = Field(
        default=None, description="one weight per teacher, summing to 1, for `weigh: fixed` or `boxes`"
    )
    unlabelled: bool = Field(default=True, description="distil on the task's unlabelled examples too, if it has any")
    baselines: bool = Field(
        default=False,
        description="also train two baselines on labels alone, by cross-entropy and with label smoothing, for equal "
        "steps",
    )
    seed: int | None = Field(default=None, ge=0, description="random seed; by default the recipe's")

    @model_validator(mode="after")
    def _weights_for_each(self) -> Self:
        teachers = self.teacher if isinstance(self.teacher, list) else [self.teacher]
        if self.weigh != "boxes" and (self.weigh == "fixed") != (self.weights is not None):
            raise Mistake(
                "`weigh: fixed` and `weights` belong together", "for example `weigh: fixed, weights: [0.7, 0.3]`"
            )
        if self.weights is not None and (len(self.weights) != len(teachers) or abs(sum(self.weights) - 1) > 1e-6):
            raise Mistake(f"`weights` are {len(self.weights)} that sum to {sum(self.weights):g}; there are "
                          f"{len(teachers)} teachers", "one a teacher, and 1 in all")  # fmt: skip
        return self

    @property
    def teachers(self) -> list[str]:
        return [self.teacher] if isinstance(self.teacher, str) else self.teacher

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        task = setting.data.task
        if self.weigh == "fitted" and task and not tasks.TASKS[task].averages:
            message = f"weights of teachers are fitted to what their mean predicts, and this is a {task} task"
            yield Rejection(message, "`weigh: mean_prob`, or `fixed` with `weights`", ("weigh",))
        if self.weigh in ("confidence", "entropy") and task and not tasks.TASKS[task].about_classes:
            message = f"`weigh: {self.weigh}` is for classes, and this is a {task} task"
            yield Rejection(message, "`weigh: fitted`", ("weigh",))
        if self.weigh == "boxes" and task and task != "detection":
            message = f"`weigh: boxes` is for detectors, and this is a {task} task"
            yield Rejection(message, "`weigh: mean_prob`", ("weigh",))

    @abstractmethod
    def soft(self, context: Context, student: nn.Module) -> Soft:
        """Return the loss on the outputs of `student`; `reject` refuses tasks that it is not for."""

    def with_teacher(
        self, student: nn.Module, inputs: dict[str, Artifact], context: Context
    ) -> StudentWithTeacher | None:
        """Return the student beside its teacher, where a loss on their layers is added."""
        return None

    def feature_loss(self, pair: StudentWithTeacher) -> Tensor | float:
        """Return that loss on the last batch."""
        return 0.0

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        seed, data = context.seed if self.seed is None else self.seed, context.data
        balanced, labelled = self.balance == "weights", len(data["train"].y)
        targets, notes = self._teacher_targets(inputs, context, seed)

        def distilled(student: nn.Module) -> Loss:
            soft, hard = self.soft(context, student), tasks.of(data, student).loss(data, balanced=balanced)

            def loss(z: Tensor, y: Tensor, rows: Rows) -> Tensor:
                teacher_logits = targets[rows.view][rows.index].to(z.device)
                value = self.kd_weight * soft(z, teacher_logits, y, rows)
                known = rows.index < labelled
                if self.ce_weight and bool(known.any()):
                    value = value + self.ce_weight * hard(z[known], y[known])
                return value

            return loss

        def on_labels(smoothing: float) -> Callable[[nn.Module], Loss]:
            def build(student: nn.Module) -> Loss:
                hard = tasks.of(data, student).loss(data, smoothing=smoothing, balanced=balanced)
                return lambda z, y, rows: hard(z, y)

            return build

        losses: dict[str, Callable[[nn.Module], Loss]] = {"distilled": distilled}
        if self.baselines:
            losses |= {"cross_entropy": on_labels(0.0), "label_smoothing": on_labels(SMOOTHING)}
        reached = {name: self._train(name, loss, seed, inputs, context) for name, loss in losses.items()}
        if self.baselines:
            best = max(scores["validation"] for name, scores in reached.items() if name != "distilled")
            notes |= {"equal_steps": reached, "gain": reached["distilled"]["validation"] - best}
        return Made("torch", notes=notes)

    def _teacher_targets(
        self, inputs: dict[str, Artifact], context: Context, seed: int
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return the teachers' weighed outputs by view, to be indexed by rows, and notes on their weights."""
        import torch

        from ...training import Examples, Rows
        from . import kept, teachers, weighing
        from .fused_boxes import fused_boxes

        data, artifacts = context.data, [inputs[name] for name in self.teachers]
        if len(artifacts) > 1 and data.task not in LABEL_TASKS and self.weigh != "boxes":
            teachers.require_same(dict(zip(self.teachers, artifacts, strict=True)), context)
        by_teacher = teachers.teacher_logits(artifacts, self, self.views, seed, context, unlabelled=self.unlabelled)
        count = len(artifacts)
        shares = torch.full((count,), 1 / count)
        if self.weights is not None:
            shares = torch.tensor(self.weights)
        elif self.weigh == "fitted":
            from ..fuse import simplex

            held = simplex.shortened(data, teachers.shape(artifacts[0], context)) if tasks.of(data).dense else data
            outputs = [teachers.validation_logits(artifact, replace(context, data=held)) for artifact in artifacts]
            shares = torch.tensor(simplex.fit(outputs, torch.from_numpy(held["validation"].y.copy()), data.task))
        examples = Examples.to_learn(data, self, seed, unlabelled=self.unlabelled)
        decodes = [teachers.decode(artifact, context) for artifact in artifacts] if self.weigh == "boxes" else []
        targets: list[Any] = []
        for view in range(self.views):
            of_view = [views[view] for views in by_teacher]
            if decodes:
                targets.append(fused_boxes(of_view, decodes, shares.tolist(), data))
                continue
            if self.weigh == "confidence":
                y = examples.labels(Rows(torch.arange(len(examples)), view))
                shares = weighing.by_confidence(of_view, y, examples.labelled)
            elif self.weigh == "entropy":
                shares = weighing.by_entropy(of_view)
            targets.append(weighing.combined(of_view, shares, data.task))
        notes: dict[str, Any] = {"teachers": self.teachers} | kept.notes(by_teacher)
        if count > 1:
            notes["weights"] = [round(float(share), 4) for share in (shares.mean(1) if shares.ndim > 1 else shares)]
        return targets, notes

    def _train(
        self,
        name: str,
        loss_of: Callable[[nn.Module], Loss],
        seed: int,
        inputs: dict[str, Artifact],
        context: Context,
    ) -> dict[str, float]:
        """Train one student, save the distilled one, and return its score by split in points."""
        from ...training import fit, seeded
        from ...training.inference import score_points

        description = self.student.describe(context.data)
        with seeded(seed):
            student = description.build(context.code)
            distilled = name == "distilled"
            pair = self.with_teacher(student, inputs, context) if distilled else None

        loss = loss_of(student)

        def say(done: int, total: int, words: str) -> None:
            context.say(done, total, words if distilled else f"baseline {name}: {words}")

        fit(
            pair or student,
            context.data,
            loss if pair is None else lambda z, y, rows: loss(z, y, rows) + self.feature_loss(pair),
            self,
            seed=seed,
            checkpoint=context.scratch / f"{name}.pt",
            say=say,
            views=self.views,
            metric=context.metric,
            unlabelled=distilled and self.unlabelled,
        )
        if pair is not None:
            pair.unwrap()
        if distilled:
            save(student, description, context.folder / "model.safetensors")
        scored = partial(score_points, student, context.data, metric=context.metric, seed=seed)
        return {split: scored(split) for split in ("validation", "test")}
