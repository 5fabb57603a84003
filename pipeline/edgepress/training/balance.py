"""Order the examples of an epoch: rare classes more often, those of a kind together, a bag again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from .examples import Examples
    from .schedule import Schedule


def order(examples: Examples, data: Dataset, schedule: Schedule, random: torch.Generator, bag: Tensor | None) -> Tensor:
    """Return the rows of an epoch, int64 (n,): each once, or as many drawn with equal weight for each class.

    A loss that compares the examples of a batch needs several of a kind there, so they are neighbours; such a training
    has no bag. With `bag`, int64 (n,), the rows are its own instead of all.
    """
    if data.targets.together > 1 and examples.y.ndim == 1:
        places = neighbours(examples.y, examples.labelled, data.targets.together, random)
    elif schedule.balance != "sampling" or not data.targets.classes:
        places = torch.randperm(len(examples), generator=random)
    else:
        kinds = examples.y if bag is None else examples.y[bag]
        weights = _even(kinds[: examples.labelled], len(data.labels))[kinds]
        weights[examples.labelled :] = 1.0
        places = torch.multinomial(weights, len(examples), replacement=True, generator=random)
    return places if bag is None else bag[places]


def class_weights(data: Dataset) -> Tensor:
    """Return float32 (classes,): n / (classes · count); 0 for a class without an example."""
    return _even(torch.from_numpy(data["train"].y), len(data.labels))


def _even(y: Tensor, classes: int) -> Tensor:
    counts = torch.bincount(y, minlength=classes).float()
    return torch.where(counts > 0, counts.sum() / (len(counts) * counts.clamp(min=1)), torch.zeros(()))


def rarity(data: Dataset) -> Tensor:
    """Return float32 (labels,): examples without a label for each with it."""
    y = torch.from_numpy(data["train"].y.copy()).float()
    return ((1 - y).sum(0) / y.sum(0).clamp(min=1)).clamp(min=1e-3)


def neighbours(y: Tensor, labelled: int, count: int, random: torch.Generator) -> Tensor:
    """Return a random order (n,) in which `count` examples of a kind `y` (n,) follow each other, as far as there are.

    From row `labelled` on the kind is not known. Of PK sampling (Hermans et al., 2017), with every example once.
    """
    order = torch.randperm(len(y), generator=random)
    kinds = torch.where(order < labelled, y[order], y.max() + 1 + order)
    by_kind = order[kinds.argsort(stable=True)]
    sizes = kinds.unique(return_counts=True)[1].tolist()
    parts = [part for rows in by_kind.split(sizes) for part in rows.split(count)]
    return torch.cat([parts[index] for index in torch.randperm(len(parts), generator=random).tolist()])
