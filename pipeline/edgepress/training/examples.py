"""Provide the examples of a split as model inputs.

A view of an example depends on seed, view and example alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..core.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..data.dataset import Dataset, Input
    from .schedule import Schedule


@dataclass(frozen=True)
class Rows:
    """Which training images a batch holds, and which of the augmented views."""

    index: Tensor
    view: int
    epoch: int = 0


@dataclass(frozen=True)
class _View:
    """What chance does to each of n examples."""

    number: int
    flips: Tensor
    """bool (n,)"""
    moves: Tensor
    """int64 (n, 2), from 0 to twice the shift: down and right"""
    partners: Tensor
    """int64 (n,): which example is mixed in"""
    shares: Tensor
    """float32 (n,): how much of the example itself stays"""


class Examples:
    """The examples of one split as a model takes them; images are augmented on the fly.

    View v of image i is a pure function of (seed, v, i), so a teacher's answers to a view can be kept. With
    `unlabelled` the data set's examples without labels follow those of the split; their labels are zeros.
    """

    def __init__(
        self, data: Dataset, split: str, seed: int, *, flip: bool = False, shift: int = 0, mixup: float = 0.0,
        augment: tuple[str, ...] = (), unlabelled: bool = False,
    ) -> None:  # fmt: skip
        import numpy as np
        import torch

        x, y = data[split]
        self.labelled = len(y)
        if unlabelled and data.unlabelled is not None:
            x = np.concatenate([x, data.unlabelled])
            y = np.concatenate([y, np.zeros((len(data.unlabelled), *y.shape[1:]), y.dtype)])
        self.columns = [torch.from_numpy(raw.copy()) for raw in data.columns(x)]
        self.y = torch.from_numpy(y.copy())
        self.inputs, self.classes, self.task = data.inputs, len(data.labels), data.task
        self.seed, self.flip, self.shift, self.mixup, self.augment = seed, flip, shift, mixup, augment
        self._view: _View | None = None
        if mixup and any(each.kind == "tokens" for each in data.inputs):
            raise UserError("tokens cannot be mixed", "take `mixup` out")

    @classmethod
    def to_learn(cls, data: Dataset, schedule: Schedule, seed: int, *, unlabelled: bool = False) -> Examples:
        """The training examples, augmented as `schedule` says."""
        return cls(
            data, "train", seed, flip=schedule.flip, shift=schedule.shift, mixup=schedule.mixup,
            augment=schedule.augment, unlabelled=unlabelled,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.y)

    def batch(self, rows: Rows) -> tuple[Tensor, ...]:
        """One tensor (b, *shape) an input: int64 tokens, float32 all else; images `channels_last`."""
        found = tuple(self._ready(each, raw, rows) for each, raw in zip(self.inputs, self.columns, strict=True))
        if not self.mixup:
            return found
        view = self._of(rows.view)
        others = Rows(view.partners[rows.index], rows.view)
        mixed = (self._ready(each, raw, others) for each, raw in zip(self.inputs, self.columns, strict=True))
        shares = view.shares[rows.index]
        return tuple(
            _blended(mine, theirs, shares) if each.kind != "tokens" else mine
            for each, mine, theirs in zip(self.inputs, found, mixed, strict=True)
        )

    def labels(self, rows: Rows) -> Tensor:
        """Labels (b, …) as `data.Split` has them; of mixed examples their shares, float32 (b, labels)."""
        y = self.y[rows.index]
        if not self.mixup:
            return y
        view = self._of(rows.view)
        other, shares = self.y[view.partners[rows.index]], view.shares[rows.index]
        if self.task == "single-label":
            import torch

            y, other = (torch.nn.functional.one_hot(each, self.classes) for each in (y, other))
        return _blended(y.float(), other.float(), shares)

    def _ready(self, each: Input, raw: Tensor, rows: Rows) -> Tensor:
        import torch

        if each.kind != "image":
            return torch.from_numpy(each.to_model_inputs(raw[rows.index].numpy()))
        pixels = raw[rows.index]
        if self.flip or self.shift:
            view = self._of(rows.view)
            pixels = moved(pixels, view.flips[rows.index], view.moves[rows.index] - self.shift)
        if self.augment:
            pixels = torch.stack(
                [
                    self._changed(image, rows.view, index)
                    for image, index in zip(pixels, rows.index.tolist(), strict=True)
                ]
            )
        return torch.from_numpy(each.to_model_inputs(pixels.numpy())).contiguous(memory_format=torch.channels_last)

    def _of(self, number: int) -> _View:
        import torch

        if self._view is None or self._view.number != number:
            count, random = len(self), generator(self.seed, number, 1)
            flips = (torch.rand(count, generator=random) < 0.5) & self.flip
            moves = torch.randint(0, 2 * self.shift + 1, (count, 2), generator=random)
            # Labelled ones are mixed among themselves, and so are the others.
            known = torch.randperm(self.labelled, generator=random)
            partners = torch.cat([known, self.labelled + torch.randperm(count - self.labelled, generator=random)])
            shares = torch.ones(count)
            if self.mixup:
                import numpy as np

                drawn = np.random.default_rng((self.seed, number, 4)).beta(self.mixup, self.mixup, count)
                shares = torch.from_numpy(np.maximum(drawn, 1 - drawn).astype(np.float32))
            self._view = _View(number, flips, moves, partners, shares)
        return self._view

    @cached_property
    def _transform(self) -> Any:
        """torchvision's, for one uint8 image (channels, height, width)."""
        from torchvision.transforms import v2

        _, height, width = next(each.shape for each in self.inputs if each.kind == "image")
        known = {
            "rotate": lambda: v2.RandomRotation(15, v2.InterpolationMode.BILINEAR),
            "crop": lambda: v2.RandomResizedCrop((height, width), (0.6, 1.0), antialias=True),
            "jitter": lambda: v2.ColorJitter(0.3, 0.3),
            "trivial": v2.TrivialAugmentWide,
            "erase": lambda: v2.RandomErasing(0.25),
        }
        return v2.Compose([known[name]() for name in self.augment])

    def _changed(self, image: Tensor, view: int, index: int) -> Tensor:
        """torchvision draws from torch's own generator, which dropout draws from as well."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(generator(self.seed, view, index, 5).initial_seed()))
            found: Tensor = self._transform(image)
        return found


def generator(*seeds: int) -> torch.Generator:
    """A torch generator that depends on all of `seeds`."""
    import numpy as np
    import torch

    return torch.Generator().manual_seed(int(np.random.SeedSequence(seeds).generate_state(1)[0]))


def moved(pixels: Tensor, flips: Tensor, moves: Tensor) -> Tensor:
    """Images (b, c, h, w), mirrored where `flips` (b,) says so, then moved up and left by `moves` (b, 2) pixels.

    What comes in at an edge repeats it. One gather does it all, into `channels_last`.
    """
    import torch

    count, _, height, width = pixels.shape
    down = (moves[:, :1] + torch.arange(height)).clamp(0, height - 1)
    right = (moves[:, 1:] + torch.arange(width)).clamp(0, width - 1)
    right = torch.where(flips[:, None], width - 1 - right, right)
    rows = torch.arange(count)[:, None, None]
    return pixels[rows, :, down[:, :, None], right[:, None, :]].permute(0, 3, 1, 2)


def ahead(examples: Examples, batches: list[Rows]) -> Iterator[tuple[Rows, tuple[Tensor, ...], Tensor]]:
    """Each batch with its inputs and labels; torchvision's augmentations are slow, and so made in other processes."""
    if not examples.augment:
        for rows in batches:
            yield rows, examples.batch(rows), examples.labels(rows)
        return
    import os

    from torch.utils.data import DataLoader, Dataset

    class Batches(Dataset):
        def __len__(self) -> int:
            return len(batches)

        def __getitem__(self, step: int) -> tuple[Rows, tuple[Tensor, ...], Tensor]:
            rows = batches[step]
            return rows, examples.batch(rows), examples.labels(rows)

    yield from DataLoader(Batches(), batch_size=None, num_workers=min(4, os.cpu_count() or 1))


def _blended(mine: Tensor, theirs: Tensor, shares: Tensor) -> Tensor:
    import torch

    shape = (-1, *[1] * (mine.ndim - 1))
    return torch.lerp(theirs, mine, shares.reshape(shape))
