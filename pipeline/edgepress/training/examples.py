"""Provide the examples of a split as model inputs.

A view of an example depends on seed, view and example alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from ..core.errors import UserError
from ..core.metrics import VOID
from ..data.moves import move
from ..data.rows import Lazy, Zeros, concatenated
from . import workers

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..data.dataset import Dataset, Input
    from .schedule import Schedule


@dataclass(frozen=True)
class Rows:
    """The training images of a batch, and the augmented view."""

    index: Tensor
    view: int
    epoch: int = 0


@dataclass(frozen=True)
class _View:
    """Random augmentation of n examples."""

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

    View v of image i is a pure function of (seed, v, i), so a teacher's outputs on a view can be cached. With
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
            x = concatenated([x, data.unlabelled])
            zeros = (len(data.unlabelled), *y.shape[1:])
            y = concatenated([y, Zeros(zeros, y.dtype) if isinstance(y, Lazy) else np.zeros(zeros, y.dtype)])
        self.columns = [raw if isinstance(raw, Lazy) else torch.from_numpy(raw[:].copy()) for raw in data.columns(x)]
        self.y: Any = y if isinstance(y, Lazy) else torch.from_numpy(y if y.flags.writeable else y.copy())
        self.inputs, self.classes, self.targets = data.inputs, len(data.labels), data.targets
        self.flip_pairs = data.flip_pairs
        self.seed, self.flip, self.shift, self.mixup, self.augment = seed, flip, shift, mixup, augment
        self._view: _View | None = None
        if mixup and any(input.kind == "tokens" for input in data.inputs):
            raise UserError("tokens cannot be mixed", "take `mixup` out")

    @classmethod
    def to_learn(cls, data: Dataset, schedule: Schedule, seed: int, *, unlabelled: bool = False) -> Examples:
        """Return the training examples, augmented by `schedule`."""
        return cls(
            data, "train", seed, flip=schedule.flip, shift=schedule.shift, mixup=schedule.mixup,
            augment=schedule.augment, unlabelled=unlabelled,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.y)

    @property
    def lazy(self) -> bool:
        """Tell whether examples are read when a batch takes them."""
        return any(isinstance(raw, Lazy) for raw in (*self.columns, self.y))

    def batch(self, rows: Rows) -> tuple[Tensor, ...]:
        """Return one tensor (b, *shape) an input: int64 tokens, float32 all else; images `channels_last`."""
        return self.pair(rows)[0]

    def labels(self, rows: Rows) -> Tensor:
        """Return targets (b, …) as in `data.Split`, moved with their pictures; for mixed examples their shares,
        float32 (b, labels)."""
        if self.targets.spatial:
            return self.pair(rows)[1]
        y = self.y[rows.index]
        if not self.mixup:
            return y
        view = self._view_of(rows.view)
        partner, shares = self.y[view.partners[rows.index]], view.shares[rows.index]
        if self.targets.classes:
            import torch

            y, partner = (torch.nn.functional.one_hot(classes, self.classes) for classes in (y, partner))
        return _blend(y.float(), partner.float(), shares)

    def pair(self, rows: Rows) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return `batch` and `labels`, which one augmentation moves together."""
        if self.targets.spatial:
            (input,), (raw,) = self.inputs, self.columns
            pixels, y = self._moved(_taken(raw, rows), rows, _taken(self.y, rows))
            return (_normalized(input, pixels),), y
        inputs = tuple(self._prepare(input, raw, rows) for input, raw in zip(self.inputs, self.columns, strict=True))
        if self.mixup:
            view = self._view_of(rows.view)
            partner_rows, shares = Rows(view.partners[rows.index], rows.view), view.shares[rows.index]
            inputs = tuple(
                _blend(own, self._prepare(input, raw, partner_rows), shares) if input.kind != "tokens" else own
                for input, raw, own in zip(self.inputs, self.columns, inputs, strict=True)
            )
        return inputs, self.labels(rows)

    def _prepare(self, input: Input, raw: Tensor | Lazy, rows: Rows) -> Tensor:
        import torch

        if input.kind != "image":
            return torch.from_numpy(input.to_model_inputs(_taken(raw, rows).numpy()))
        return _normalized(input, self._moved(_taken(raw, rows), rows, None)[0])

    def _moved(self, pixels: Tensor, rows: Rows, y: Tensor | None) -> tuple[Tensor, Any]:
        """Return the augmented view of pictures (b, c, h, w), and of the targets `y` that move with them."""
        import torch

        height, width = pixels.shape[2:]
        if self.flip or self.shift:
            view = self._view_of(rows.view)
            flips, moves = view.flips[rows.index], view.moves[rows.index] - self.shift
            pixels = move(pixels, flips, moves)
            y = None if y is None else self.targets.moved(y, flips, moves, (height, width), self.flip_pairs)
        if self.augment:
            each = [
                self._augmented(image, None if y is None else y[place], rows.view, index)
                for place, (image, index) in enumerate(zip(pixels, rows.index.tolist(), strict=True))
            ]
            pixels = torch.stack([image for image, _ in each])
            y = None if y is None else torch.stack([target for _, target in each])
        return pixels, y

    def _view_of(self, number: int) -> _View:
        import torch

        if self._view is None or self._view.number != number:
            count, random = len(self), generator(self.seed, number, 1)
            flips = (torch.rand(count, generator=random) < 0.5) & self.flip
            moves = torch.randint(0, 2 * self.shift + 1, (count, 2), generator=random)
            # Labelled examples are mixed among themselves, and unlabelled ones too.
            labelled = torch.randperm(self.labelled, generator=random)
            partners = torch.cat([labelled, self.labelled + torch.randperm(count - self.labelled, generator=random)])
            shares = torch.ones(count)
            if self.mixup:
                import numpy as np

                drawn = np.random.default_rng((self.seed, number, 4)).beta(self.mixup, self.mixup, count)
                shares = torch.from_numpy(np.maximum(drawn, 1 - drawn).astype(np.float32))
            self._view = _View(number, flips, moves, partners, shares)
        return self._view

    @cached_property
    def _transform(self) -> Any:
        """Return torchvision's transform for one uint8 image (channels, height, width), and its target if it moves."""
        from torchvision import tv_tensors
        from torchvision.transforms import v2

        _, height, width = next(input.shape for input in self.inputs if input.kind == "image")
        fill = {tv_tensors.Mask: VOID, "others": 0}
        transforms = {
            "rotate": lambda: v2.RandomRotation(15, v2.InterpolationMode.BILINEAR, fill=fill),
            "crop": lambda: v2.RandomResizedCrop((height, width), (0.6, 1.0), antialias=True),
            "jitter": lambda: v2.ColorJitter(0.3, 0.3),
            "trivial": v2.TrivialAugmentWide,
            "erase": lambda: v2.RandomErasing(0.25),
        }
        return v2.Compose([transforms[name]() for name in self.augment])

    def _augmented(self, image: Tensor, y: Tensor | None, view: int, index: int) -> tuple[Tensor, Any]:
        """Augment one image; torchvision draws from torch's own generator, which dropout draws from as well."""
        import torch
        from torchvision import tv_tensors

        size = (image.shape[1], image.shape[2])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(generator(self.seed, view, index, 5).initial_seed()))
            if y is None:
                transformed: Tensor = self._transform(image)
                return transformed, None
            with warnings.catch_warnings():  # erasing leaves targets where they are, as it should
                warnings.filterwarnings("ignore", message="RandomErasing")
                pixels, moved = self._transform(tv_tensors.Image(image), self.targets.wrapped(y, size))
        return pixels.as_subclass(torch.Tensor), self.targets.unwrapped(moved, y, size)


def _taken(raw: Tensor | Lazy, rows: Rows) -> Tensor:
    import torch

    return torch.from_numpy(raw[rows.index.numpy()]) if isinstance(raw, Lazy) else raw[rows.index]


def _normalized(input: Input, pixels: Tensor) -> Tensor:
    import torch

    return torch.from_numpy(input.to_model_inputs(pixels.numpy())).contiguous(memory_format=torch.channels_last)


def generator(*seeds: int) -> torch.Generator:
    """Return a torch generator that depends on all of `seeds`."""
    import numpy as np
    import torch

    return torch.Generator().manual_seed(int(np.random.SeedSequence(seeds).generate_state(1)[0]))


def prefetch(examples: Examples, batches: list[Rows]) -> Iterator[tuple[Rows, tuple[Tensor, ...], Tensor]]:
    """Yield each batch with its inputs and labels.

    Other processes make them where that is slow: they read rows, or torchvision augments them.
    """
    if not examples.augment and not examples.lazy:
        yield from (_loaded(examples, rows) for rows in batches)
        return
    yield from workers.loaded(partial(_loaded, examples), batches)


def _loaded(examples: Examples, rows: Rows) -> tuple[Rows, tuple[Tensor, ...], Tensor]:
    return rows, *examples.pair(rows)


def _blend(own: Tensor, partner: Tensor, shares: Tensor) -> Tensor:
    import torch

    shape = (-1, *[1] * (own.ndim - 1))
    return torch.lerp(partner, own, shares.reshape(shape))
