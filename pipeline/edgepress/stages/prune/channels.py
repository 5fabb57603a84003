"""Prune channels: `prune.channels`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from ...core.errors import Rejection, UserError
from ...core.units import Share
from ...models.checkpoint import load, save
from ...stage import Artifact, Context, Made, Setting, Stage
from .finetune import Finetune

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .plan import Plan

ENSEMBLE = ("an ensemble cannot be pruned", "distil it into one student first: `distill.kd`")


class PruneChannels(Stage):
    """Prune whole channels by DepGraph (Fang et al., 2023), then fine-tune.

    Channels are ranked by the L2 magnitude of their group's weights; attentions lose whole heads. Channels whose
    removal would change more than zeros in their place are left and named. Fine-tuning distils from `teacher`.
    """

    family: ClassVar = "prune"
    takes: ClassVar = "torch"
    gives: ClassVar = "torch"
    version: ClassVar = 2
    names: ClassVar = ("teacher",)
    libraries: ClassVar = ("torch", "timm", "numpy", "torch-pruning")
    shrinks: ClassVar = ("parameters", "bytes")
    tries_input: ClassVar = True

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
    ignore: list[str] = Field(
        default=[],
        exclude_if=lambda patterns: not patterns,
        description="patterns of layer names whose channels stay, such as `head` or `up.*`",
    )
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

    def check_networks(self, networks: Mapping[str, nn.Module], example: tuple[Tensor, ...]) -> None:
        if "input" in networks:
            self._plan(networks["input"], example)

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ...models.pruning import replay
        from .plan import reasons

        module, description = load(inputs["input"].path, context.code)
        if description.members:
            raise UserError(*ENSEMBLE)  # of a file that is loaded
        before = sum(p.numel() for p in module.parameters())
        history, unpruned, _ = self._plan(module, description.example())
        replay(module, history, description.example())
        pruned = description.model_copy(update={"pruned": [*description.pruned, *history]})
        fresh = pruned.build(context.code)
        fresh.load_state_dict(module.state_dict())

        more = self.finetune.restore(fresh, inputs[self.teacher or "input"], context)
        save(fresh, pruned, context.folder / "model.safetensors")
        after = sum(p.numel() for p in fresh.parameters())
        notes: dict[str, Any] = {"parameters": [before, after]} | more
        if unpruned:
            notes["unpruned"] = unpruned
            notes["warnings"] = more.get("warnings", []) + [
                f"left channels unpruned, {line}" for line in reasons(unpruned)
            ]
        return Made("torch", notes=notes)

    def _plan(self, module: nn.Module, example: tuple[Tensor, ...]) -> Plan:
        from .plan import Options, plan

        return plan(module, example, Options(self.ratio, self.round_to, self.everywhere, self.ignore))
