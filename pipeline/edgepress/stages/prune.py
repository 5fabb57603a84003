"""Prune channels of a network: `prune.*`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ..core.errors import Rejection, UserError
from ..core.units import Share
from ..models.checkpoint import load, save
from ..stage import Artifact, Context, Made, Setting, Stage
from ..training import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from ..training import Rows


ENSEMBLE = ("an ensemble cannot be pruned", "distil it into one student first: `distill.kd`")


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
    ) -> None:
        """Train the pruned `module` in place towards the outputs of `teacher`; see `fit` for `after_step`."""
        from ..training import fit
        from ..training.losses import of_labels
        from .distill.losses import kd
        from .distill.teachers import teacher_logits

        (teacher_outputs,) = teacher_logits([teacher], self, self.views, context.seed, context)
        label_loss = of_labels(context.data, balanced=self.balance == "weights")

        def loss(z: Tensor, y: Tensor, rows: Rows) -> Tensor:
            targets = teacher_outputs[rows.view][rows.index].to(z.device)
            divergence = kd(context.data.task, z, targets, self.temperature)
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


class PruneChannels(Stage):
    """Prune whole channels by DepGraph (Fang et al., 2023), then fine-tune.

    Channels are ranked by the L2 magnitude of their group's weights. Fine-tuning distils from `teacher`.
    """

    family: ClassVar = "prune"
    takes: ClassVar = "torch"
    gives: ClassVar = "torch"
    version: ClassVar = 2
    names: ClassVar = ("teacher",)
    libraries: ClassVar = ("torch", "timm", "numpy", "torch-pruning")
    shrinks: ClassVar = ("parameters", "bytes")

    use: Literal["prune.channels"]
    ratio: Share = Field(
        default="30%",
        gt=0,
        lt=1,
        description="share of channels removed; the share of parameters removed is about twice as large",
    )
    round_to: int = Field(
        default=8, ge=1, description="multiple that channel counts are rounded to; other counts run slower"
    )
    everywhere: bool = Field(default=False, description="rank channels over the whole network instead of per layer")
    finetune: Finetune = Field(default=Finetune(), description="fine-tuning after pruning")
    teacher: str | None = Field(
        default=None, description="name of the model to distil from; by default the one before pruning"
    )

    def same_network_as(self) -> str:
        return "input"

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        source = setting.sources.get("input")
        if source and source.origin.stage.joins_networks:
            yield Rejection(*ENSEMBLE, ("input",))

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        import torch
        import torch_pruning

        source = inputs["input"].path
        module, description = load(source, context.code)
        if description.members:
            raise UserError(*ENSEMBLE)  # of a file that is loaded
        before = sum(p.numel() for p in module.parameters())
        classifiers = [
            m for m in module.modules() if isinstance(m, torch.nn.Linear) and m.out_features == description.classes
        ]
        pruner = torch_pruning.pruner.BasePruner(
            module,
            description.example(),
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=self.ratio,
            global_pruning=self.everywhere,
            round_to=self.round_to,
            ignored_layers=classifiers,
        )
        pruner.step()
        history = [[name, bool(is_out), [int(i) for i in rows]] for name, is_out, rows in pruner.DG.pruning_history()]
        pruned = description.model_copy(update={"pruned": [*description.pruned, *history]})
        fresh = pruned.build(context.code)
        fresh.load_state_dict(module.state_dict())

        self.finetune.restore(fresh, inputs[self.teacher or "input"], context)
        save(fresh, pruned, context.folder / "model.safetensors")
        after = sum(p.numel() for p in fresh.parameters())
        return Made("torch", notes={"parameters": [before, after]})
