"""Compute feature losses: terms on intermediate layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import UserError, suggest

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

Term = Callable[[Tensor, Tensor], Tensor]
"""(the student's features, the teacher's) → a scalar."""
EMBEDDING = "embedding"
"""In the place of a layer: what the last linear layer takes."""


class Taught(nn.Module):
    """A student beside its teacher: answers as the student does, and in training leaves the features of both behind.

    The teacher is no part of the module, so that `train()` leaves it in eval mode and its weights are not learnt;
    `adapters` bring a student's features to the teacher's width, and are thrown away.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, layers: Mapping[str, str], example: Any) -> None:
        super().__init__()
        self.student = student
        self._teacher = [teacher.eval().requires_grad_(False)]
        self.layers = dict(layers)
        self.adapters = nn.ModuleList()
        mine, theirs = (
            _watched(module, names, who)
            for module, names, who in ((student, self.layers, "student"), (teacher, self.layers.values(), "teacher"))
        )
        self._watches = mine, theirs
        self.seen: list[tuple[Tensor, Tensor]] = []
        with torch.no_grad():
            student.eval()(*example)
            teacher(*example)

    def features(self) -> list[tuple[Tensor, Tensor]]:
        """Of each pair of layers what the last forward pass gave: the student's and the teacher's."""
        mine, theirs = self._watches
        return [(mine.seen[one], theirs.seen[other]) for one, other in self.layers.items()]

    def forward(self, *inputs: Tensor) -> Tensor:
        answers: Tensor = self.student(*inputs)
        if self.training:
            teacher = self._teacher[0].to(answers.device)
            with torch.no_grad():
                teacher(*inputs)
            pairs = self.features()
            adapters = self.adapters or [nn.Identity()] * len(pairs)
            self.seen = [(adapt(one), other) for adapt, (one, other) in zip(adapters, pairs, strict=True)]
        return answers

    def done(self) -> nn.Module:
        """The student alone, without hooks."""
        for watch in self._watches:
            watch.remove()
        return self.student.eval()


class _Watch:
    """Keeps what layers gave last."""

    def __init__(self) -> None:
        self.seen: dict[str, Tensor] = {}
        self.handles: list[RemovableHandle] = []

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def _watched(module: nn.Module, names: Any, who: str) -> _Watch:
    watch, layers = _Watch(), dict(module.named_modules())
    for name in names:
        if name == EMBEDDING:
            last = [each for each in module.modules() if isinstance(each, nn.Linear)]
            if not last:
                raise UserError(f"the {who} has no linear layer, whose input would be its embedding", "name `layers`")
            keep = lambda layer, given, answer, name=name: watch.seen.__setitem__(name, given[0])  # noqa: E731
            watch.handles.append(last[-1].register_forward_hook(keep))
        elif name in layers and name:
            keep = lambda layer, given, answer, name=name: watch.seen.__setitem__(name, answer)  # noqa: E731
            watch.handles.append(layers[name].register_forward_hook(keep))
        else:
            tops = [each for each in layers if each and each.count(".") < 2]
            raise UserError(
                f"the {who} has no layer `{name}`", suggest(name, tops, f"it has {', '.join(tops[:12])}, …")
            )
    return watch


def adapters(taught: Taught) -> nn.ModuleList:
    """A linear map of each student's feature onto the teacher's width (Romero et al., 2015, section 2.2)."""
    made: list[nn.Module] = []
    for one, other in taught.features():
        wide, wider = one.shape[1], other.shape[1]
        kinds: dict[int, Callable[[int, int], nn.Module]] = {
            2: nn.Linear,
            3: lambda a, b: nn.Conv1d(a, b, 1),
            4: lambda a, b: nn.Conv2d(a, b, 1),
        }
        if one.ndim != other.ndim or one.ndim not in kinds:
            raise UserError(
                f"a feature of shape {tuple(one.shape[1:])} cannot follow one of {tuple(other.shape[1:])}",
                "name layers that give the same kind of feature",
            )
        made.append(nn.Identity() if wide == wider else kinds[one.ndim](wide, wider))
    return nn.ModuleList(made)


def pooled(one: Tensor, other: Tensor, pool: bool) -> tuple[Tensor, Tensor]:
    """Two maps of one size: the larger is averaged down, if that is wanted. Raises: UserError."""
    if one.shape[2:] == other.shape[2:]:
        return one, other
    if not pool:
        raise UserError(
            f"the student's map is {_sized(one)}, the teacher's {_sized(other)}",
            "`pool: true` averages the larger one down, or name layers of one size",
        )
    size = tuple(map(min, one.shape[2:], other.shape[2:]))
    shrink = functional.adaptive_avg_pool2d if len(size) == 2 else functional.adaptive_avg_pool1d
    one, other = (x if tuple(x.shape[2:]) == size else shrink(x, size) for x in (one, other))  # type: ignore[arg-type]
    return one, other


def _sized(x: Tensor) -> str:
    return " × ".join(map(str, x.shape[2:]))


def hint(student: Tensor, teacher: Tensor) -> Tensor:
    """The mean squared difference (FitNets, Romero et al., 2015)."""
    return functional.mse_loss(student, teacher)


def attention(student: Tensor, teacher: Tensor) -> Tensor:
    """The mean squared difference of normalised maps of activity (Zagoruyko & Komodakis, 2017, equation 2)."""
    one, other = (functional.normalize(x.square().mean(1).flatten(1)) for x in (student, teacher))
    return functional.mse_loss(one, other)


def distances(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber's loss on distances between examples, each over their mean (RKD, Park et al., 2019, equation 6)."""
    one, other = (_distances(x.flatten(1)) for x in (student, teacher))
    return functional.smooth_l1_loss(one, other)


def angles(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber's loss on the cosines of angles between three examples (RKD, Park et al., 2019, equation 8)."""
    one, other = (_angles(x.flatten(1)) for x in (student, teacher))
    return functional.smooth_l1_loss(one, other)


def _distances(x: Tensor) -> Tensor:
    apart = (x.square().sum(1)[:, None] + x.square().sum(1)[None] - 2 * x @ x.T).clamp(min=1e-12).sqrt()
    apart = apart * (1 - torch.eye(len(x), device=x.device))
    mean: Tensor = apart[apart > 1e-6].mean() if bool((apart > 1e-6).any()) else apart.sum() + 1
    return apart / mean


def _angles(x: Tensor) -> Tensor:
    units = functional.normalize(x[None] - x[:, None], dim=2)
    return torch.bmm(units, units.transpose(1, 2))
