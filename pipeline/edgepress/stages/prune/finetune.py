"""Fine-tune a pruned network by distillation from the model before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from ... import tasks
from ...stage import Artifact, Context
from ...training import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from ...training import Rows


class Finetune(Schedule):
    """Training after pruning, by distillation."""

    epochs: int = Field(default=3, ge=0, description="passes over the training examples; 0 skips fine-tuning")
    lr: float = Field(default=1e-3, gt=0, description="peak learning rate of the one-cycle schedule (AdamW)")
    views: int = Field(default=4, ge=1, description="augmented views of each example with teacher outputs")
    temperature: float = Field(default=2.0, gt=0, description="softmax temperature T of student and teacher")
    kd_weight: float = Field(
        default=0.9, ge=0, le=1, description="weight of the KL divergence; cross-entropy weighs the rest"
    )

    def restore(
        self,
        module: nn.Module,
        teacher: Artifact,
        context: Context,
        after_step: Callable[[nn.Module], None] | None = None,
    ) -> dict[str, Any]:
        """Train the pruned `module` in place towards the outputs of `teacher`, and return notes on these.

        See `fit` for `after_step`.
        """
        from ...training import fit
        from ..distill import kept
        from ..distill.teachers import teacher_logits

        (teacher_outputs,) = teacher_logits([teacher], self, self.views, context.seed, context)
        task = tasks.of(context.data, module)
        label_loss = task.loss(context.data, balanced=self.balance == "weights")

        def loss(z: Tensor, y: Tensor, rows: Rows) -> Tensor:
            targets = teacher_outputs[rows.view][rows.index].float().to(z.device)
            divergence = task.kd(z, targets, self.temperature)
            return self.kd_weight * divergence + (1 - self.kd_weight) * label_loss(z, y)

        fit(
            module,
            context.data,
            loss,
            self,
            seed=context.seed,
            checkpoint=context.scratch / "checkpoint.pt",
            say=context.say,
            views=self.views,
            metric=context.metric,
            after_step=after_step,
        )
        return kept.notes([teacher_outputs])
