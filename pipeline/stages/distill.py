"""`distill.*`: a small student learns from a teacher's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from ..stage import Artifact, Context, Made, Stage
from ..train import Schedule
from ..zoo import Network, save

if TYPE_CHECKING:
    from torch import Tensor

    from ..train import Loss, Rows

SMOOTHING = 0.1
"""Label smoothing of the second baseline (Szegedy et al., 2016)."""


class DistillKD(Stage, Schedule):
    """Knowledge distillation (Hinton et al., 2015): ce_weight · CE + kd_weight · T² · KL(teacher ‖ student)."""

    gives: ClassVar = "torch"
    names: ClassVar = ("teacher",)

    use: Literal["distill.kd"]
    teacher: str | Annotated[list[str], Field(min_length=1)] = Field(
        description="the name of the teacher, or of several whose probabilities are averaged"
    )
    student: Network = Field(
        description="the network to train: `timm/NAME`, or a mapping with `arch`, `args`, `stride`"
    )
    temperature: float = Field(default=4.0, gt=0, description="softens both answers")
    ce_weight: float = Field(default=0.1, ge=0, description="weight of the cross-entropy with the labels")
    kd_weight: float = Field(default=0.9, ge=0, description="weight of the divergence from the teacher")
    views: int = Field(
        default=4,
        ge=1,
        description="augmented views of each image; the teacher answers each once, and is not asked again",
    )
    baselines: bool = Field(
        default=False,
        description="also train the student on labels alone, by cross-entropy and label smoothing, for as many steps",
    )
    seed: int | None = Field(default=None, ge=0, description="by default the recipe's seed")

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ..distillation import teacher_logits
        from ..losses import of_labels, of_teacher

        seed = context.seed if self.seed is None else self.seed
        teachers = [self.teacher] if isinstance(self.teacher, str) else self.teacher
        taught = teacher_logits([inputs[name].path for name in teachers], self, self.views, seed, context)

        balanced = self.balance == "weights"
        hard = of_labels(context.data, balanced=balanced)

        def distilled(z: Tensor, y: Tensor, rows: Rows) -> Tensor:
            divergence = of_teacher(context.data.task, z, taught[rows.view][rows.index], self.temperature)
            return self.ce_weight * hard(z, y) + self.kd_weight * divergence

        losses: dict[str, Loss] = {"distilled": distilled}
        if self.baselines:
            smooth = of_labels(context.data, smoothing=SMOOTHING, balanced=balanced)
            losses["cross_entropy"] = lambda z, y, rows: hard(z, y)
            losses["label_smoothing"] = lambda z, y, rows: smooth(z, y)
        reached = {name: self._train(name, loss, seed, context) for name, loss in losses.items()}
        notes: dict[str, Any] = {"teachers": teachers}
        if self.baselines:
            best = max(found["validation"] for name, found in reached.items() if name != "distilled")
            notes |= {"equal_steps": reached, "gain": reached["distilled"]["validation"] - best}
        return Made("torch", notes=notes)

    def _train(self, name: str, loss: Loss, seed: int, context: Context) -> dict[str, float]:
        """Train one student, keep the distilled one, and tell its accuracy by split in points."""
        from ..train import Examples, fit, logits, seeded

        description = self.student.describe(context.data)
        with seeded(seed):
            module = description.build(context.code)

        def say(done: int, total: int, words: str) -> None:
            context.say(done, total, words if name == "distilled" else f"baseline {name}: {words}")

        checkpoint = context.scratch / f"{name}.pt"
        fit(module, context.data, loss, self, seed=seed, checkpoint=checkpoint, say=say, views=self.views)
        if name == "distilled":
            save(module, description, context.folder / "model.safetensors")
        return {
            split: context.metric.goodness(logits(module, Examples(context.data, split, seed)), context.data[split].y)
            for split in ("validation", "test")
        }
