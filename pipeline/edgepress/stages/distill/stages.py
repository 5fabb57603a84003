"""Distil teachers into a small student: `distill.*`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from ...core.errors import Mistake, UserError
from ...models.checkpoint import save
from ...models.description import Network
from ...stage import Artifact, Context, Kind, Made, Stage
from ...training import Schedule

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ...training import Loss, Rows
    from .features import Taught

    Soft = Callable[[Tensor, Tensor, Tensor, Rows], Tensor]
    """(the student's answers, the teacher's, the labels, which rows) → the weighted distance of the two."""

SMOOTHING = 0.1
"""Label smoothing of the second baseline (Szegedy et al., 2016)."""
FEWEST = 32
"""Examples a batch from which a correlation over it means something."""


class Distill(Stage, Schedule):
    """What every distillation has: teachers, a student, a cross-entropy with the labels, and the baselines."""

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
    weigh: Literal["mean_prob", "fixed", "fitted", "confidence", "entropy"] = Field(
        default="mean_prob",
        description="weighting of several teachers: equal (`mean_prob`), by `weights` (`fixed`), fitted on validation, "
        "or per example: by closeness to the label (`confidence`) or by certainty (`entropy`)",
    )
    weights: list[Annotated[float, Field(ge=0)]] | None = Field(
        default=None, description="one weight per teacher, summing to 1, for `weigh: fixed`"
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
        if (self.weigh == "fixed") != (self.weights is not None):
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

    @abstractmethod
    def soft(self, context: Context) -> Soft:
        """The loss on the answers. Raises: UserError for a task that it is not for."""

    def taught(self, student: nn.Module, inputs: dict[str, Artifact], context: Context) -> Taught | None:
        """The student beside its teacher, where a loss on their layers is added."""
        return None

    def between(self, taught: Taught) -> Tensor | float:
        """That loss, of the last batch."""
        return 0.0

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ...training.losses import of_labels

        seed, data = context.seed if self.seed is None else self.seed, context.data
        soft, balanced = self.soft(context), self.balance == "weights"
        given, notes = self._answers(inputs, context, seed)
        hard, labelled = of_labels(data, balanced=balanced), len(data["train"].y)

        def distilled(z: Tensor, y: Tensor, rows: Rows) -> Tensor:
            answers = given[rows.view][rows.index].to(z.device)
            value = self.kd_weight * soft(z, answers, y, rows)
            known = rows.index < labelled
            if self.ce_weight and bool(known.any()):
                value = value + self.ce_weight * hard(z[known], y[known])
            return value

        smooth = of_labels(data, smoothing=SMOOTHING, balanced=balanced)
        losses: dict[str, Loss] = {"distilled": distilled}
        if self.baselines:
            losses["cross_entropy"] = lambda z, y, rows: hard(z, y)
            losses["label_smoothing"] = lambda z, y, rows: smooth(z, y)
        reached = {name: self._train(name, loss, seed, inputs, context) for name, loss in losses.items()}
        if self.baselines:
            best = max(found["validation"] for name, found in reached.items() if name != "distilled")
            notes |= {"equal_steps": reached, "gain": reached["distilled"]["validation"] - best}
        return Made("torch", notes=notes)

    def _answers(self, inputs: dict[str, Artifact], context: Context, seed: int) -> tuple[list[Tensor], dict[str, Any]]:
        """What the teachers answer together, by view."""
        import torch

        from ...training import Examples, Rows
        from . import teachers, weighing

        data, artifacts = context.data, [inputs[name] for name in self.teachers]
        each = teachers.answers(artifacts, self, self.views, seed, context, unlabelled=self.unlabelled)
        count = len(artifacts)
        shares = torch.full((count,), 1 / count)
        if self.weigh in ("confidence", "entropy") and data.task != "single-label":
            raise UserError(f"`weigh: {self.weigh}` is for classes, and this is a {data.task} task", "`weigh: fitted`")
        if self.weigh == "fixed":
            shares = torch.tensor(self.weights)
        elif self.weigh == "fitted":
            from ..fuse import simplex

            answers = [teachers.held_out(artifact, context) for artifact in artifacts]
            shares = torch.tensor(simplex.fit(answers, torch.from_numpy(data["validation"].y.copy()), data.task))
        examples = Examples.to_learn(data, self, seed, unlabelled=self.unlabelled)
        found = []
        for view in range(self.views):
            answers = [of[view] for of in each]
            if self.weigh == "confidence":
                y = examples.labels(Rows(torch.arange(len(examples)), view))
                shares = weighing.by_confidence(answers, y, examples.labelled)
            elif self.weigh == "entropy":
                shares = weighing.by_entropy(answers)
            found.append(weighing.weighed(answers, shares, data.task))
        notes: dict[str, Any] = {"teachers": self.teachers}
        if count > 1:
            notes["weights"] = [round(float(share), 4) for share in (shares.mean(1) if shares.ndim > 1 else shares)]
        return found, notes

    def _train(
        self, name: str, loss: Loss, seed: int, inputs: dict[str, Artifact], context: Context
    ) -> dict[str, float]:
        """Train one student, keep the distilled one, and tell its accuracy by split in points."""
        from ...training import Examples, fit, logits, seeded

        description = self.student.describe(context.data)
        with seeded(seed):
            student = description.build(context.code)
            distilled = name == "distilled"
            taught = self.taught(student, inputs, context) if distilled else None

        def say(done: int, total: int, words: str) -> None:
            context.say(done, total, words if distilled else f"baseline {name}: {words}")

        fit(
            taught or student,
            context.data,
            loss if taught is None else lambda z, y, rows: loss(z, y, rows) + self.between(taught),
            self,
            seed=seed,
            checkpoint=context.scratch / f"{name}.pt",
            say=say,
            views=self.views,
            metric=context.metric,
            unlabelled=distilled and self.unlabelled,
        )
        if taught is not None:
            taught.done()
        if distilled:
            save(student, description, context.folder / "model.safetensors")
        return {
            split: context.metric.score_points(
                logits(student, Examples(context.data, split, seed)), context.data[split].y
            )
            for split in ("validation", "test")
        }


class _Standardized(Distill):
    """A loss on answers that can be standardized first."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    own: ClassVar[Mapping[str, float]] = {"temperature": 2.0, "ce_weight": 0.1, "kd_weight": 9.0}
    """What these are by default with `standardize`."""

    standardize: bool = Field(
        default=False,
        description="standardize logits before the loss, (z − mean) / deviation per example, so that their shape is "
        "compared and not their size; temperature is then 2 and kd_weight 9 by default",
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, value: Any) -> Any:
        return {**cls.own, **value} if isinstance(value, dict) and value.get("standardize") is True else value

    def ready(self, z: Tensor) -> Tensor:
        from .losses import standardized

        return standardized(z) if self.standardize else z


class _KD(_Standardized):
    def soft(self, context: Context) -> Soft:
        from .losses import kd

        if self.standardize:
            _only_classes("standardize", context, least=3)
        task = context.data.task
        return lambda z, t, y, rows: kd(task, self.ready(z), self.ready(t), self.temperature)


class DistillKD(_KD):
    """Distil a teacher's softened outputs: KD (Hinton et al., 2015).

    Loss: ce_weight · CE + kd_weight · T² · KL(teacher ‖ student).
    """

    use: Literal["distill.kd"]


class DistillDKD(_Standardized):
    """Distil target and non-target classes apart: DKD (Zhao et al., 2022).

    Two KL divergences are weighed separately: the label against all other classes (`alpha`), and the distribution over
    those other classes (`beta`).
    """

    own: ClassVar = {"temperature": 2.0, "kd_weight": 9.0}

    use: Literal["distill.dkd"]
    ce_weight: float = Field(default=1.0, ge=0, description="weight of the cross-entropy with the labels")
    kd_weight: float = Field(
        default=1.0, ge=0, description="weight of the distillation loss, the distance from the teacher's outputs"
    )
    alpha: float = Field(default=1.0, ge=0, description="weight of the target-class term, the label against all others")
    beta: float = Field(
        default=8.0, ge=0, description="weight of the non-target term, the distribution over the others"
    )
    warm_up: int = Field(
        default=20, ge=0, description="epochs in which the weight of the distillation loss rises, at most half of all"
    )

    def soft(self, context: Context) -> Soft:
        from .losses import dkd

        _only_classes("distill.dkd", context, least=3)
        if self.mixup:
            raise UserError("`distill.dkd` needs one label an example, which `mixup` blends", "take `mixup` out")
        if self.unlabelled and context.data.unlabelled is not None:
            raise UserError("`distill.dkd` needs labels", "`unlabelled: false`, or `use: distill.kd`")
        warm_up = min(self.warm_up, self.epochs // 2)

        def loss(z: Tensor, t: Tensor, y: Tensor, rows: Rows) -> Tensor:
            risen = min((rows.epoch + 1) / warm_up, 1.0) if warm_up else 1.0
            return risen * dkd(self.ready(z), self.ready(t), y, self.temperature, self.alpha, self.beta)

        return loss


class DistillDIST(_Standardized):
    """Match correlations of outputs: DIST (Huang et al., 2022).

    Correlations replace the KL divergence, for teachers much stronger than the student.
    """

    own: ClassVar = {}

    use: Literal["distill.dist"]
    temperature: float = Field(default=1.0, gt=0, description="softmax temperature T of student and teacher")
    ce_weight: float = Field(default=1.0, ge=0, description="weight of the cross-entropy with the labels")
    kd_weight: float = Field(
        default=2.0, ge=0, description="weight of the distillation loss, the distance from the teacher's outputs"
    )
    beta: float = Field(default=1.0, ge=0, description="weight of the correlation over the classes of each example")
    gamma: float = Field(default=1.0, ge=0, description="weight of the correlation over the batch of each class")

    @model_validator(mode="after")
    def _large_batches(self) -> Self:
        if self.batch < FEWEST:
            raise Mistake(f"a correlation over {self.batch} examples is noise", f"`batch: {FEWEST}` or more")
        return self

    def soft(self, context: Context) -> Soft:
        from .losses import dist

        _only_classes("distill.dist", context, least=3)
        return lambda z, t, y, rows: dist(self.ready(z), self.ready(t), self.temperature, self.beta, self.gamma)


def _only_classes(what: str, context: Context, least: int) -> None:
    data = context.data
    if data.task != "single-label":
        raise UserError(f"`{what}` is about classes, and this is a {data.task} task", "`use: distill.kd` is for any")
    if len(data.labels) < least:
        raise UserError(f"`{what}` is undefined for two classes", "plain `use: distill.kd` works for two")
