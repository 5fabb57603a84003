"""The one training loop. Each stage that trains brings its loss; everything random comes from the seed.

One-cycle schedule (Smith & Topin, 2018) on AdamW. A checkpoint after every epoch lets a killed run go on to the
same weights: the order of an epoch and its augmentation depend on the seed and the epoch alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .errors import UserError
from .paths import replacing

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from .data import Dataset, Input

    Loss = Callable[[Tensor, Tensor, "Rows"], Tensor]
    """(logits (b, classes), labels (b,), which rows these are) → a scalar."""


class Schedule(BaseModel):
    """How long and how fast to train."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=10, ge=0, description="passes over the training images")
    batch: int = Field(default=128, ge=2, description="images a step")
    lr: float = Field(default=3e-3, gt=0, description="highest learning rate of the one-cycle schedule (AdamW)")
    weight_decay: float = Field(default=0.05, ge=0, description="AdamW's decoupled weight decay")
    flip: bool = Field(default=True, description="mirror half of the images left to right")
    shift: int = Field(default=2, ge=0, description="move each image by up to this many pixels each way")
    balance: Literal["weights", "sampling"] | None = Field(
        default=None, description="rare classes count more in the loss, or are drawn more often"
    )


@dataclass(frozen=True)
class Rows:
    """Which training images a batch holds, and which of the augmented views."""

    index: Tensor
    view: int


class Examples:
    """The examples of one split as a model takes them; images are augmented on the fly.

    View v of image i is a pure function of (seed, v, i), so a teacher's answers to a view can be kept.
    """

    def __init__(self, data: Dataset, split: str, seed: int, *, flip: bool = False, shift: int = 0) -> None:
        import torch

        x, y = data[split]
        self.columns = [torch.from_numpy(raw.copy()) for raw in data.columns(x)]
        self.y = torch.from_numpy(y.copy())
        self.inputs = data.inputs
        self.seed, self.flip, self.shift = seed, flip, shift
        self._view: tuple[int, Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.y)

    def batch(self, rows: Rows) -> tuple[Tensor, ...]:
        """One tensor (b, *shape) an input: int64 tokens, float32 all else; images `channels_last`."""
        return tuple(
            self._ready(each, raw[rows.index], rows) for each, raw in zip(self.inputs, self.columns, strict=True)
        )

    def _ready(self, each: Input, raw: Tensor, rows: Rows) -> Tensor:
        import torch

        x = torch.from_numpy(each.ready(raw.numpy()))
        if each.kind != "image":
            return x
        if self.flip or self.shift:
            flips, moves = self._randomness(rows.view)
            x = _augmented(x, flips[rows.index], moves[rows.index], self.shift)
        return x.contiguous(memory_format=torch.channels_last)

    def _randomness(self, view: int) -> tuple[Tensor, Tensor]:
        import torch

        if self._view is None or self._view[0] != view:
            random = generator(self.seed, view, 1)
            flips = (torch.rand(len(self), generator=random) < 0.5) & self.flip
            moves = torch.randint(0, 2 * self.shift + 1, (len(self), 2), generator=random)
            self._view = (view, flips, moves)
        return self._view[1], self._view[2]


def generator(*seeds: int) -> torch.Generator:
    """A torch generator that depends on all of `seeds`."""
    import numpy as np
    import torch

    return torch.Generator().manual_seed(int(np.random.SeedSequence(seeds).generate_state(1)[0]))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Fresh weights drawn inside the block depend on `seed` alone."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def fit(
    module: nn.Module,
    data: Dataset,
    loss: Loss,
    schedule: Schedule,
    *,
    seed: int,
    checkpoint: Path,
    say: Callable[[int, int, str], None],
    views: int | None = None,
) -> nn.Module:
    """Train `module` in place and return it in eval mode.

    With `views`, epoch e sees view e mod views of every image; otherwise each epoch sees a new one.
    Raises UserError when the loss or a weight stops being a number, and for a single image.
    """
    import torch

    examples = Examples(data.to_learn_from(), "train", seed, flip=schedule.flip, shift=schedule.shift)
    batch = min(schedule.batch, len(examples))
    steps = len(examples) // batch
    if schedule.epochs == 0:
        return module.eval()
    if len(examples) < 2:  # batch norm has no variance of one value
        raise UserError("1 training example is not enough to train on")
    optimizer = torch.optim.AdamW(_groups(module, schedule.weight_decay), lr=schedule.lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, schedule.lr, total_steps=schedule.epochs * steps + 1)
    parts: dict[str, Any] = {"module": module, "optimizer": optimizer, "scheduler": scheduler}
    for epoch in range(_resume(checkpoint, parts), schedule.epochs):
        torch.manual_seed(int(generator(seed, epoch, 2).initial_seed()))
        order = _order(examples, data, schedule, generator(seed, epoch, 3))
        view = epoch if views is None else epoch % views
        module.train()
        total = 0.0
        for step in range(steps):
            rows = Rows(order[step * batch : (step + 1) * batch], view)
            value = loss(module(*examples.batch(rows)), examples.y[rows.index], rows)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            scheduler.step()
            total += float(value.detach())
            done = epoch * steps + step + 1
            say(done, schedule.epochs * steps, f"epoch {epoch + 1}/{schedule.epochs}, loss {total / (step + 1):.3f}")
        if not all(torch.isfinite(value).all() for value in (torch.tensor(total), *module.state_dict().values())):
            raise UserError(
                f"the loss or a weight is not a number in epoch {epoch + 1}", f"lower `lr: {schedule.lr:g}`"
            )
        with replacing(checkpoint) as temporary:
            state = {name: part.state_dict() for name, part in parts.items()}
            torch.save({"epoch": epoch + 1, **state}, temporary)
    return module.eval()


def logits(module: nn.Module, examples: Examples, view: int = 0, batch: int = 256) -> np.ndarray:
    """What `module` answers to every one of `examples`, in order: float32 (n, labels)."""
    import torch

    module.eval()
    with torch.inference_mode():
        parts = torch.arange(len(examples)).split(batch)
        answers = torch.cat([module(*examples.batch(Rows(rows, view))) for rows in parts])
    found: np.ndarray = answers.float().numpy()
    return found


def _resume(checkpoint: Path, parts: dict[str, Any]) -> int:
    """The number of epochs already done; brings every part to where it was then."""
    import torch

    if not checkpoint.is_file():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["epoch"])


def _order(examples: Examples, data: Dataset, schedule: Schedule, random: torch.Generator) -> Tensor:
    """Which examples an epoch sees, in which order: each once, or as many drawn so that classes come alike."""
    import torch

    if schedule.balance != "sampling" or data.task != "single-label":
        return torch.randperm(len(examples), generator=random)
    from .losses import class_weights

    return torch.multinomial(class_weights(data)[examples.y], len(examples), replacement=True, generator=random)


def _groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices and kernels; none for biases and normalisation."""
    decayed = [p for p in module.parameters() if p.ndim > 1]
    rest = [p for p in module.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def _augmented(x: Tensor, flips: Tensor, moves: Tensor, shift: int) -> Tensor:
    """Mirror the images marked in `flips` (b,) and cut each at its `moves` (b, 2) from a copy padded by its edge."""
    import torch
    from torchvision.transforms.v2 import functional

    x = torch.where(flips[:, None, None, None], functional.horizontal_flip(x), x)
    if not shift:
        return x
    height, width = x.shape[-2:]
    padded = functional.pad(x, [shift], padding_mode="edge")
    cut = [
        functional.crop(image, top, left, height, width)
        for image, (top, left) in zip(padded, moves.tolist(), strict=True)
    ]
    return torch.stack(cut)
