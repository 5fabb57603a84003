"""Where a training is: what its checkpoint holds, and the running mean of its weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..paths import replacing

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .schedule import Schedule


@dataclass
class Run:
    """What a checkpoint holds, beside the state of its `parts`."""

    parts: dict[str, Any]
    epoch: int = 0
    step: int = 0
    total: float = 0.0
    """Sum of this epoch's losses."""
    best: float = float("-inf")
    stale: int = 0
    """Epochs since the best one."""
    kept: dict[str, Tensor] = field(default_factory=dict)
    """The weights of the best epoch."""
    chance: Tensor | None = None
    """The state of torch's generator, within an epoch."""

    def write(self, path: Path) -> None:
        import torch

        state = {name: part.state_dict() for name, part in self.parts.items()}
        own = {name: value for name, value in vars(self).items() if name != "parts"}
        with replacing(path) as temporary:
            torch.save({**own, "chance": torch.get_rng_state(), "parts": state}, temporary)

    def read(self, path: Path) -> None:
        import torch

        if path.is_file():
            # Optimizers keep more than tensors, which is all that safetensors holds; nothing in the file is run.
            state = torch.load(path, weights_only=True)
            for name, part in self.parts.items():
                part.load_state_dict(state["parts"][name])
            vars(self).update({name: value for name, value in state.items() if name != "parts"})


def averaged(module: nn.Module, schedule: Schedule, *, swa: bool) -> Any:
    """torch's running mean of the weights and buffers, if there is to be one."""
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    if swa:
        return AveragedModel(module, use_buffers=True)
    if schedule.ema is None:
        return None
    decay = schedule.ema

    def mean(averaged: Any, current: Any, count: Any) -> None:
        # A short memory at first, or the random start would weigh for 1 / (1 - decay) steps.
        get_ema_multi_avg_fn(min(decay, (1 + float(count)) / (10 + float(count))))(averaged, current, count)

    return AveragedModel(module, multi_avg_fn=mean, use_buffers=True)
