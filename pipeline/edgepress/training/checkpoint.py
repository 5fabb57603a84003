"""Save and restore the state of a training, and average its weights (EMA)."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.paths import replacing

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .schedule import Schedule

HEAD = b"edgepress checkpoint sha256:"


@dataclass
class Run:
    """The fields of a checkpoint, beside the state of its `parts`."""

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
    losses: list[float] = field(default_factory=list)
    """The mean loss of each finished epoch."""
    scores: list[float] = field(default_factory=list)
    """The metric on validation after each."""
    chance: Tensor | None = None
    """The state of torch's generator, within an epoch."""

    def write(self, path: Path) -> None:
        """Write the digest before its content, in one file: no kill leaves one without the other."""
        import torch

        state = {name: part.state_dict() for name, part in self.parts.items()}
        fields = {name: value for name, value in vars(self).items() if name != "parts"}
        with replacing(path) as temporary, temporary.open("w+b") as file:
            file.write(bytes(len(_head(""))))
            torch.save({**fields, "chance": torch.get_rng_state(), "parts": state, "of": _result(path)}, file)
            head = _head(_digest(file))
            file.seek(0)
            file.write(head)

    def read(self, path: Path) -> str | None:
        """Resume from the checkpoint `path`; return what is wrong with it, if anything."""
        import torch

        if not path.is_file():
            return None
        with path.open("rb") as file:
            head, sha256 = file.read(len(_head(""))), _digest(file)
            if not head.startswith(HEAD):
                return "has no digest" if head else "is empty"
            if head != _head(sha256):
                return "is not what was written"
            file.seek(len(head))
            content = io.BytesIO(file.read())
        # Optimizers keep more than tensors, which is all that safetensors holds; nothing in the file is run.
        state = torch.load(content, weights_only=True, map_location="cpu")
        if state.pop("of", _result(path)) != _result(path):
            return "is of another result"
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        vars(self).update({name: value for name, value in state.items() if name != "parts"})
        return None


def _result(path: Path) -> str:
    """Return the cache key of the result that a checkpoint is of, with its name; a copied one has another."""
    return f"{path.parents[1].name}/{path.name}" if path.parent.name == "scratch" else ""


def _head(sha256: str) -> bytes:
    return HEAD + f"{sha256:<64}\n".encode()


def _digest(file: io.BufferedReader | io.BufferedRandom) -> str:
    """Return the SHA-256 of the bytes behind the head."""
    file.seek(len(_head("")))
    return hashlib.file_digest(file, "sha256").hexdigest()


def averaged(module: nn.Module, schedule: Schedule, *, swa: bool) -> Any:
    """Return torch's running mean of the weights and buffers, if `schedule` wants one."""
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
