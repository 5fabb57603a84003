"""Distil outputs into a small student: `distill.kd`, `.dkd`, `.dist`, `.cwd`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from ... import tasks
from ...core.errors import Mistake, Rejection
from ...stage import Context, Setting
from .base import Distill

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ...training import Rows
    from .base import Soft

FEWEST = 32
"""Examples a batch from which a correlation over it means something."""


class Standardizable(Distill):
    """A loss on outputs that can be standardized first."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    standardized_defaults: ClassVar[Mapping[str, float]] = {"temperature": 2.0, "ce_weight": 0.1, "kd_weight": 9.0}
    """Defaults of these options with `standardize`."""

    standardize: bool = Field(
        default=False,
        description="standardize logits before the loss, (z − mean) / deviation per example, so that their shape is "
        "compared and not their size; temperature is then 2 and kd_weight 9 by default",
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, value: Any) -> Any:
        return (
            {**cls.standardized_defaults, **value}
            if isinstance(value, dict) and value.get("standardize") is True
            else value
        )

    def normalized(self, z: Tensor) -> Tensor:
        """Return the logits as the loss compares them."""
        from .losses import standardized

        return standardized(z) if self.standardize else z


class KD(Standardizable):
    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        if self.standardize:
            yield from _require_classes("standardize", setting, least=3, option=("standardize",))

    def soft(self, context: Context, student: nn.Module) -> Soft:
        task = tasks.of(context.data, student)
        if self.weigh == "boxes":
            of_boxes = task.loss(context.data)
            return lambda z, t, y, rows: of_boxes(z, t)
        kd = task.kd
        return lambda z, t, y, rows: kd(self.normalized(z), self.normalized(t), self.temperature)


class DistillKD(KD):
    """Distil a teacher's softened outputs: KD (Hinton et al., 2015).

    Loss: ce_weight · CE + kd_weight · T² · KL(teacher ‖ student).
    """

    use: Literal["distill.kd"]


class DistillDKD(Standardizable):
    """Distil target and non-target classes apart: DKD (Zhao et al., 2022).

    Two KL divergences are weighed separately: the label against all other classes (`alpha`), and the distribution over
    those other classes (`beta`).
    """

    standardized_defaults: ClassVar = {"temperature": 2.0, "kd_weight": 9.0}

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

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        yield from _require_classes("distill.dkd", setting, least=3)
        if self.mixup:
            message = "`distill.dkd` needs one label an example, which `mixup` blends"
            yield Rejection(message, "take `mixup` out", ("mixup",))
        if self.unlabelled and setting.data.unlabelled:
            help = "`unlabelled: false`, or `use: distill.kd`"
            yield Rejection("`distill.dkd` needs labels, and some examples have none", help, ("unlabelled",))

    def soft(self, context: Context, student: nn.Module) -> Soft:
        from .losses import dkd

        warm_up = min(self.warm_up, self.epochs // 2)

        def loss(z: Tensor, t: Tensor, y: Tensor, rows: Rows) -> Tensor:
            risen = min((rows.epoch + 1) / warm_up, 1.0) if warm_up else 1.0
            return risen * dkd(self.normalized(z), self.normalized(t), y, self.temperature, self.alpha, self.beta)

        return loss


class DistillDIST(Standardizable):
    """Match correlations of outputs: DIST (Huang et al., 2022).

    Correlations replace the KL divergence, for teachers much stronger than the student.
    """

    standardized_defaults: ClassVar = {}

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

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        yield from _require_classes("distill.dist", setting, least=3)

    def soft(self, context: Context, student: nn.Module) -> Soft:
        from .losses import dist

        return lambda z, t, y, rows: dist(
            self.normalized(z), self.normalized(t), self.temperature, self.beta, self.gamma
        )


class DistillCWD(Distill):
    """Match where in the picture each class or point is: CWD (Shu et al., 2021).

    Every channel of the output becomes a distribution over its pixels. Background, most of the pixels, then weighs no
    more than what is small.
    """

    softens: ClassVar = True

    use: Literal["distill.cwd"]
    temperature: float = Field(default=4.0, gt=0, description="softmax temperature T of student and teacher")
    ce_weight: float = Field(default=1.0, ge=0, description="weight of the loss against the labels")
    kd_weight: float = Field(
        default=3.0, ge=0, description="weight of the distillation loss, the distance from the teacher's outputs"
    )

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        task = setting.data.task
        if task and not tasks.TASKS[task].about_maps:
            message = f"`distill.cwd` is about maps of classes or points, and this is a {task} task"
            yield Rejection(message, "`use: distill.kd` is for any")

    def soft(self, context: Context, student: nn.Module) -> Soft:
        from .losses import cwd

        if context.data.targets.link != "softmax":
            return lambda z, t, y, rows: cwd(z, t, self.temperature)
        # A mean of teachers has log-probabilities, and a distribution over pixels changes with what is added to one.
        return lambda z, t, y, rows: cwd(z.log_softmax(1), t.log_softmax(1), self.temperature)


def _require_classes(
    name: str, setting: Setting, least: int, option: tuple[str | int, ...] = ()
) -> Iterator[Rejection]:
    """Yield why a loss on classes, the value of `option` or the stage itself, is not for the data's task."""
    data = setting.data
    if data.task and not tasks.TASKS[data.task].about_classes:
        message = f"`{name}` is about classes, and this is a {data.task} task"
        yield Rejection(message, "`use: distill.kd` is for any", option)
    elif data.classes is not None and data.classes < least:
        yield Rejection(f"`{name}` is undefined for two classes", "plain `use: distill.kd` works for two", option)
