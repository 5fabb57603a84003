"""Compute feature losses: terms on intermediate layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import UserError, suggest
from ...training.memory_format import to_channels_last
from .feature_stages import EMBEDDING

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

Term = Callable[[Tensor, Tensor], Tensor]
"""(the student's features, the teacher's) → a scalar."""


class StudentWithTeacher(nn.Module):
    """A student beside its teacher: gives the student's outputs, and in training records the features of both.

    The teacher is no part of the module, so that `train()` leaves it in eval mode and its weights are not learnt;
    `adapters` bring a student's features to the teacher's width, and are thrown away.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, layers: Mapping[str, str], example: Any) -> None:
        super().__init__()
        self.student = student
        self.edgepress = getattr(student, "edgepress", None)  # of a detector
        self._teacher = [teacher.eval().requires_grad_(False)]
        to_channels_last(teacher)
        self.layers = dict(layers)
        self.adapters = nn.ModuleList()
        mine, theirs = (
            watch_layers(module, names, role)
            for module, names, role in ((student, self.layers, "student"), (teacher, self.layers.values(), "teacher"))
        )
        self._watches = mine, theirs
        self.seen: list[tuple[Tensor, Tensor]] = []
        with torch.no_grad():
            student.eval()(*example)
            teacher(*example)

    def features(self) -> list[tuple[Tensor, Tensor]]:
        """Return (student's, teacher's) features of the last forward pass, by pair of layers."""
        student_watch, teacher_watch = self._watches
        return [
            (student_watch.seen[student_layer], teacher_watch.seen[teacher_layer])
            for student_layer, teacher_layer in self.layers.items()
        ]

    def forward(self, *inputs: Tensor) -> Tensor:
        outputs: Tensor = self.student(*inputs)
        if self.training:
            teacher = self._teacher[0].to(outputs.device)
            with torch.no_grad():
                teacher(*inputs)
            pairs = self.features()
            adapters = self.adapters or [nn.Identity()] * len(pairs)
            self.seen = [
                (adapt(student_map), teacher_map)
                for adapt, (student_map, teacher_map) in zip(adapters, pairs, strict=True)
            ]
        return outputs

    def unwrap(self) -> nn.Module:
        """Return the student alone, without hooks."""
        for watch in self._watches:
            watch.remove()
        return self.student.eval()


class _Watch:
    """The last outputs of layers, by name."""

    def __init__(self) -> None:
        self.seen: dict[str, Tensor] = {}
        self.handles: list[RemovableHandle] = []

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def watch_layers(module: nn.Module, names: Any, role: str) -> _Watch:
    watch, layers = _Watch(), dict(module.named_modules())
    for name in names:
        if name == EMBEDDING:
            last = [linear for linear in module.modules() if isinstance(linear, nn.Linear)]
            if not last:
                raise UserError(f"the {role} has no linear layer, whose input would be its embedding", "name `layers`")
            keep = lambda layer, inputs, output, name=name: watch.seen.__setitem__(name, inputs[0])  # noqa: E731
            watch.handles.append(last[-1].register_forward_hook(keep))
        elif name in layers and name:
            keep = lambda layer, inputs, output, name=name: watch.seen.__setitem__(name, output)  # noqa: E731
            watch.handles.append(layers[name].register_forward_hook(keep))
        else:
            tops = [linear for linear in layers if linear and linear.count(".") < 2]
            raise UserError(
                f"the {role} has no layer `{name}`", suggest(name, tops, f"it has {', '.join(tops[:12])}, …")
            )
    return watch


def adapters(pair: StudentWithTeacher) -> nn.ModuleList:
    """Return a linear map of each student's feature onto the teacher's width (Romero et al., 2015, section 2.2)."""
    layers: list[nn.Module] = []
    for student, teacher in pair.features():
        student_width, teacher_width = student.shape[1], teacher.shape[1]
        kinds: dict[int, Callable[[int, int], nn.Module]] = {
            2: nn.Linear,
            3: lambda a, b: nn.Conv1d(a, b, 1),
            4: lambda a, b: nn.Conv2d(a, b, 1),
        }
        if student.ndim != teacher.ndim or student.ndim not in kinds:
            raise UserError(
                f"a feature of shape {tuple(student.shape[1:])} cannot follow one of {tuple(teacher.shape[1:])}",
                "name layers that give the same kind of feature",
            )
        layers.append(
            nn.Identity() if student_width == teacher_width else kinds[student.ndim](student_width, teacher_width)
        )
    return nn.ModuleList(layers)


def pooled(student: Tensor, teacher: Tensor, pool: bool) -> tuple[Tensor, Tensor]:
    """Return two maps of one size; `pool` averages the larger one down. Raises: UserError."""
    if student.shape[2:] == teacher.shape[2:]:
        return student, teacher
    if not pool:
        raise UserError(
            f"the student's map is {_sized(student)}, the teacher's {_sized(teacher)}",
            "`pool: true` averages the larger one down, or name layers of one size",
        )
    size = tuple(map(min, student.shape[2:], teacher.shape[2:]))
    shrink = functional.adaptive_avg_pool2d if len(size) == 2 else functional.adaptive_avg_pool1d
    student, teacher = (x if tuple(x.shape[2:]) == size else shrink(x, size) for x in (student, teacher))  # type: ignore[arg-type]
    return student, teacher


def _sized(x: Tensor) -> str:
    return " × ".join(map(str, x.shape[2:]))


def hint(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared difference (FitNets, Romero et al., 2015)."""
    return functional.mse_loss(student, teacher)


def attention(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared difference of normalised activity maps (Zagoruyko & Komodakis, 2017, equation 2)."""
    student_map, teacher_map = (functional.normalize(x.square().mean(1).flatten(1)) for x in (student, teacher))
    return functional.mse_loss(student_map, teacher_map)


def distances(student: Tensor, teacher: Tensor) -> Tensor:
    """Return Huber's loss on distances between examples, each over their mean (RKD, Park et al., 2019, equation 6)."""
    student_distances, teacher_distances = (_distances(x.flatten(1)) for x in (student, teacher))
    return functional.smooth_l1_loss(student_distances, teacher_distances)


def angles(student: Tensor, teacher: Tensor) -> Tensor:
    """Return Huber's loss on cosines of angles between three examples (RKD, Park et al., 2019, equation 8)."""
    student_angles, teacher_angles = (_angles(x.flatten(1)) for x in (student, teacher))
    return functional.smooth_l1_loss(student_angles, teacher_angles)


def _distances(x: Tensor) -> Tensor:
    apart = (x.square().sum(1)[:, None] + x.square().sum(1)[None] - 2 * x @ x.T).clamp(min=1e-12).sqrt()
    apart = apart * (1 - torch.eye(len(x), device=x.device))
    mean: Tensor = apart[apart > 1e-6].mean() if bool((apart > 1e-6).any()) else apart.sum() + 1
    return apart / mean


def _angles(x: Tensor) -> Tensor:
    units = functional.normalize(x[None] - x[:, None], dim=2)
    return torch.bmm(units, units.transpose(1, 2))
